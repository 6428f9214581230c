"""Where a message ends, and what is wrong with it: after DATA and in chunks of BDAT.

RFC 5321 section 4.5.2, RFC 3030 section 2.

Laws:
- Only CRLF ends a line, and only CRLF.CRLF a message after DATA. A lone LF or CR that ends one
  here and not at the next hop, or the reverse, smuggles mail: CVE-2023-51764. That holds for peers
  whose bare LF are tolerated too.
- Chunks follow the same rules: a CR at the end of one and the LF at the start of the next are one
  line end.
- What comes out does not depend on how the bytes were cut on the way in.
"""

from __future__ import annotations

import re
from typing import Final

from zajil.smtp.command import Bdat, BodyChunk, BodyEnd

_END = b"\r\n.\r\n"
_DEFECT = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_TOLERANT_DEFECT = re.compile(rb"\r(?!\n)|\0")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_DEFECT_NAMES = {b"\r": "bare-cr", b"\n": "bare-lf", b"\0": "nul"}

SIZE_DEFECT: Final = "size"
MAX_SWALLOWED = 4
"""A refused chunk of so many times the largest message is dropped as it comes; at the begin of a
larger one the connection ends (RFC 3030 section 2 has the client send it all the same)."""


Next = tuple[BodyChunk | BodyEnd | Bdat | None, int]
"""What comes next (``None``: more bytes are needed), and the offset up to which bytes were used."""


class _Reader:
    """What DATA and BDAT have in common: size and defects of the message so far."""

    __slots__ = ("_defect", "_ended", "_max_size", "_tail", "_tolerant", "size", "tolerated")

    def __init__(self, max_size: int, tolerant: bool) -> None:
        self._max_size = max_size
        self._tolerant = tolerant
        self._tail = b""  # bytes whose meaning depends on what follows
        self._defect: str | None = None
        self._ended: BodyEnd | Bdat | None = None  # to be given out after the last piece
        self.size = 0
        """Bytes of the message so far, dot-unstuffed."""
        self.tolerated = False
        """Bare LF became CRLF."""

    @property
    def defect(self) -> str | None:
        """The first thing that was wrong, or that the message is larger than we take."""
        return SIZE_DEFECT if self.size > self._max_size else self._defect

    def _look_at(self, block: bytes) -> bytes:
        """Note the first defect of a block; give the block, with bare LF as CRLF if tolerated."""
        # Invariant: a block never ends in a CR that may be half of a CRLF (that one is held
        # back), so a CR or LF that is left without the CRLFs is bare.
        if self._defect is not None and not self._tolerant:
            return block
        rest = block.replace(b"\r\n", b"")
        if b"\n" not in rest and b"\r" not in rest and b"\0" not in rest:
            return block
        if self._defect is None:
            found = (_TOLERANT_DEFECT if self._tolerant else _DEFECT).search(block)
            self._defect = _DEFECT_NAMES[found[0]] if found is not None else None
        if self._tolerant:
            # Before a defect and behind it: the size must not depend on how the bytes were cut.
            block, count = _BARE_LF.subn(b"\r\n", block)
            self.tolerated = self.tolerated or count > 0
        return block

    def _keep(self, block: bytes) -> bytes:
        """Count a block; give it unless the message will be refused anyhow."""
        self.size += len(block)
        return b"" if self._defect or self.size > self._max_size else block


