"""Make a snapshot of the whole store, while the server runs or not.

Order: lock of the target, hold, rows (one snapshot of the database), bytes, manifest. What is
written before the manifest belongs to no snapshot; the next backup uses it, and ``prune`` deletes
what is left.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import closing, suppress
from importlib.metadata import version
from types import TracebackType

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.clock import Clock
from zajil.core.moment import utc_datetime
from zajil.core.value_class import value_class
from zajil.store.backup.hold import (
    HOLD_MS,
    PORTION,
    Hold,
    end_hold,
    release_held,
    renew_hold,
    take_hold,
)
from zajil.store.backup.lock import TargetLock
from zajil.store.backup.manifest import (
    Manifest,
    SavedFile,
    TableRows,
    snapshot_names,
    write_manifest,
    write_marker,
)
from zajil.store.backup.packs import HoldLost, Packer
from zajil.store.backup.read import Snapshot, open_snapshot
from zajil.store.backup.rows import PACK_BYTES
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.spool import Rows, RowSpool, count_rows
from zajil.store.backup.target import BackupTarget, DamagedBackup
from zajil.store.backup.write import ObjectWriter
from zajil.store.engine.dialect import Progress
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.migrate import require_known
from zajil.store.engine.open import Store
from zajil.store.schema import blob

_ROW_BYTES = 200
"""A row counts as so many bytes of the work."""


@value_class(frozen=True, slots=True)
class FileContent:
    """A file that is saved beside the store."""

    path: str
    mode: int
    content: bytes


@value_class(frozen=True, slots=True)
class Created:
    """What a backup did."""

    name: str
    """Of the snapshot."""
    manifest: Manifest


def create_snapshot(
    store: Store,
    target: BackupTarget,
    seal: BackupSeal,
    *,
    clock: Clock,
    files: Sequence[FileContent] = (),
    left_out: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> Created:
    """Make a snapshot.

    Args:
        store: opened, started or not.
        target: where to; created where it is missing.
        seal: of the target.
        clock: for times.
        files: saved as well.
        left_out: sentences about files that cannot be saved.
        progress: told of the bytes that are done, and of all.

    Raises:
        WrongSchema: a newer version made some of the tables.
        TargetInUse: another program writes to the target.
        WrongKey, UnknownFormat: the target was written in another way.
        TargetUnavailable, StoreUnavailable, SpoolFailed, HoldLost: it cannot be made now; nothing
            is lost, and the next one goes on from what was written.
    """
    store.read_now(require_known)
    target.prepare()
    write_marker(target, seal)
    with TargetLock(target, clock) as lock, _Holding(store, clock) as hold:
        begun_ms = clock.now_ms()
        target.tidy()

        def beat() -> None:
            lock.renew()
            hold.renew()

        writer = ObjectWriter(target, seal, beat)
        before = _last_snapshot(target, seal)
        work = _Work(clock, progress)
        with closing(RowSpool(store.data_dir, writer, store.require_space)) as spool:
            rows = store.read_now(lambda conn: work.read_rows(conn, spool))
            spool.upload()
            blobs, packs, missing = _write_blobs(store, writer, before, work, spool)
        hold.renew()
        saved = [_save(writer, file) for file in files]
        lock.renew()
        manifest = Manifest(
            program=version("zajil"),
            schema=rows.schema,
            database=work.database,
            node=store.node_id,
            begun_ms=begun_ms,
            taken_ms=work.taken_ms,
            ended_ms=clock.now_ms(),
            tables={**rows.tables, blob.name: blobs},
            packs=tuple(packs.items()),
            sequences=rows.sequences,
            files=tuple(saved),
            left_out=(*left_out, *missing),
            messages=rows.messages,
            message_bytes=rows.message_bytes,
            accounts=rows.tables["account"].rows,
            added_bytes=writer.added,
        )
        name = write_manifest(target, seal, _stamp(work.taken_ms), manifest)
    return Created(name, manifest)


def _write_blobs(
    store: Store, writer: ObjectWriter, before: Snapshot | None, work: _Work, spool: RowSpool
) -> tuple[TableRows, dict[str, int], list[str]]:
    try:
        packer = Packer(store, writer, before, work.count)
        blobs, packs = packer.run(spool)
    except DamagedBackup:
        # The last snapshot cannot be read, so all messages are read again.
        packer = Packer(store, writer, None, work.count)
        blobs, packs = packer.run(spool)
    unnamed = packer.missing_count - len(packer.missing)
    more = [f"{unnamed} more messages that are missing or damaged"] if unnamed else []
    return blobs, packs, packer.missing + more


def _last_snapshot(target: BackupTarget, seal: BackupSeal) -> Snapshot | None:
    for name in reversed(snapshot_names(target)):
        with suppress(DamagedBackup):
            return open_snapshot(target, seal, name)
    return None


def _stamp(at_ms: int) -> str:
    return f"{utc_datetime(at_ms):%Y%m%d-%H%M%S}-{at_ms % 1000:03}"


def _save(writer: ObjectWriter, file: FileContent) -> SavedFile:
    names = [
        writer.put(file.content[start : start + PACK_BYTES])
        for start in range(0, len(file.content), PACK_BYTES)
    ]
    return SavedFile(file.path, file.mode, len(file.content), tuple(names))


class _Work:
    """What is done of a backup."""

    def __init__(self, clock: Clock, progress: Progress) -> None:
        self._clock = clock
        self._progress = progress
        self._done = self._total = 0
        self.taken_ms = 0
        self.database = ""

    def read_rows(self, conn: Connection, spool: RowSpool) -> Rows:
        """Read all rows; the work is known from now on."""
        rows = count_rows(conn)  # the first statement: the snapshot is of this time
        self.taken_ms = self._clock.now_ms()
        self.database = conn.dialect.name
        size = conn.scalar(sa.select(sa.func.sum(blob.c.size))) or 0
        self._total = rows * _ROW_BYTES + int(size)
        return spool.read_all(conn, lambda count: self.count(count * _ROW_BYTES))

    def count(self, size: int) -> None:
        """Say that so many bytes are done."""
        self._done = min(self._done + size, self._total)
        self._progress(self._done, self._total)


class _Holding:
    """A hold, for a ``with`` block; at its end what it kept is deleted."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._id = secrets.token_hex(16)

    def __enter__(self) -> _Holding:
        self._store.write_now(take_hold, self._item())
        return self

    def renew(self) -> None:
        """Prolong it.

        Raises:
            HoldLost: it had ended.
        """
        if not self._store.write_now(renew_hold, self._item()):
            raise HoldLost(
                "the backup was suspended for too long, and messages may have been deleted that "
                "it needs: run it again"
            )

    def _item(self) -> Hold:
        return Hold(self._id, self._clock.now_ms() + HOLD_MS)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What cannot be done now, the server does (``app.upkeep``).
        with suppress(StoreUnavailable):
            self._store.write_now(end_hold, self._id)
            while self._store.write_now(release_held, PORTION) == PORTION:
                pass
