"""The bytes of messages: small ones in a row, large ones in a file or in S3 (``store.blobs``).

Laws:
- A blob never changes. Its id is random and its own.
- The bytes are durable before the transaction that names them commits, and removed only after the
  commit that took their row away.
- So a crash can leave bytes without a row, never a row without bytes; sweeps find the former.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.clock import Clock, Random
from zajil.core.errors import NotFound
from zajil.core.ids import ID_RANDOM_SIZE, BlobId, new_blob_id
from zajil.core.value_class import value_class
from zajil.message.source import Source, size_of
from zajil.store.blobs.files import BlobFiles
from zajil.store.blobs.keys import StoreKeys
from zajil.store.blobs.location import OBJECT, parse_location
from zajil.store.engine.errors import BytesAway
from zajil.store.engine.spill import Spill, SpillFile
from zajil.store.mail.blob_reader import BegunReader, BlobReader
from zajil.store.schema import blob

if TYPE_CHECKING:
    from zajil.store.blobs.objects import Objects


class NoSuchBlob(NotFound):
    """No message and no mail refers to it any more."""


@value_class(frozen=True, slots=True)
class StagedBlob:
    """A blob on its way: ``write_blobs`` makes its row, in the transaction that refers to it."""

    blob_id: BlobId
    size: int
    content: bytes | None
    """``None``: its bytes lie at ``location`` already."""
    location: str | None
    """Of a file or an object (``store.blobs.location``)."""
    digest: bytes
    """SHA-256 of its bytes."""


class Blobs:
    """Stages new blobs and reads old ones; one for each open store."""

    def __init__(
        self,
        files: BlobFiles,
        inline_limit: int,
        clock: Clock,
        random: Random,
        *,
        keys: StoreKeys | None = None,
        objects: Callable[[], Objects] | None = None,
        writes_objects: bool = False,
    ) -> None:
        """Take what is needed; nothing is opened yet.

        Args:
            files: those of this node.
            inline_limit: larger messages are not kept in rows.
            clock: for ids.
            random: for ids.
            keys: that new ones outside of rows are encrypted with; ``None``: they are not.
            objects: makes what reaches S3, when it is used first; ``None``: no message is there.
            writes_objects: new large messages go to S3.
        """
        self.files = files
        self.keys = keys
        """For what is not in rows; ``None``: it is not encrypted."""
        self._inline_limit = inline_limit
        self._clock = clock
        self._random = random
        self._make_objects = objects
        self._objects: Objects | None = None
        self.writes_objects = writes_objects
        """Whether new large messages go to S3."""

    @property
    def reads_objects(self) -> bool:
        """Whether the configuration says where messages in S3 are."""
        return self._make_objects is not None

    @property
    def objects(self) -> Objects:
        """The messages in S3.

        Raises:
            StoreUnavailable: the configuration names no bucket, or it cannot be used.
        """
        if self._objects is None:
            if self._make_objects is None:
                raise BytesAway(
                    "the message is in S3, and neither store.blobs nor store.s3.place says where"
                )
            self._objects = self._make_objects()
        return self._objects

    def close(self) -> None:
        """Begin no more uploads."""
        if self._objects is not None:
            self._objects.close()

    def stage(self, parts: Sequence[bytes]) -> StagedBlob:
        """Take a message into memory; it becomes durable in the commit that refers to it.

        For messages up to ``store.inline_limit``; ``stage_any`` takes those of any size.
        """
        content = parts[0] if len(parts) == 1 else b"".join(parts)
        return _in_memory(self._new_id(), content)

    async def stage_any(self, parts: Sequence[bytes | Source]) -> StagedBlob:
        """Take a message of any size; a large one is on disk or in S3 when this returns.

        Waits in a thread. Cancelled, it leaves at most what a sweep finds.

        Raises:
            StoreFull, StoreUnavailable: it could not be written.
        """
        small = [part for part in parts if isinstance(part, bytes)]
        if len(small) == len(parts) and sum(map(len, small)) <= self._inline_limit:
            return self.stage(small)
        return await self.stage_apart(parts)

    async def stage_apart(self, parts: Sequence[bytes | Source]) -> StagedBlob:
        """Take a message to a file or to S3, also a small one; otherwise as ``stage_any``."""
        if not self.writes_objects:
            return await asyncio.to_thread(self.stage_now, parts)
        # Security: in threads of their own, which are few: an S3 that hangs holds up nothing else.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.objects.threads, self.stage_now, parts)

    def stage_now(self, parts: Iterable[bytes | Source]) -> StagedBlob:
        """Write a message to a file or to S3, and wait until it is durable.

        Args:
            parts: one after the other.

        Raises:
            StoreFull, StoreUnavailable: it could not be written.
        """
        blob_id = self._new_id()
        if self.writes_objects:
            parts = list(parts)
            return self._stage_object(blob_id, parts, sum(map(size_of, parts)))
        return self._stage_file(blob_id, self.files.new_location(blob_id), parts)

    def stage_again(self, blob_id: BlobId, size: int, parts: Iterable[bytes]) -> StagedBlob:
        """Take the bytes of a blob that was removed, under the id that it had.

        The bytes that it had may still be there, about to be removed: a large one never goes to
        the same place. ``size``: bytes of all parts.

        Raises:
            StoreFull, StoreUnavailable: it could not be written.
        """
        if size <= self._inline_limit:
            return _in_memory(blob_id, b"".join(parts))
        return self.stage_large(blob_id, size, parts, to_objects=self.writes_objects)

    def stage_large(
        self, blob_id: BlobId, size: int, parts: Iterable[bytes], *, to_objects: bool
    ) -> StagedBlob:
        """Take the bytes of a blob to a file or to S3; otherwise as ``stage_again``."""
        if to_objects:
            return self._stage_object(blob_id, parts, size)
        return self._stage_file(blob_id, self.files.free_location(blob_id), parts)

    def _stage_file(
        self, blob_id: BlobId, location: str, parts: Iterable[bytes | Source]
    ) -> StagedBlob:
        size, digest = self.files.write(blob_id, location, parts)
        return StagedBlob(blob_id, size, None, location, digest)

    def _stage_object(
        self, blob_id: BlobId, parts: Iterable[bytes | Source], size: int
    ) -> StagedBlob:
        location, digest = self.objects.put(blob_id, parts, size)
        return StagedBlob(blob_id, size, None, location, digest)

    def spill(self, memory: int | None = None) -> Spill:
        """Begin to take bytes of which nobody knows how many will come.

        Args:
            memory: how many are kept in memory before the rest goes to a file; ``None``: as many
                as a row may hold (``store.inline_limit``).
        """
        return Spill(self._new_spill_file, self._inline_limit if memory is None else memory)

    def read(self, conn: Connection, blob_id: BlobId) -> bytes:
        """Return all bytes of a blob.

        Raises:
            NoSuchBlob: there is no such row.
            StoreUnavailable: its file cannot be read.
        """
        with self.open(conn, blob_id) as reader:
            return reader.read_at(0, reader.size)

    def open(self, conn: Connection, blob_id: BlobId) -> BlobReader:
        """Open a blob for random access; the caller closes it.

        Raises:
            NoSuchBlob: there is no such row.
            StoreUnavailable: its file cannot be read.
        """
        row = conn.execute(_FIND, {"id_": blob_id}).one_or_none()
        if row is None:
            raise NoSuchBlob(blob_id)
        return self._open(row)

    def open_all(
        self, conn: Connection, blob_ids: Sequence[BlobId]
    ) -> dict[BlobId, Callable[[], BlobReader]]:
        """Look up blobs with one statement for many; opening one may raise as ``open`` does.

        Returns:
            For each blob that is there a function that opens it, as often as it is called.
        """
        opened: dict[BlobId, Callable[[], BlobReader]] = {}
        wanted = list(dict.fromkeys(blob_ids))
        for start in range(0, len(wanted), _AT_ONCE):
            rows = conn.execute(_FIND_ALL, {"ids_": wanted[start : start + _AT_ONCE]})
            opened.update((row.id, functools.partial(self._open, row)) for row in rows)
        return opened

    def _open(self, row: Any) -> BlobReader:
        return self._open_as(row.size, row.content, row.location, row.digest)

    def open_row(
        self,
        conn: Connection,
        blob_id: BlobId,
        size: int,
        content: bytes | None,
        location: str,
        digest: bytes | None,
    ) -> BlobReader:
        """Open a blob whose row was read; the caller closes it.

        Args:
            conn: the snapshot.
            blob_id: in case more of it is read than was.
            size: of the whole blob.
            content: its bytes, or the first of them; ``None``: they are not in the row.
            location: of them, then.
            digest: of the whole blob; ``None``: it is not known.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        if content is None or len(content) >= size:
            return self._open_as(size, content, location, digest)
        return BegunReader(size, bytes(content), lambda: self.read(conn, blob_id))

    def _open_as(
        self, size: int, content: bytes | None, location: str, digest: bytes | None
    ) -> BlobReader:
        if content is not None:
            return BlobReader(size, bytes(content), None)
        return self.open_place(size, location, digest)

    def open_place(self, size: int, location: str, digest: bytes | None) -> BlobReader:
        """Open a blob whose row says that it is in a file or in S3; the caller closes it.

        An object may have to come from S3: wait for it in a thread.

        Args:
            size: of the message.
            location: from its row.
            digest: SHA-256 of the message; ``None``: it is not known.

        Raises:
            StoreUnavailable: it cannot be read.
            BytesAway: it cannot be read now.
        """
        place = parse_location(location)
        if place.is_object:
            return self.objects.open(place, size, digest)
        return self.files.open(place, size)

    def discard(self, staged: StagedBlob) -> None:
        """Remove a staged blob that no transaction will name; only if that is certain."""
        if staged.location is None:
            return
        if staged.location.startswith(OBJECT):
            self.objects.delete_later(staged.location)
        else:
            self.files.unlink([staged.location])

    def sweep(self, conn: Connection, older_than_ms: int) -> int:
        """Remove the files that no row names; return how many there were."""
        found = self.files.orphans(conn, older_than_ms)
        self.files.unlink(found)
        return len(found)

    def _new_id(self) -> BlobId:
        return new_blob_id(self._clock.now_ms(), self._random(ID_RANDOM_SIZE))

    def _new_spill_file(self) -> SpillFile:
        return self.files.new_spill_file(self._new_id())


_AT_ONCE = 1000
"""Rows named in one statement: below SQLite's 32,766 parameters."""
_FIND_ALL = sa.select(blob.c.id, blob.c.size, blob.c.content, blob.c.location, blob.c.digest).where(
    blob.c.id.in_(sa.bindparam("ids_", expanding=True))
)
_FIND = sa.select(blob.c.size, blob.c.content, blob.c.location, blob.c.digest).where(
    blob.c.id == sa.bindparam("id_")
)


def _in_memory(blob_id: BlobId, content: bytes) -> StagedBlob:
    return StagedBlob(blob_id, len(content), content, None, hashlib.sha256(content).digest())
