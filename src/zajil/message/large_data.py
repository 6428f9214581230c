"""The bytes of a large message, of which some are in memory at a time. Pure but for reading.

``Data`` is what parsers take: ``bytes``, or a ``LargeData`` with the methods of ``bytes`` that they
need. Both give the same results.

Law: nothing here holds more than a few times ``PIECE``, but for the slices that are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from zajil.message.source import PIECE, Source

WHOLE = 1 << 20
"""Bytes of a message that is held in memory; a longer one is read in pieces."""
MAX_SECTION = 1 << 20
"""Bytes of a header section that are read of a longer one."""
_FIRST = 4096
"""Bytes that are searched first: most of what is looked for is near."""
_LONGEST = 300
"""Bytes of a line that may be a boundary, with its line ends: it may lie across two pieces."""

# RFC 2046 section 5.1.1 allows boundaries of 70 characters; longer ones exist. The line end is
# looked at, not taken: the next line may be a boundary too.
_DELIMITER = re.compile(rb"\n--([^\r\n]{1,260}+)(?=\r?(?:\n|\Z))")


class LargeData:
    """A source that is read like ``bytes``, in pieces. Reading may wait on the disk."""

    __slots__ = ("_size", "_source", "piece")

    def __init__(self, source: Source, piece: int = PIECE) -> None:
        """Take a source; ``piece`` is how many bytes are read at a time, more than 300."""
        self._source = source
        self.piece = piece
        self._size = source.size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        """Return a slice without a step."""
        start, stop, _ = part.indices(self._size)
        return self._source.read_at(start, stop - start) if stop > start else b""

    def behind(self, start: int) -> Source:
        """Return what is behind a place."""
        return _Rest(self._source, start)

    def startswith(self, prefix: bytes) -> bool:
        """Return whether it begins with these bytes."""
        return self[: len(prefix)] == prefix

    def find(self, needle: bytes, start: int = 0, end: int | None = None) -> int:
        """Return the first place of some bytes between two places; -1: there is none."""
        end = self._size if end is None else min(end, self._size)
        size = min(_FIRST, self.piece)
        while start < end:
            piece = self[start : min(end, start + size)]
            at = piece.find(needle)
            if at >= 0:
                return start + at
            if start + len(piece) >= end:
                break
            start += len(piece) - len(needle) + 1
            size = min(2 * size, self.piece)
        return -1

    def count(self, byte: bytes, start: int = 0, end: int | None = None) -> int:
        """Return how often one byte stands between two places."""
        end = self._size if end is None else min(end, self._size)
        ends = range(start, end, self.piece)
        return sum([self[at : min(end, at + self.piece)].count(byte) for at in ends])


class _Rest:
    """A source without its beginning."""

    __slots__ = ("_source", "_start", "size")

    def __init__(self, source: Source, start: int) -> None:
        self._source = source
        self._start = start
        self.size = source.size - start

    def read_at(self, offset: int, size: int) -> bytes:
        return self._source.read_at(self._start + offset, size)


Data = bytes | LargeData


def read_data(source: Source) -> Data:
    """Return a message as parsers take it: a large one stays where it is."""
    return source.read_at(0, source.size) if source.size <= WHOLE else LargeData(source)


def find_delimiters(data: Data, begin: int) -> Iterator[tuple[int, bytes, int]]:
    """Find the lines that may be boundaries of multiparts.

    Args:
        data: the message.
        begin: the line end before the first such line is not before this place.

    Returns:
        Of each where it begins, its name without the first ``--``, and where it ends.
    """
    if isinstance(data, bytes):
        for match in _DELIMITER.finditer(data, begin):
            yield match.start() + 1, match[1], match.end()
        return
    at, seen = begin, begin - 1
    while at < len(data):
        piece = data[at : at + data.piece]
        is_last = at + len(piece) >= len(data)
        for match in _DELIMITER.finditer(piece):
            start = at + match.start()
            # Its line end may be in the next piece.
            if start > seen and (is_last or match.end() + 2 <= len(piece)):
                seen = start
                yield start + 1, match[1], at + match.end()
        if is_last:
            return
        at += max(1, len(piece) - _LONGEST)
