"""Where lines and messages end; dot-stuffing by block (RFC 5321 section 4.5.2).

Laws:
- Only CRLF ends a line and only CRLF.CRLF a message. A lone LF or CR that ends one here and not
  at the next hop, or the reverse, smuggles mail: CVE-2023-51764.
- What comes out does not depend on how the bytes were cut on the way in.
"""

from __future__ import annotations

import re
from typing import Final

_END = b"\r\n.\r\n"
_DEFECT = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_HARMLESS = bytes(byte for byte in range(256) if byte not in b"\r\n\0")
_DEFECT_NAMES = {b"\r": "bare-cr", b"\n": "bare-lf", b"\0": "nul"}

SIZE_DEFECT: Final = "size"


class BodyReader:
    """Reads one message after the 354: finds its end, removes stuffed dots, finds defects."""

    __slots__ = ("_defect", "_max_size", "_skip", "_tail", "size")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self.size = 0
        """Bytes of the message so far, dot-unstuffed."""
        self._defect: str | None = None
        # The CRLF of the DATA line is the first of a CRLF.CRLF that ends an empty message, so
        # the search begins with it; _skip keeps it out of the message.
        self._tail = b"\r\n"
        self._skip = 2

    @property
    def defect(self) -> str | None:
        """The first thing that was wrong, or that the message is larger than we take."""
        return SIZE_DEFECT if self.size > self._max_size else self._defect

    def read(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Take bytes from the network.

        Returns:
            A piece of the message (``b""`` once it has a defect: it will be refused), and what
            follows its end: ``None`` while the end has not come.
        """
        work = self._tail + data
        end = work.find(_END)
        if end >= 0:
            return self._take(work[: end + 2]), work[end + 5 :]
        cut = len(work) - _held_back(work)
        self._tail = work[cut:]
        return self._take(work[:cut]), None

    def _take(self, block: bytes) -> bytes:
        # Invariant: a block never ends in a CR that may be half of a CRLF (that one is held
        # back), so all CR, LF and NUL belong to a CRLF exactly if they are twice as many.
        if (
            self._defect is None
            and len(block.translate(None, _HARMLESS)) != block.count(b"\r\n") * 2
            and (found := _DEFECT.search(block)) is not None
        ):
            self._defect = _DEFECT_NAMES[found[0]]
        if block:
            # A dot that begins a line is stuffed, whatever follows it.
            block = block.replace(b"\r\n.", b"\r\n")[self._skip :]
            self._skip = 0
            self.size += len(block)
        return b"" if self._defect or self.size > self._max_size else block


def _held_back(work: bytes) -> int:
    """Give the length of the longest end of ``work`` that may begin the end of the message."""
    for length in (4, 3, 2, 1):
        if work.endswith(_END[:length]):
            return length
    return 0


class BareLineEnd(ValueError):
    """A message of ours has a CR or LF that is not part of a CRLF: it must not leave."""


class BodyWriter:
    """Writes one message after the peer's 354: stuffs dots, refuses what could smuggle."""

    __slots__ = ("_at_line_start", "_held_cr")

    def __init__(self) -> None:
        self._at_line_start = True
        self._held_cr = b""

    def write(self, chunk: bytes) -> bytes:
        """Give the wire form of the next piece; pieces may be cut anywhere.

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
        """Give what ends the message, with the CRLF its last line may lack.

        Raises:
            BareLineEnd: the last byte is a CR.
        """
        if self._held_cr:
            raise BareLineEnd("a bare CR at the end of the message")
        return b".\r\n" if self._at_line_start else b"\r\n.\r\n"
