"""Bytes that come piece by piece: in memory up to a limit, then in a file beside the blobs.

Laws:
- What stays below the limit costs no file and no waiting.
- The file has no name: whatever happens to us, it is gone with the process.
- The file is closed when nobody refers to it any more, never before: a thread may still use it
  although whoever waited for that thread was cancelled.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path

from zajil.message.source import PIECE, Source, read_pieces, size_of
from zajil.store.engine.errors import StoreUnavailable, disk_error

_TINY = 1024
"""Bytes of a piece that is worth joining with its neighbour."""
_CANNOT_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
"""What a file system says that cannot copy by itself."""


class SpillFile:
    """A file that only grows, and that this process alone knows."""

    def __init__(self, path: Path) -> None:
        """Make it.

        Args:
            path: its name until the next line; a crash in between leaves an empty file.

        Raises:
            OSError: it could not be made.
        """
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, self.descriptor)
        path.unlink()
        self.size = 0

    def append(self, pieces: Sequence[bytes]) -> None:
        """Write at the end.

        Raises:
            OSError: some of it may stand there; the file is of no use any more.
        """
        for piece in pieces:
            left = memoryview(piece)
            while left:
                written = os.pwrite(self.descriptor, left, self.size)
                self.size += written
                left = left[written:]

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end."""
        wanted = max(0, min(size, self.size - offset))
        parts: list[bytes] = []
        while wanted:
            part = os.pread(self.descriptor, wanted, offset)
            if not part:
                raise StoreUnavailable("the file of an incoming message was truncated")
            parts.append(part)
            offset += len(part)
            wanted -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Spilled:
    """What a ``Spill`` holds from one offset on, as a ``message.source.Source``."""

    def __init__(self, file: SpillFile, start: int, rest: tuple[bytes, ...]) -> None:
        """Take hold of it.

        Args:
            file: the bytes that are in the file.
            start: the offset, within the file.
            rest: the bytes behind those in the file.
        """
        self._file = file
        self._start = start
        self._in_file = file.size - start
        self._rest = rest
        self.size = self._in_file + sum(map(len, rest))

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end."""
        found = self._file.read_at(self._start + offset, size) if offset < self._in_file else b""
        missing = min(size, self.size - offset) - len(found)
        if missing <= 0:
            return found
        rest = b"".join(self._rest)
        begin = offset + len(found) - self._in_file
        return found + rest[begin : begin + missing]

    def copy_to(self, descriptor: int) -> int:
        """Write all of it at the place where another file stands; give the number of bytes.

        The kernel copies what is in the file: it does not come to memory of ours, and a file
        system that can share blocks does not copy at all.

        Raises:
            OSError: some of it may have been written.
        """
        at = 0
        try:
            while at < self._in_file:
                wanted = self._in_file - at
                count = os.copy_file_range(
                    self._file.descriptor, descriptor, wanted, self._start + at
                )
                if not count:
                    break
                at += count
        except OSError as error:
            if error.errno not in _CANNOT_COPY:
                raise
        while at < self.size:
            piece = self.read_at(at, PIECE)
            write_whole(descriptor, piece)
            at += len(piece)
        return self.size


class Spill:
    """Collects pieces; one piece after the other, and the next one only after the wait."""

    __slots__ = ("_file", "_held", "_memory", "_new_file", "_parts", "failure", "size")

    def __init__(self, new_file: Callable[[], SpillFile], memory: int) -> None:
        """Begin with nothing.

        Args:
            new_file: makes the file; called in a thread.
            memory: bytes that are kept in memory, before the file is made and between two
                writes to it.
        """
        self._new_file = new_file
        self._memory = memory
        self._parts: list[bytes] = []
        self._held = 0  # bytes in _parts
        self._file: SpillFile | None = None
        self.size = 0
        """Bytes that came, kept or not."""
        self.failure: StoreUnavailable | None = None
        """Why the bytes are gone; ``StoreFull`` among them. Later ones are only counted."""

    def add(self, piece: bytes) -> Awaitable[None] | None:
        """Keep a piece; wait for what this gives before the next one, if it gives something."""
        size = len(piece)
        self.size += size
        self._held += size
        # Attack: each piece costs some fifty bytes beside its own, so a peer that sends byte after
        # byte would take fifty times the memory that is counted. Tiny ones are joined.
        if size < _TINY and self._parts and len(self._parts[-1]) < _TINY:
            self._parts[-1] += piece
        else:
            self._parts.append(piece)
        return self._write_out() if self._held > self._memory else None

    def discard(self) -> None:
        """Let go of everything that came, and of what comes; it is only counted."""
        if self.failure is None:
            self.failure = StoreUnavailable("it was given up")
        self._forget()

    def content(self, start: int = 0) -> bytes | Spilled:
        """Return everything from ``start`` on: ``bytes`` if it never left the memory.

        Raises:
            StoreUnavailable, StoreFull: it could not be kept.
        """
        if self.failure is not None:
            raise self.failure
        if self._file is None:
            if len(self._parts) != 1:
                self._parts = [b"".join(self._parts)]
            whole = self._parts[0]
            return whole[start:] if start else whole
        if start <= self._file.size:
            return Spilled(self._file, start, tuple(self._parts))
        rest = b"".join(self._parts)[start - self._file.size :]
        return Spilled(self._file, self._file.size, (rest,))

    def _write_out(self) -> Awaitable[None] | None:
        if self.failure is not None:
            self._forget()
            return None
        parts, self._parts, self._held = self._parts, [], 0
        return self._append(parts)

    async def _append(self, parts: list[bytes]) -> None:
        """Write to the file, in a thread; a failure is kept for the end.

        Cancelled, it leaves a spill that must not be used.
        """
        try:
            self._file = await asyncio.to_thread(self._append_now, self._file, parts)
        except StoreUnavailable as error:
            self.failure = error
            self._forget()

    def _append_now(self, file: SpillFile | None, parts: list[bytes]) -> SpillFile:
        try:
            if file is None:
                file = self._new_file()
            file.append(parts)
        except OSError as error:
            raise disk_error(error, "cannot write an incoming message") from error
        return file

    def _forget(self) -> None:
        self._parts, self._held, self._file = [], 0, None


def write_whole(descriptor: int, data: bytes) -> None:
    """Write all of it, however many calls that takes.

    Raises:
        OSError: some of it may have been written.
    """
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def write_file(
    path: Path,
    parts: Iterable[bytes | Source],
    seal: Callable[[Iterable[bytes]], Iterable[bytes]] | None = None,
) -> tuple[int, bytes]:
    """Write a new file and wait until its bytes are on disk.

    Args:
        path: of the file.
        parts: one after the other.
        seal: what is written in their place.

    Returns:
        The number of bytes of all parts, and their SHA-256.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    size, digest = 0, hashlib.sha256()

    def plain() -> Iterator[bytes]:
        nonlocal size
        for part in parts:
            for piece in read_pieces(part):
                digest.update(piece)
                size += len(piece)
                yield piece

    try:
        for piece in [] if seal is None else seal(plain()):
            write_whole(descriptor, piece)
        for part in parts if seal is None else ():
            is_copied = isinstance(part, Spilled)
            if isinstance(part, Spilled):
                part.copy_to(descriptor)
            # The kernel has the bytes of a copied file in its cache.
            for piece in read_pieces(part):
                digest.update(piece)
                if not is_copied:
                    write_whole(descriptor, piece)
            size += size_of(part)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return size, digest.digest()