class BodyReader(_Reader):
    """Reads one message after the 354: finds its end, removes stuffed dots, finds defects."""

    __slots__ = ("_skip",)

    def __init__(self, max_size: int, tolerant: bool = False) -> None:
        super().__init__(max_size, tolerant)
        # The CRLF of the DATA line is the first of a CRLF.CRLF that ends an empty message, so
        # the search begins with it; _skip keeps it out of the message.
        self._tail = b"\r\n"
        self._skip = 2

    def next_event(self, received: bytes, at: int) -> Next:
        """Read on at an offset: pieces of the message, then its end.

        Once the message has a defect there are no more pieces: it will be refused.
        """
        if self._ended is not None or at == len(received):
            return self._ended, at
        work = self._tail + (received[at:] if at else received)
        end = work.find(_END)
        if end >= 0:
            piece = self._take(work[: end + 2])
            at += end + 5 - len(self._tail)
            self._ended = BodyEnd(self.size, self.defect, self.tolerated)
        else:
            cut = len(work) - self._held_back(work)
            self._tail = work[cut:]
            piece = self._take(work[:cut])
            at = len(received)
        return (BodyChunk(piece) if piece else self._ended), at

    def _take(self, block: bytes) -> bytes:
        if not block:
            return b""
        # A dot that begins a line is stuffed, whatever follows it.
        block = self._look_at(block).replace(b"\r\n.", b"\r\n")[self._skip :]
        self._skip = 0
        return self._keep(block)

    def _held_back(self, work: bytes) -> int:
        """Return how many bytes at the end of ``work`` may begin the end of the message."""
        for length in (4, 3, 2, 1):
            if work.endswith(_END[:length]):
                return length
        # A dot behind a tolerated LF is stuffed like any other, so it must be seen with it.
        return 1 if self._tolerant and work.endswith(b"\n") else 0


class ChunkReader(_Reader):
    """Reads one message in chunks: counts their bytes, finds the same defects; no dots."""

    __slots__ = ("_chunk", "_declared", "_ends_line", "_left")

    def __init__(self, max_size: int, tolerant: bool = False) -> None:
        super().__init__(max_size, tolerant)
        self._chunk = Bdat(0)
        self._left = 0  # bytes that this chunk still has to bring
        self._declared = 0  # bytes of all chunks, as their commands said
        self._ends_line = True

    @property
    def defect(self) -> str | None:
        """As after DATA; but a message that declares too much is too large at once."""
        return SIZE_DEFECT if self.is_declared_too_large else super().defect

    @property
    def is_declared_too_large(self) -> bool:
        """The commands so far announce more than we take."""
        return self._declared > self._max_size

    def begin(self, chunk: Bdat) -> int:
        """Expect a chunk; give how many of its octets the caller has to drop.

        The end of one that makes the message too large does not wait for its octets.
        """
        self._chunk = chunk
        self._left = chunk.size
        self._declared += chunk.size
        self._ended = None
        if self.is_declared_too_large:
            self._left = 0
            self.size += chunk.size
            self._ended = self._end_chunk()
            return chunk.size
        return 0

    def next_event(self, received: bytes, at: int) -> Next:
        """Read on at an offset: pieces of the message, then the end of the chunk or of both."""
        if self._ended is not None:
            return self._ended, at
        data = received[at : at + self._left]
        self._left -= len(data)
        piece = self._take(data)
        if self._left == 0:
            if self._chunk.is_last:
                piece += self._end_line()
            self._ended = self._end_chunk()
        return (BodyChunk(piece) if piece else self._ended), at + len(data)

    def _take(self, data: bytes) -> bytes:
        work = self._tail + data
        self._tail = b"\r" if work.endswith(b"\r") else b""
        block = self._look_at(work[:-1] if self._tail else work)
        if block:
            self._ends_line = block.endswith(b"\n")
        return self._keep(block)

    def _end_chunk(self) -> BodyEnd | Bdat:
        if self._chunk.is_last:
            return BodyEnd(self.size, self.defect, self.tolerated)
        return Bdat(self._chunk.size, defect=self.defect)

    def _end_line(self) -> bytes:
        """Return the CRLF that the last line lacks.

        After DATA no message is without it, and what is behind us relies on that.
        """
        if self._tail:
            self.size += 1
            self._defect = self._defect or "bare-cr"
        elif not self._ends_line and self.defect is None:
            return self._keep(b"\r\n")
        return b""
