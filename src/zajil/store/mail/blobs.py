"""The bytes of messages: small ones in a row, large ones in a file of their own.

Laws:
- A blob never changes. Its id is random and its own.
- A file is on disk, and its folder too, before the transaction that names it commits.
- A file is unlinked only after the commit that took its row away.
- So a crash can leave a file without a row, never a row without a file; ``sweep`` finds the former.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.clock import Clock, Random
from zajil.core.errors import NotFound
from zajil.core.ids import ID_RANDOM_SIZE, BlobId, new_blob_id
from zajil.core.value_class import value_class
from zajil.message.source import Source
from zajil.store.engine.batch import release_files, time_of
from zajil.store.engine.errors import StoreUnavailable, disk_error
from zajil.store.engine.folder import sync_folder
from zajil.store.engine.rows import execute_text, insert_rows, mark_of, marks_of, portions
from zajil.store.engine.spill import Spill, SpillFile, write_file
from zajil.store.mail.blob_reader import BegunReader, BlobReader
from zajil.store.schema import blob


class NoSuchBlob(NotFound):
    """No message and no mail refers to it any more."""


@value_class(frozen=True, slots=True)
class StagedBlob:
    """A blob on its way: ``write_blobs`` makes its row, in the transaction that refers to it."""

    blob_id: BlobId
    size: int
    content: bytes | None
    """``None``: it lies in a file already, at ``location``."""
    location: str | None
    """Path below the folder of blobs."""
    digest: bytes
    """SHA-256 of its bytes."""


class Blobs:
    """Stages new blobs and reads old ones; one for each open store."""

    def __init__(
        self,
        folder: Path,
        inline_limit: int,
        require_space: Callable[[], None],
        clock: Clock,
        random: Random,
    ) -> None:
        self._folder = folder
        self._inline_limit = inline_limit
        self._require_space = require_space
        self._clock = clock
        self._random = random

    def stage(self, parts: Sequence[bytes]) -> StagedBlob:
        """Take a message into memory; it becomes durable in the commit that refers to it.

        For messages up to ``store.inline_limit``; ``stage_any`` takes those of any size.
        """
        content = parts[0] if len(parts) == 1 else b"".join(parts)
        return _in_memory(self._new_id(), content)

    async def stage_any(self, parts: Sequence[bytes | Source]) -> StagedBlob:
        """Take a message of any size; a large one is on disk when this returns.

        Waits on the disk, in a thread. Cancelled, it leaves at most a file that ``sweep`` finds.

        Raises:
            StoreFull, StoreUnavailable: the file could not be written.
        """
        small = [part for part in parts if isinstance(part, bytes)]
        if len(small) == len(parts) and sum(map(len, small)) <= self._inline_limit:
            return self.stage(small)
        return await asyncio.to_thread(self.stage_now, parts)

    def stage_now(self, parts: Iterable[bytes | Source]) -> StagedBlob:
        """Write a message to a file of its own, and wait for the disk.

        Args:
            parts: one after the other.

        Raises:
            StoreFull, StoreUnavailable: the file could not be written.
        """
        blob_id = self._new_id()
        return self._stage_file(blob_id, location_of(blob_id), parts)

    def stage_again(self, blob_id: BlobId, size: int, parts: Iterable[bytes]) -> StagedBlob:
        """Take the bytes of a blob that was removed, under the id that it had.

        A large one goes to a file. Its old one may still be there, about to be unlinked by whoever
        removed the blob; then the new one goes to another folder. ``size``: bytes of all parts.

        Raises:
            StoreFull, StoreUnavailable: the file could not be written.
        """
        if size <= self._inline_limit:
            return _in_memory(blob_id, b"".join(parts))
        location = location_of(blob_id)
        while (self._folder / location).exists():
            location = f"{self._random(1).hex()}/{blob_id}"
        return self._stage_file(blob_id, location, parts)

    def _stage_file(
        self, blob_id: BlobId, location: str, parts: Iterable[bytes | Source]
    ) -> StagedBlob:
        self._require_space()
        path = self._folder / location
        try:
            self._make_folder(path.parent)
            size, digest = write_file(path, parts)
            sync_folder(path.parent)
        except BaseException as error:
            with contextlib.suppress(OSError):
                path.unlink()
            if isinstance(error, OSError):
                raise disk_error(error, f"cannot write a large message to {path}") from error
            raise
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
        return self._open_as(row.size, row.content, row.location)

    def open_row(
        self, conn: Connection, blob_id: BlobId, size: int, content: bytes | None, location: str
    ) -> BlobReader:
        """Open a blob whose row was read; the caller closes it.

        Args:
            conn: the snapshot.
            blob_id: in case more of it is read than was.
            size: of the whole blob.
            content: its bytes, or the first of them; ``None``: it is in a file.
            location: of the file.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        if content is None or len(content) >= size:
            return self._open_as(size, content, location)
        return BegunReader(size, bytes(content), lambda: self.read(conn, blob_id))

    def _open_as(self, size: int, content: bytes | None, location: str) -> BlobReader:
        if content is not None:
            return BlobReader(size, bytes(content), None)
        return self.open_file(size, location)

    def open_file(self, size: int, location: str) -> BlobReader:
        """Open a blob whose row says that it is in a file; the caller closes it.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        path = self._folder / location
        try:
            return BlobReader(size, None, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise StoreUnavailable(f"cannot read the message in {path}: {error.strerror}") from None

    def unlink(self, locations: Iterable[str]) -> None:
        """Remove files whose rows are gone; the writer calls it after the commit."""
        for location in locations:
            # What cannot be removed now is found by ``sweep``.
            with contextlib.suppress(OSError):
                (self._folder / location).unlink()

    def discard(self, staged: StagedBlob) -> None:
        """Remove a staged blob that no transaction will name; only if that is certain."""
        if staged.location is not None:
            self.unlink([staged.location])

    def orphans(self, conn: Connection, older_than_ms: int) -> list[str]:
        """List files that no row names: what crashes between staging and commit left.

        Args:
            conn: a snapshot.
            older_than_ms: a younger file may belong to a transaction that is under way.

        Returns:
            Paths below the folder of blobs.
        """
        found: list[str] = []
        for folder in sorted(filter(Path.is_dir, self._folder.glob("??"))):
            old = [
                path.name
                for path in sorted(folder.iterdir())
                if path.stat().st_mtime_ns // 1_000_000 < older_than_ms
            ]
            known = set(conn.scalars(sa.select(blob.c.location).where(blob.c.id.in_(old))))
            paths = [f"{folder.name}/{name}" for name in old]
            found += [path for path in paths if path not in known]
        return found

    def sweep(self, conn: Connection, older_than_ms: int) -> int:
        """Remove what ``orphans`` lists; gives how many there were."""
        found = self.orphans(conn, older_than_ms)
        self.unlink(found)
        return len(found)

    def file_of(self, location: str) -> Path:
        """Return the path of a file that a row names."""
        return self._folder / location

    def _new_id(self) -> BlobId:
        return new_blob_id(self._clock.now_ms(), self._random(ID_RANDOM_SIZE))

    def _make_folder(self, folder: Path) -> None:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self._folder)

    def _new_spill_file(self) -> SpillFile:
        # Where blobs lie: so it is the disk whose space was looked at, and a copy to a blob stays
        # within one file system. What a crash leaves of it has the name of a blob: sweep finds it.
        self._require_space()
        path = self._folder / location_of(self._new_id())
        self._make_folder(path.parent)
        return SpillFile(path)


# ---- inside the writer's transaction ------------------------------------------------------------


def write_blobs(tx: Connection, staged: Sequence[StagedBlob]) -> None:
    """Make the rows of staged blobs, in the transaction of the rows that refer to them."""
    # SQLite's driver looks for an adapter of ``bytes``, and takes a bytearray as it is.
    insert_rows(
        tx,
        _COLUMNS,
        [
            (
                one.blob_id,
                one.size,
                one.content and bytearray(one.content),
                one.location,
                bytearray(one.digest),
            )
            for one in staged
        ],
    )


def keep_blobs(tx: Connection, blob_ids: Iterable[BlobId]) -> None:
    """Hold old blobs until the commit, so that a new row may refer to them (COPY).

    Raises:
        NoSuchBlob: one of them went meanwhile.
    """
    wanted = sorted(set(blob_ids))
    found: set[BlobId] = set()
    lock = " ORDER BY id FOR KEY SHARE" if tx.dialect.name == "postgresql" else ""
    for some in portions(wanted):
        # The names are constants.
        query = f"SELECT id FROM blob WHERE id IN {marks_of(tx, some)}{lock}"  # noqa: S608
        found.update(BlobId(row[0]) for row in execute_text(tx, query, some))
    for blob_id in wanted:
        if blob_id not in found:
            raise NoSuchBlob(blob_id)


def release_blobs(tx: Connection, blob_ids: Iterable[BlobId]) -> None:
    """Delete those of the blobs that no message, deleted or not, and no mail refers to any more.

    While a backup runs they are marked instead, and deleted later (``store.backup.hold``).

    Call it after the rows that referred to them are gone. Locks the blobs until the commit; their
    files are unlinked after it.
    """
    ids = sorted(set(blob_ids))
    if not ids:
        return
    # Two transactions that each take one of the last two references away must meet here, or
    # each sees the other's reference still there and nobody deletes the blob.
    if tx.dialect.name == "postgresql":
        tx.execute(
            sa.select(blob.c.id).where(blob.c.id.in_(ids)).order_by(blob.c.id).with_for_update()
        )
    is_held = is_backup_running(tx)
    for some in portions(ids):
        # The names are constants.
        free_ones = f"FROM blob WHERE id IN {marks_of(tx, some)} AND {_UNUSED}"
        if is_held:
            mark = f"INSERT INTO held_blob (blob_id) SELECT id {free_ones} ON CONFLICT DO NOTHING"
            execute_text(tx, mark, some)
            continue
        gone = execute_text(tx, f"DELETE {free_ones} RETURNING id, location", some)
        if gone:
            free = [blob_id for blob_id, _ in gone]
            forget = f"DELETE FROM summary WHERE blob_id IN {marks_of(tx, free)}"  # noqa: S608
            execute_text(tx, forget, free)
        release_files(tx, [location for _, location in gone if location is not None])


_UNUSED = (
    "NOT EXISTS (SELECT 1 FROM message WHERE message.blob_id = blob.id)"
    " AND NOT EXISTS (SELECT 1 FROM mail WHERE mail.blob_id = blob.id)"
    " AND NOT EXISTS (SELECT 1 FROM deleted_message WHERE blob_id = blob.id)"
)


def is_backup_running(tx: Connection) -> bool:
    """Return whether a backup runs that may still have to read what is deleted now.

    On PostgreSQL this locks the table until the commit, so that a backup that begins waits for it
    (``store.backup.hold.take_hold``).
    """
    query = f"SELECT 1 FROM backup_hold WHERE until_ms > {mark_of(tx)} LIMIT 1"  # noqa: S608
    return bool(execute_text(tx, query, (time_of(tx),)))


_COLUMNS = (blob.c.id, blob.c.size, blob.c.content, blob.c.location, blob.c.digest)
_AT_ONCE = 1000
"""Rows named in one statement: below SQLite's 32,766 parameters."""
_FIND_ALL = sa.select(blob.c.id, blob.c.size, blob.c.content, blob.c.location).where(
    blob.c.id.in_(sa.bindparam("ids_", expanding=True))
)
_FIND = sa.select(blob.c.size, blob.c.content, blob.c.location).where(
    blob.c.id == sa.bindparam("id_")
)


def _in_memory(blob_id: BlobId, content: bytes) -> StagedBlob:
    return StagedBlob(blob_id, len(content), content, None, hashlib.sha256(content).digest())


def location_of(blob_id: BlobId) -> str:
    """Return the path below the folder of blobs that the file of a blob has."""
    # The last two characters are random: 1024 folders of like size.
    return f"{blob_id[-2:]}/{blob_id}"
