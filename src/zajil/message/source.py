"""Random access to the bytes of a message, wherever they lie: memory, a file, a blob. Pure.

A small message is ``bytes``, a large one a ``Source``: who looks at messages of any size takes
``bytes | Source`` and reads through ``read_pieces``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

PIECE = 1 << 20
"""Bytes that are read at a time: few calls, and little memory for a message of any size."""


class Source(Protocol):
    """Bytes that need not be in memory; reading may wait on the disk."""

    @property
    def size(self) -> int:
        """How many there are."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end."""


def size_of(source: bytes | Source) -> int:
    """Return the number of bytes."""
    return len(source) if isinstance(source, bytes) else source.size


def read_range(source: bytes | Source, start: int, end: int) -> bytes:
    """Return the bytes from ``start`` to ``end``, fewer where the source ends before."""
    if isinstance(source, bytes):
        return source[start:end]
    return source.read_at(start, end - start)


def read_pieces(source: bytes | Source) -> Iterator[bytes]:
    """Return all bytes in order: what is in memory as it is, the rest piece by piece."""
    if isinstance(source, bytes):
        yield source
        return
    at = 0
    while at < source.size:
        piece = source.read_at(at, PIECE)
        if not piece:
            raise ValueError("a source is shorter than its size")
        at += len(piece)
        yield piece
