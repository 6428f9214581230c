"""Messages as lines of an mbox file (RFC 4155), in the variant "mboxrd". Pure.

A line of the message that begins with ``>*From `` gets one more ``>``, so that every message can be
taken out again as it was. Lines end with LF.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)


def separator(at_ms: int) -> bytes:
    """Return the line in front of a message: when it was received, in UTC."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"From MAILER-DAEMON {at:%a %b} {at.day:2d} {at:%H:%M:%S %Y}\n".encode()


class Quoter:
    """Turns the pieces of one message into lines of the file."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the whole lines up to here; a line that has not ended is kept."""
        whole, end, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest
        return _quoted(whole + end)

    def finish(self) -> bytes:
        """Return what is left, and the empty line behind a message."""
        rest, self._rest = self._rest, b""
        return (_quoted(rest) + b"\n" if rest else b"") + b"\n"


def _quoted(lines: bytes) -> bytes:
    return _FROM.sub(rb">\1", lines.replace(b"\r\n", b"\n"))
