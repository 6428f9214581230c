"""Open the store: check that it is ours and current, wire its parts.

``prepare_store`` runs once, before the workers fork, and leaves nothing open; ``open_store`` runs
in each worker after the fork, because neither threads nor connections survive one.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.config.options import StoreOptions
from zajil.core.clock import Clock, Random
from zajil.core.units import format_size
from zajil.store.batch import DIRECTORY, Batch
from zajil.store.blobs import Blobs
from zajil.store.changes import Changes
from zajil.store.dialect import Dialect, Postgres, Sqlite
from zajil.store.directory import Directory
from zajil.store.errors import ReserveReached, StoreUnavailable
from zajil.store.hints import Datagrams, Hints, Notifications
from zajil.store.migrate import migrate
from zajil.store.reader import Reader
from zajil.store.tracking import EventBatch, record_events
from zajil.store.writer import Unit, Writer

T = TypeVar("T")
R = TypeVar("R")

_ORPHAN_AGE_MS = 86_400_000
"""No transaction takes a day from staging its blob to its commit."""

_FREE_SPACE_AGE_MS = 1000
"""The reserve is far larger than what comes in within this time."""


class Store:
    """One open store: units of work go in, snapshots come out."""

    def __init__(
        self,
        options: StoreOptions,
        data_dir: Path,
        dialect: Dialect,
        hints: Hints,
        clock: Clock,
        random: Random,
    ) -> None:
        self._options = options
        self._data_dir = data_dir
        self._observer: Callable[[Sequence[EventBatch]], None] | None = None
        self._dialect = dialect
        self._clock = clock
        self._free_space = (0, -_FREE_SPACE_AGE_MS)
        """Bytes, and when they were counted."""
        self.blobs = Blobs(
            data_dir / "blobs", options.inline_limit, self.require_space, clock, random
        )
        self.reader = Reader(dialect)
        self.changes = Changes(dialect, hints, self.reader)
        self.directory = Directory(self.reader.read)
        self.changes.subscribe(DIRECTORY, self.directory.forget)
        self.writer = Writer(
            dialect,
            max_batch=options.max_batch,
            require_space=self.require_space,
            after_commit=self._after_commit,
            announce=self.changes.announce,
            observe=self._observe,
            lose=self._lose,
        )
        self.read = self.reader.read
        """``await read(query, account_id)``: run ``query(conn)`` in a snapshot, in a reader
        thread, for an account or for nobody in particular."""
        self.work = self.reader.work
        """``await work(task, account_id)``: run ``task()`` in a reader thread, for an account."""
        self.read_now = self.reader.read_now
        """The same in this thread: for the command line and tests."""

    async def write(self, unit: Unit[T, R], item: T) -> R:
        """Run ``unit(tx, [item, ...])`` in the next batch; returns after its commit.

        Raises:
            StoreUnavailable: it may or may not be on disk: answer 4yz.
        """
        return await self.writer.write(unit, item)

    def write_later(self, unit: Unit[T, R], item: T) -> None:
        """Run a unit in the next batch; nobody waits, and of a failure the observer alone hears."""
        self.writer.write_later(unit, item)

    def observe(self, observer: Callable[[Sequence[EventBatch]], None]) -> None:
        """Have one observer told of all tracking events of this process: the log.

        Called in the event loop: of what comes with mails after the commit that holds it; of what
        nobody waits for also when it could not be written, for it happened all the same.
        """
        self._observer = observer

    def write_now(self, unit: Unit[T, R], item: T) -> R:
        """Run a unit in this thread, in a commit of its own: for the command line and tests."""
        return self.writer.write_now(unit, item)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the threads; ``close`` ends them.

        Raises:
            StoreUnavailable: the line to the other workers cannot be opened.
        """
        try:
            self.changes.start(loop)
        except (OSError, sa.exc.DBAPIError) as error:
            raise StoreUnavailable(f"cannot listen to other workers: {error}") from error
        self.reader.start()
        self.writer.start(loop)

    async def close(self) -> None:
        """Write what waits, then let go of everything; writes and reads fail from now on."""
        await self.writer.close()
        await self.changes.close()
        await self.reader.close()
        self._dialect.close()

    def close_now(self) -> None:
        """Let go of a store that was never started, or is closed already."""
        self.changes.close_now()
        self._dialect.close()

    def require_space(self) -> None:
        """Demand the reserve of free space.

        Raises:
            ReserveReached: less is free on the disk of the data folder.
        """
        free, seen_ms = self._free_space
        now_ms = self._clock.now_ms()
        if abs(now_ms - seen_ms) >= _FREE_SPACE_AGE_MS:
            disk = os.statvfs(self._data_dir)
            free = disk.f_bavail * disk.f_frsize
            self._free_space = (free, now_ms)
        if free < self._options.free_space_reserve:
            raise ReserveReached(
                f"{format_size(free)} free in {self._data_dir}, less than store.free_space_reserve"
            )

    def sweep(self) -> int:
        """Remove files of blobs that crashes left without a row; returns how many."""
        older_than_ms = self._clock.now_ms() - _ORPHAN_AGE_MS
        return self.read_now(lambda conn: self.blobs.sweep(conn, older_than_ms))

    def _observe(self, batches: Sequence[EventBatch]) -> None:
        if self._observer is not None:
            self._observer(batches)

    def _lose(self, unit: Unit[Any, Any], item: Any, _error: Exception) -> None:
        if unit is record_events:
            self._observe((item,))

    def _after_commit(self, conn: Connection, batch: Batch) -> None:
        if batch.touched:
            self.changes.announce_on(conn, batch.touched)
        self.blobs.unlink(batch.released_files)


