"""Messages of ours on the wire: dots stuffed by block, no bare line end (RFC 5321 section 4.5.2).

Law: a message with a bare CR or LF does not leave; the next server might take it for a line end,
and what follows it for commands (SMTP smuggling, CVE-2023-51764). Reading is ``body``.
"""

from __future__ import annotations

from zajil.core.errors import Malformed


class BareLineEnd(Malformed, ValueError):
    """A message of ours has a CR or LF that is not part of a CRLF: it must not leave."""


class BodyWriter:
    """Writes one message after the peer's 354: stuffs dots, refuses what could smuggle."""

    __slots__ = ("_at_line_start", "_held_cr")

    def __init__(self) -> None:
        self._at_line_start = True
        self._held_cr = b""

    def write(self, chunk: bytes) -> bytes:
        """Return the wire form of the next piece; pieces may be cut anywhere.

        Raises:
            BareLineEnd: the connection must be closed without ending the message.
        """
        block = self._held_cr + chunk
        self._held_cr = b"\r" if block.endswith(b"\r") else b""
        if self._held_cr:
            block = block[:-1]
        if not block:
            return b""
        lines = block.count(b"\r\n")
        if block.count(b"\n") != lines or block.count(b"\r") != lines:
            raise BareLineEnd("a bare CR or LF in the message")
        stuffed = block.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and block.startswith(b"."):
            stuffed = b"." + stuffed
        self._at_line_start = block.endswith(b"\r\n")
        return stuffed

    def end(self) -> bytes:
        """Return what ends the message, with the CRLF its last line may lack.

        Raises:
            BareLineEnd: the last byte is a CR.
        """
        if self._held_cr:
            raise BareLineEnd("a bare CR at the end of the message")
        return b".\r\n" if self._at_line_start else b"\r\n.\r\n"
