"""Reading the bytes of one blob, from a row or from a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from types import TracebackType

from zajil.message.source import PIECE
from zajil.store.engine.errors import StoreUnavailable


class BlobReader:
    """Random access to the bytes of one blob."""

    def __init__(self, size: int, content: bytes | None, descriptor: int | None) -> None:
        self.size = size
        self._content = content
        self._descriptor = descriptor

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end.

        Raises:
            StoreUnavailable: the file is shorter than its row says.
        """
        if self._content is not None:
            return self._content[offset : offset + size]
        if self._descriptor is None:
            raise ValueError("the blob is closed")
        wanted = max(0, min(size, self.size - offset))
        parts: list[bytes] = []
        while wanted and (part := os.pread(self._descriptor, wanted, offset)):
            parts.append(part)
            offset += len(part)
            wanted -= len(part)
        if wanted:
            raise StoreUnavailable("the file of a message is truncated")
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> BlobReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class BegunReader(BlobReader):
    """A blob whose first bytes were read; the others are when they are asked for."""

    def __init__(self, size: int, first: bytes, read: Callable[[], bytes]) -> None:
        """Take the first bytes, and what reads the whole blob."""
        super().__init__(size, first, None)
        self._first = len(first)
        self._read = read

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; may read the rest of the blob.

        Raises:
            NoSuchBlob: it is gone.
        """
        if min(offset + size, self.size) > self._first:
            self._content = self._read()
            self._first = self.size
        return super().read_at(offset, size)


def digest_of(reader: BlobReader) -> bytes:
    """Return the SHA-256 of the bytes of a blob.

    Raises:
        StoreUnavailable: it is shorter than its row says.
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    at = 0
    while at < reader.size:
        piece = reader.read_at(at, PIECE)
        if not piece:
            raise StoreUnavailable("a message is shorter than its row says")
        digest.update(piece)
        at += len(piece)
    return digest.digest()