def prepare_store(options: StoreOptions, data_dir: Path, *, clock: Clock) -> None:
    """Create the store if there is none, bring its schema up to date, sweep what crashes left.

    Raises:
        StoreUnavailable: one sentence that says why there is no store to open.
    """
    store = open_store(options, data_dir, clock=clock, random=os.urandom)
    try:
        store.sweep()
    finally:
        store.close_now()


def open_store(
    options: StoreOptions, data_dir: Path, *, clock: Clock, random: Random, worker: int = 0
) -> Store:
    """Open the store of this process; ``start`` it to read and write from a loop.

    Args:
        options: where the rows lie.
        data_dir: where the files lie; created if it is missing.
        clock: for the ids of blobs.
        random: for the ids of blobs.
        worker: number of this worker among those of one server.

    Raises:
        StoreUnavailable: one sentence that says why there is no store to open.
    """
    _claim_folder(data_dir)
    mark = f"{worker}-{os.getpid()}-{random(4).hex()}"
    if options.url == "sqlite":
        sqlite = Sqlite(data_dir / "store.sqlite")
        dialect: Dialect = sqlite
        hints: Hints = Datagrams(data_dir / "run" / "changes", mark)
    elif options.url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        postgres = Postgres(options.url)
        dialect, hints = postgres, Notifications(postgres, mark)
    else:
        raise StoreUnavailable("store.url is neither 'sqlite' nor a 'postgresql://' address")
    try:
        migrate(dialect)
    except BaseException:
        hints.close()
        dialect.close()
        raise
    return Store(options, data_dir, dialect, hints, clock, random)


def _claim_folder(data_dir: Path) -> None:
    """Make the data folder, or see that it is ours."""
    me = os.geteuid()
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (data_dir / "store.sqlite", data_dir / "blobs", data_dir):
            if not path.exists():
                continue
            owner = path.stat().st_uid
            # Also root: files it creates beside the database would lock the owner out.
            if owner != me:
                raise StoreUnavailable(
                    f"{path} belongs to user {_user_name(owner)}; run this as that user"
                )
            break
        (data_dir / "blobs").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot use the data folder {data_dir}: {error.strerror or error}"
        ) from error
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        raise StoreUnavailable(f"no permission to write to the data folder {data_dir}")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
