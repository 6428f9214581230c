"""A message as POP3 sends it: lines that end in CRLF, dots stuffed. (RFC 1939 section 3)

Laws:
- What comes out does not depend on how the message was cut on the way in.
- Every line ends in CRLF, also the last one; so ``.`` alone on a line is never part of a message,
  whatever a client takes for the end of a line.
"""

from __future__ import annotations

import re

_BARE = re.compile(rb"\r\n|\r|\n")


class MessageLines:
    """Turns the pieces of a message into lines.

    Args:
        body_lines: of the body, for TOP; ``None``: the whole message.
    """

    def __init__(self, body_lines: int | None = None) -> None:
        self._carry = b""  # a CR at the end of a piece: half of a CRLF, or a bare one
        self._at_start = True  # of a line
        self._left = body_lines
        self._in_header = body_lines is not None
        self.has_enough = False
        """No more pieces are needed."""

    def add(self, piece: bytes) -> bytes:
        """Return what can be sent of the message once this piece has come."""
        data = self._carry + piece
        self._carry = b""
        if data.endswith(b"\r"):
            data, self._carry = data[:-1], b"\r"
        # As many CR as LF as CRLF: there is no bare one, and nothing is rewritten.
        pairs = data.count(b"\r\n")
        if data.count(b"\r") != pairs or data.count(b"\n") != pairs:
            data = _BARE.sub(b"\r\n", data)
        if self._left is not None:
            data = self._cut(data)
        return self._stuff(data)

    def end(self) -> bytes:
        """Return what is still to come: the end of a last line that has none."""
        is_complete = self.has_enough or (self._at_start and not self._carry)
        self._carry, self._at_start = b"", True
        return b"" if is_complete else b"\r\n"

    def _stuff(self, data: bytes) -> bytes:
        if not data:
            return b""
        stuffed = data.replace(b"\r\n.", b"\r\n..")
        if self._at_start and data.startswith(b"."):
            stuffed = b"." + stuffed
        self._at_start = data.endswith(b"\n")
        return stuffed

    def _cut(self, data: bytes) -> bytes:
        """Return what of the data TOP wants."""
        if self.has_enough:
            return b""
        at = 0
        if self._in_header:
            at = self._end_of_header(data)
            if at < 0:
                return data
            self._in_header = False
        left = self._left or 0
        while left and (found := data.find(b"\n", at)) >= 0:
            at = found + 1
            left -= 1
        self._left = left
        self.has_enough = not left
        return data if left else data[:at]

    def _end_of_header(self, data: bytes) -> int:
        """Return the offset behind the empty line; -1: it has not come yet."""
        if self._at_start and data.startswith(b"\r\n"):
            return 2
        found = data.find(b"\r\n\r\n")
        return found + 4 if found >= 0 else -1
