"""Restore a whole store from a snapshot, into an empty data folder and database.

Laws:
- All rows are written in one transaction, and the file of SQLite gets its name at the end. So a
  restore that is killed leaves no store, and the next one begins anew; files of large messages that
  are there already are not written again.
- UIDs stay. What came after the snapshot had higher UIDs and MODSEQs, which mail programs may know:
  so both jump far ahead, and every message counts as changed (``refill``).
- Nothing is sent by itself: it may have been sent after the snapshot was made.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from zajil.config.options_server import StoreOptions
from zajil.core.clock import Clock
from zajil.core.units import format_size
from zajil.core.value_class import value_class
from zajil.store.backup.manifest import Manifest
from zajil.store.backup.read import Snapshot
from zajil.store.backup.refill import Refill
from zajil.store.blobs.opening import open_blobs
from zajil.store.blobs.prefix import require_free_place
from zajil.store.engine.dialect import Dialect, Fault, Progress
from zajil.store.engine.errors import (
    StoreExists,
    StoreFull,
    StoreUnavailable,
    WrongSchema,
    disk_error,
)
from zajil.store.engine.folder import (
    DATABASE_NAME,
    make_folder,
    new_private_file,
    server_lock,
    sync_folder,
)
from zajil.store.engine.migrate import known_schemas, run_migrations
from zajil.store.engine.node import NODE_FILE
from zajil.store.engine.open import make_dialect
from zajil.store.engine.spill import write_whole
from zajil.store.engine.sqlite import Sqlite
from zajil.store.engine.upgrades import record_upgrade

_DRAFT_NAME = "store.restoring.sqlite"
"""Name of the database of SQLite until it is complete."""


@value_class(frozen=True, slots=True)
class RestoredStore:
    """What a restore did."""

    name: str
    """Of the snapshot."""
    manifest: Manifest
    held: int
    """Recipients whose mail is held in the queue."""
    missing: int
    """Messages whose bytes were missing when the snapshot was made."""


def restore_store(
    snapshot: Snapshot,
    options: StoreOptions,
    data_dir: Path,
    *,
    clock: Clock,
    holds_queue: bool = True,
    renews_validity: bool = False,
    progress: Progress = lambda done, total: None,
) -> RestoredStore:
    """Write everything of a snapshot into a new store.

    Args:
        snapshot: what to restore.
        options: which database; it may be another kind than that of the snapshot.
        data_dir: for the files; created where it is missing.
        clock: for new UIDVALIDITYs.
        holds_queue: mail that waited is held, so that an operator decides about it.
        renews_validity: mailboxes get a new UIDVALIDITY, so that mail programs forget all.
        progress: told of the bytes that are done, and of all.

    Raises:
        StoreExists: there is a store already; nothing was changed.
        StoreInUse: a server uses the data folder.
        StoreFull, StoreUnavailable: it cannot be written.
        WrongSchema: a newer version made the snapshot.
        DamagedBackup, TargetUnavailable: it cannot be read as a whole.
        ForeignPlace: the prefix in S3 for large messages belongs to another store.
        BadStoreKey: the key file for messages cannot be used.
    """
    manifest = snapshot.manifest
    if manifest.schema not in known_schemas():
        raise WrongSchema(
            f"the snapshot has schema {manifest.schema}, this program knows schemas up to "
            f"{known_schemas()[-1]}: install Zajil {manifest.program} or newer"
        )
    make_folder(data_dir)
    blobs = open_blobs(options, data_dir, lambda: None, clock, os.urandom, is_command=True)
    if blobs.writes_objects:
        require_free_place(blobs.objects.bucket)
    with server_lock(data_dir), _new_database(options, data_dir) as dialect:
        _require_space(options, data_dir, manifest)
        with _told(dialect), dialect.creating() as conn:
            run_migrations(conn, to=manifest.schema)
            refill = Refill(snapshot, conn, blobs, clock, progress)
            refill.inline_limit = options.inline_limit
            refill.holds_queue = holds_queue
            refill.renews_validity = renews_validity
            refill.run()
            if manifest.schema != known_schemas()[-1]:
                run_migrations(conn)
                record_upgrade(conn, manifest.schema, known_schemas()[-1])
        _write_node_id(snapshot, data_dir)
    blobs.close()
    return RestoredStore(snapshot.name, manifest, refill.held, refill.missing)


@contextmanager
def _new_database(options: StoreOptions, data_dir: Path) -> Iterator[Dialect]:
    """Return the database to fill; that of SQLite gets its name at the end of the block."""
    if options.url != "sqlite":
        dialect = make_dialect(options, data_dir)
        try:
            yield dialect
        finally:
            dialect.close()
        return
    path, draft = data_dir / DATABASE_NAME, data_dir / _DRAFT_NAME
    if path.exists():
        raise StoreExists(
            f"{path} already exists; nothing was changed. To restore everything, first move the "
            "data folder away"
        )
    _remove(draft)
    database = Sqlite(draft)
    try:
        yield database
        database.close()  # the last connection empties the write-ahead log
        _sync_file(draft)
        draft.rename(path)
        sync_folder(data_dir)
    except OSError as error:
        raise disk_error(error, f"cannot write {path}") from error
    finally:
        database.close()
        _remove(draft)


def _sync_file(draft: Path) -> None:
    log = Path(f"{draft}-wal")
    if log.exists() and log.stat().st_size:
        raise StoreUnavailable(f"the write-ahead log of {draft} could not be written back")
    descriptor = os.open(draft, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(draft: Path) -> None:
    files = [
        draft,
        *(Path(f"{draft}{end}") for end in ("-wal", "-shm")),
        draft.with_suffix(".lock"),
    ]
    for path in files:
        path.unlink(missing_ok=True)


def _require_space(options: StoreOptions, data_dir: Path, manifest: Manifest) -> None:
    """See that there is enough space: SQLite writes everything twice until its log is emptied."""
    rows = sum(chunk.size for table in manifest.tables.values() for chunk in table.chunks)
    times = 2 if options.url == "sqlite" else 1
    size = times * rows + manifest.message_bytes + options.free_space_reserve
    free = shutil.disk_usage(data_dir).free
    if free < size:
        raise StoreFull(
            f"the restored store takes about {format_size(size)} with store.free_space_reserve; "
            f"{format_size(free)} are free in {data_dir}"
        )


@contextmanager
def _told(dialect: Dialect) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        text = " ".join(str(error.orig).split())
        if dialect.fault(error) is Fault.FULL:
            raise StoreFull(f"the disk of the database is full: {text}") from error
        raise StoreUnavailable(f"the database failed: {text}") from error


def _write_node_id(snapshot: Snapshot, data_dir: Path) -> None:
    """Write the id of the node, unless there is one."""
    path = data_dir / NODE_FILE
    for file in snapshot.manifest.files:
        if file.path != NODE_FILE or path.exists():
            continue
        content = snapshot.read_file(file)
        try:
            descriptor = new_private_file(path)
            try:
                write_whole(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise disk_error(error, f"cannot write {path}") from error
