"""Replies (RFC 5321 section 4.2)."""

from __future__ import annotations

import re
from dataclasses import field

from zajil.core.value_class import value_class

# C0, DEL and C1 controls, what some programs take for a line end, and what turns the order of
# letters around: in a log a "550" could read as something else.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

_MOST_SHOWN = 2000
"""Characters of a reply that are told: it is kept for each recipient and each try, and an answer of
a hundred long lines to each of a hundred recipients would fill the store."""


@value_class(frozen=True, slots=True)
class Reply:
    """A reply of ours, or of a peer; rendered once and kept, so that constants cost nothing.

    Raises:
        ValueError: a code that is not 200 to 599, no line, or a control character in a line:
            what a peer sent must not become a second reply (attack: response injection).
    """

    code: int
    lines: tuple[str, ...]
    """Without the code, with the enhanced status code: ``"2.0.0 ok"``."""
    _wire: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599 or not self.lines:
            raise ValueError("a reply has a code and at least one line")
        for line in self.lines:
            if _UNSAFE.search(line):
                raise ValueError("a control character in a reply")
        object.__setattr__(self, "_wire", _render(self.code, self.lines))

    @property
    def accepts(self) -> bool:
        """Whether the command was taken: 2yz, or 3yz and more is wanted."""
        return self.code < 400

    @property
    def is_temporary(self) -> bool:
        """Whether the same command may succeed later: 4yz (RFC 5321 section 4.2.1)."""
        return 400 <= self.code < 500

    def __str__(self) -> str:
        """Return one line for events and logs: ``250 2.0.0 ok``, shortened where it is long."""
        text = f"{self.code:d} {' / '.join(self.lines)}"
        return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"

    def to_bytes(self) -> bytes:
        """Return the wire form, with its CRLF."""
        return self._wire


_MOST_SHOWN = 2000
"""Characters of a reply that are told: it is kept for each recipient and each try, and an answer of
a hundred long lines to each of a hundred recipients would fill the store."""


@value_class(frozen=True, slots=True)
class ReplyEach:
    """Answers to one message that differ between its recipients (RFC 2033 section 4.2)."""

    replies: tuple[Reply, ...]
    """As many as RCPTs were accepted, in their order."""

    @property
    def accepts(self) -> bool:
        """Whether the message was taken for any of them."""
        return any([reply.accepts for reply in self.replies])


def _render(code: int, lines: tuple[str, ...]) -> bytes:
    if len(lines) == 1:
        return f"{code:d} {lines[0]}\r\n".encode()
    text = "".join([f"{code:d}-{line}\r\n" for line in lines[:-1]])
    return f"{text}{code:d} {lines[-1]}\r\n".encode()


def sanitize(text: str) -> str:
    """Replace what must not stand in a reply, an event or a log by ``?``."""
    return _UNSAFE.sub("?", text)
