"""Open the store: check that it is ours and current, wire its parts.

It is never made or upgraded here: ``store.engine.life`` does both. ``open_store`` runs in each
worker after the fork, because neither threads nor connections survive one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.config.kinds import DATABASE_SCHEMES
from zajil.config.options_server import StoreOptions
from zajil.core.clock import Clock, Random
from zajil.core.ids import AccountId, MailboxId, NodeId
from zajil.core.units import format_size
from zajil.store.blobs.opening import open_blobs
from zajil.store.engine.batch import DIRECTORY, Batch
from zajil.store.engine.changes import Changes
from zajil.store.engine.dialect import Dialect
from zajil.store.engine.errors import ReserveReached, StoreUnavailable
from zajil.store.engine.folder import DATABASE_NAME, claim_folder
from zajil.store.engine.hints import Datagrams, Hints
from zajil.store.engine.migrate import require_usable, told_in_one_sentence
from zajil.store.engine.node import load_node_id, own_facts
from zajil.store.engine.nodes import join_node
from zajil.store.engine.reader import Reader
from zajil.store.engine.sqlite import Sqlite
from zajil.store.engine.standing import NodeStanding
from zajil.store.engine.turns import Turns
from zajil.store.engine.writer import Unit, Writer
from zajil.store.mail.caps import Caps
from zajil.store.mail.header_columns import HeaderColumns
from zajil.store.mail.mailboxes import require_uid
from zajil.store.mail.message_tables import MessageTables
from zajil.store.mail.refusals import record_refused
from zajil.store.mail.text_cache import TextCache
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.mail.value_cache import ValueCache
from zajil.store.people.directory import Directory

if TYPE_CHECKING:
    from zajil.store.engine.postgres import Postgres
    from zajil.store.engine.replica import Replica

T = TypeVar("T")
R = TypeVar("R")

ORPHAN_AGE_MS = 86_400_000
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
        standing: NodeStanding,
        clock: Clock,
        random: Random,
        caps: Caps,
        worker: int | None,
        replica: Replica | None = None,
    ) -> None:
        self._options = options
        self._data_dir = data_dir
        self._observer: Callable[[Sequence[EventBatch]], None] | None = None
        self._dialect = dialect
        self.replica = replica
        """The standby of ``store.replica_url``."""
        self._clock = clock
        self.standing = standing
        """Of this process among the nodes."""
        self.node_id = standing.node_id
        """Of the server that this data folder belongs to; leases name it."""
        self.caps = caps
        """How much an account may keep."""
        self._large = Turns(1)
        self._free_space = (0, -_FREE_SPACE_AGE_MS)
        """Bytes, and when they were counted."""
        self.blobs = open_blobs(
            options, data_dir, self.require_space, clock, random, is_command=worker is None
        )
        self.reader = Reader(dialect, replica)
        self.tables = MessageTables()
        self.header_columns = HeaderColumns()
        self.header_cache = ValueCache()
        self.text_cache = TextCache()
        self._replica_text_cache = TextCache()
        self.changes = Changes(dialect, hints, self.reader)
        self.directory = Directory(self.reader.read, caps, clock)
        self.changes.subscribe(DIRECTORY, self.directory.forget)
        self.writer = Writer(
            dialect,
            max_batch=options.max_batch,
            caps=caps,
            require_space=self.require_space,
            now_ms=clock.now_ms,
            after_commit=self._after_commit,
            announce=self.changes.announce,
            observe=self._observe,
            lose=self._lose,
        )
        self.read = self.reader.read
        """``await read(query, account_id)``: run ``query(conn)`` in a snapshot, in a reader
        thread, for an account or for nobody in particular."""
        self.read_late = self.reader.read_late
        """The same where what was written in the last ten seconds may be missing: from the replica,
        if there is one."""
        self.read_at_once = self.reader.read_at_once
        self.work = self.reader.work
        """``await work(task, account_id)``: run ``task()`` in a reader thread, for an account."""
        self.read_now = self.reader.read_now
        """The same in this thread: for the command line and tests."""

    async def read_index(
        self,
        mailbox_id: MailboxId,
        last_uid: int,
        query: Callable[[Connection, TextCache], R],
        account_id: AccountId,
    ) -> R:
        """Ask the index of words about a mailbox, on the replica if it has the messages.

        Args:
            mailbox_id: of the mailbox.
            last_uid: the newest message that the answer must know.
            query: takes a snapshot, and the cache that belongs to it.
            account_id: as for ``read``.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """

        def ask_replica(conn: Connection) -> R:
            require_uid(conn, mailbox_id, last_uid)
            return query(conn, self._replica_text_cache)

        return await self.reader.read_late(
            ask_replica, account_id, lambda conn: query(conn, self.text_cache)
        )

    async def write(self, unit: Unit[T, R], item: T) -> R:
        """Run ``unit(tx, [item, ...])`` in the next batch; returns after its commit.

        Raises:
            StoreUnavailable: it may or may not be on disk: answer 4yz.
        """
        return await self.writer.write(unit, item)

    async def write_large(self, unit: Unit[T, R], item: T, account_id: AccountId) -> R:
        """Run a unit that changes many rows, or that users can have refused again and again.

        It has a commit of its own, so that it costs the mail of others nothing but that time, and
        accounts take turns.

        Raises:
            StoreUnavailable: it may or may not be on disk.
        """
        await self._large.take(account_id)
        try:
            return await self.writer.write(unit, item, alone=True)
        finally:
            self._large.give_back(account_id)

    def write_later(self, unit: Unit[T, R], item: T) -> None:
        """Run a unit in the next batch; nobody waits, and of a failure the observer alone hears."""
        self.writer.write_later(unit, item)

    def working_alone(self, work: str) -> AbstractContextManager[None]:
        """Keep other commands, on any machine, away from a piece of work.

        Args:
            work: the command without ``zajil``, such as "account move".

        Raises:
            StoreInUse: another command is at it.
            StoreUnavailable: the database cannot be reached.
        """
        return self._dialect.working_alone(work)

    def database_size(self, conn: Connection) -> int:
        """Return the bytes of the database; a query for ``read``."""
        return self._dialect.size(conn)

    @property
    def data_dir(self) -> Path:
        """The folder of its files."""
        return self._data_dir

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
        self.blobs.close()
        await self.writer.close()
        await self.changes.close()
        await self.reader.close()
        self._close_connections()

    def close_now(self) -> None:
        """Let go of a store that was never started, or is closed already."""
        self.blobs.close()
        self.changes.close_now()
        self._close_connections()

    def _close_connections(self) -> None:
        self._dialect.close()
        if self.replica is not None:
            self.replica.close()

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

    def orphans(self, age_ms: int) -> list[str]:
        """List what ``sweep`` would remove: paths below the folder of blobs."""
        older_than_ms = self._clock.now_ms() - age_ms
        return self.read_now(lambda conn: self.blobs.files.orphans(conn, older_than_ms))

    def sweep(self, age_ms: int = ORPHAN_AGE_MS) -> int:
        """Remove files of blobs that crashes left without a row; returns how many.

        Args:
            age_ms: younger ones stay; less than a day only when nothing else writes.
        """
        older_than_ms = self._clock.now_ms() - age_ms
        return self.read_now(lambda conn: self.blobs.sweep(conn, older_than_ms))

    def _observe(self, batches: Sequence[EventBatch]) -> None:
        if self._observer is not None:
            self._observer(batches)

    def _lose(self, unit: Unit[Any, Any], item: Any, _error: Exception) -> None:
        if unit in (record_events, record_refused):
            self._observe((EventBatch(item.session_id, item.mail_id, item.at_ms, item.events),))

    def _after_commit(self, conn: Connection, batch: Batch) -> None:
        if batch.touched:
            self.changes.announce_on(conn, batch.touched)
        self.blobs.files.unlink(batch.released_files)


def open_store(
    options: StoreOptions,
    data_dir: Path,
    *,
    clock: Clock,
    random: Random,
    worker: int | None = None,
    caps: Caps | None = None,
    start_ms: int = 0,
) -> Store:
    """Open the store of this process; ``start`` it to read and write from a loop.

    Args:
        options: where the rows lie.
        data_dir: where the files lie.
        clock: for the ids of blobs.
        random: for the ids of blobs.
        worker: number of this worker among those of its node; ``None``: this is a command.
        caps: how much an account may keep; ``None``: the defaults.
        start_ms: of the server of this worker, as ``store.engine.life.prepare_store`` says.

    Raises:
        NodeTaken: another server started under the id of this node.
        NoStore: there is none; one sentence that says what to do.
        OlderSchema, WrongSchema: an older or a newer version made its tables.
        StoreUnavailable: it cannot be opened; one sentence says why.
    """
    claim_folder(data_dir)
    node_id = load_node_id(data_dir, random)
    mark = f"{node_id}-{'command' if worker is None else worker}-{random(4).hex()}"
    patience = None if worker is None else options.timeout_ms / 1000
    replica = make_replica(options, patience)
    dialect = make_dialect(options, data_dir, patience)
    try:
        require_usable(dialect)
        epoch = None
        if worker is not None:
            with told_in_one_sentence(dialect):
                epoch = join_node(dialect, node_id, own_facts(), clock.now_ms(), start_ms)
        standing = NodeStanding(dialect, node_id, epoch, clock)
        hints = _make_hints(dialect, data_dir, mark, None if worker is None else node_id)
    except BaseException:
        dialect.close()
        raise
    return Store(
        options=options,
        data_dir=data_dir,
        dialect=dialect,
        hints=hints,
        standing=standing,
        clock=clock,
        random=random,
        caps=caps or Caps(),
        worker=worker,
        replica=replica,
    )


def make_replica(options: StoreOptions, patience: float | None) -> Replica | None:
    """Return the standby of ``store.replica_url``; nothing is opened yet. The caller closes it.

    Raises:
        StoreUnavailable: it is no address.
    """
    if options.replica_url is None:
        return None
    if "sqlite" in (options.url, options.replica_url):
        raise StoreUnavailable("store.replica_url is the address of a standby of PostgreSQL only")
    from zajil.store.engine.replica import Replica

    return Replica(options.replica_url, patience, options.connections)


def make_dialect(options: StoreOptions, data_dir: Path, patience: float | None = None) -> Dialect:
    """Return what speaks to the database; nothing is opened yet. The caller closes it.

    Args:
        options: where the rows lie.
        data_dir: where a file with them would lie.
        patience: seconds that one statement may take on a server; ``None``: any time.

    Raises:
        StoreUnavailable: ``store.url`` names no database that we know.
    """
    if options.url == "sqlite":
        return Sqlite(data_dir / DATABASE_NAME)
    if options.url.startswith(DATABASE_SCHEMES):
        from zajil.store.engine.postgres import Postgres

        return Postgres(options.url, patience, options.connections)
    raise StoreUnavailable("store.url is neither 'sqlite' nor a 'postgresql://' address")


def _make_hints(dialect: Dialect, data_dir: Path, mark: str, node_id: NodeId | None) -> Hints:
    if isinstance(dialect, Sqlite):
        return Datagrams(data_dir / "run" / "changes", mark)
    # Imported here, because psycopg takes 70 ms and 9 MiB, which a store in SQLite must not pay.
    from zajil.store.engine.notifications import Notifications

    return Notifications(cast("Postgres", dialect), mark, node_id)
