"""The line ends of a message that comes piece by piece."""

from __future__ import annotations

import re

_BARE = re.compile(rb"\r?\r\n|\r|\n")


class LineEnds:
    """Makes every line end CRLF, piece by piece.

    Deviation: RFC 3501 section 6.3.11 has a message stored as it came. Programs append with bare
    LF (mutt, old scripts; 2026-11-23), and a draft of today is sent tomorrow: no message with a
    bare CR or LF may ever leave us (SMTP smuggling). CR CR LF is one line end that was converted
    twice: an empty line in its place would end the header section. A message with CRLF alone is
    kept byte for byte.
    """

    def __init__(self) -> None:
        self._carry = b""  # up to two CR at the end of a piece: half of a line end, or bare ones

    def clean(self, piece: bytes) -> bytes:
        """Return the piece with its line ends mended; CR at its end wait for the next piece."""
        data = self._carry + piece
        self._carry = b""
        if data.endswith(b"\r"):
            size = 2 if data.endswith(b"\r\r") else 1
            data, self._carry = data[:-size], data[-size:]
        # As many CR as LF as CRLF: there is no bare one, and nothing is rewritten.
        pairs = data.count(b"\r\n")
        returns = data.count(b"\r")
        if returns != pairs or data.count(b"\n") != pairs:
            # Files of mail programs have LF alone.
            data = _BARE.sub(b"\r\n", data) if returns else data.replace(b"\n", b"\r\n")
        return data

    def end(self) -> bytes:
        """Return what is still to come."""
        carry, self._carry = self._carry, b""
        return b"\r\n" * len(carry)
