"""Messages as lines of an mbox file (RFC 4155), in the variant "mboxrd". Pure.

A line of the message that begins with ``>*From `` gets one more ``>``, so that every message can be
taken out again as it was. Lines end with LF.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_LONG = 4096
"""Bytes at the beginning of a line that show what it begins with."""

STATUS_LETTERS = {"\\Answered": "A", "\\Flagged": "F", "\\Draft": "T", "\\Deleted": "D"}
"""Letters of the field X-Status; ``\\Seen`` is the R of Status."""


def separator(at_ms: int) -> bytes:
    """Return the line in front of a message: when it was received, in UTC."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"From MAILER-DAEMON {at:%a %b} {at.day:2d} {at:%H:%M:%S %Y}\n".encode()


def status_fields(flags: Iterable[str]) -> bytes:
    """Return the fields that hold flags and keywords, as mail programs write them; with LF."""
    by_lower = {flag.lower(): flag for flag in flags}
    lines = ["Status: RO" if "\\seen" in by_lower else "Status: O"]
    letters = [STATUS_LETTERS[one] for one in STATUS_LETTERS if one.lower() in by_lower]
    if letters:
        lines.append(f"X-Status: {''.join(sorted(letters))}")
    keywords = sorted(flag for flag in by_lower.values() if not flag.startswith("\\"))
    if keywords:
        lines.append(f"X-Keywords: {' '.join(keywords)}")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


class _Lines:
    """Changes the beginnings of lines in bytes that come piece by piece.

    Of a line that is not whole yet, only the beginning is kept: memory stays bounded.
    """

    def __init__(self, change: Callable[[bytes, bytes], bytes]) -> None:
        """Take what changes the end of a line that was begun, and the lines behind it."""
        self._change = change
        self._rest = b""
        self._is_inside = False  # what was given last ends within a line

    def feed(self, data: bytes) -> bytes:
        """Return what is certain up to here."""
        data = self._rest + data
        cut = data.rfind(b"\n") + 1
        if len(data) - cut > _LONG:
            cut = len(data) - data.endswith(b"\r")
        self._rest = data[cut:]
        return self._take(data[:cut])

    def _end(self) -> bytes:
        rest, self._rest = self._rest, b""
        return self._take(rest)

    def _take(self, data: bytes) -> bytes:
        if not data:
            return b""
        begun = (data.find(b"\n") + 1 or len(data)) if self._is_inside else 0
        self._is_inside = not data.endswith(b"\n")
        return self._change(data[:begun], data[begun:])


class Quoter(_Lines):
    """Turns the pieces of one message into lines of the file."""

    def __init__(self) -> None:
        super().__init__(_quote)

    def finish(self) -> bytes:
        """Return what is left, and the empty line behind a message."""
        rest = self._end()
        return rest + (b"\n\n" if self._is_inside else b"\n")


class Unquoter(_Lines):
    """Takes the pieces of one message out of the lines of a file."""

    def __init__(self) -> None:
        super().__init__(_unquote)

    def finish(self) -> bytes:
        """Return what is left."""
        return self._end()


def _quote(begun: bytes, lines: bytes) -> bytes:
    begun, lines = begun.replace(b"\r\n", b"\n"), lines.replace(b"\r\n", b"\n")
    # Most messages have no such line, and a regular expression looks at each line.
    return begun + (_FROM.sub(rb">\1", lines) if b"From " in lines else lines)


def _unquote(begun: bytes, lines: bytes) -> bytes:
    return begun + (_QUOTED.sub(rb"\1", lines) if b">From " in lines else lines)
