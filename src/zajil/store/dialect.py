"""Every difference between SQLite and PostgreSQL, so that no other file asks which one it is.

(But for ``lock_mailboxes`` and ``release_blobs``, which lock rows where there are row locks.)

Laws of SQLite here, each found the hard way (design D5, style C12 example 5):
- Own ``BEGIN``: the driver would open transactions by itself, and there is no group commit then.
- Commits and checkpoints happen under one ``flock``: SQLite's own busy handler sleeps, and a
  version before 3.51.3 can lose a commit when two processes write and checkpoint at once.
- No automatic checkpoint: a passive one in small steps, between batches.
"""

from __future__ import annotations

import fcntl
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy.engine import Connection

from zajil.store.errors import StoreUnavailable
from zajil.store.rows import execute_text

OLDEST_SQLITE = (3, 51, 3)
READERS = 4
"""Reader threads of one open store, a connection each."""

_CHECKPOINT_PAGES = 1000
"""Copy the write-ahead log back when so many pages wait: 16 MB, some milliseconds of work."""
_CHECKPOINT_EVERY = 8
"""Batches between two looks at the log: even the look costs the writer its turn at the GIL."""
_WAL_TOO_LONG_PAGES = 32 * _CHECKPOINT_PAGES
"""Readers that overlap without a gap keep the log from starting over; past this, wait for them."""


class Fault(Enum):
    """What an error of the database means for the batch it happened in."""

    PASSING = auto()
    """Deadlock, serialization, lock: run the batch again."""
    LOST = auto()
    """The connection is gone."""
    FULL = auto()
    """The disk of the database is full."""
    ILL = auto()
    """The database cannot do its work: disk error, shutting down, read only."""
    OTHER = auto()
    """A fact about the statement, for the unit that sent it."""


class Dialect(ABC):
    """One database, opened by one process."""

    writer: sa.Engine
    """Transactions of the writer's thread."""
    reader: sa.Engine
    """Snapshots that cannot write."""
    turn: AbstractContextManager[object]
    """Held around each transaction that writes, with the ``tidy`` before it; the thread that has
    it may take it again."""

    @abstractmethod
    def migrating(self) -> AbstractContextManager[Connection]:
        """Give a transaction, alone in the world, that may change the schema; creates the store.

        Raises:
            StoreUnavailable: the database cannot be reached, or is not as it must be.
        """

    @abstractmethod
    def tidy(self, conn: Connection) -> None:
        """Do a small step of upkeep before a batch, when those of the batch before have their
        answers; the turn is held, no transaction is open. Never raises.
        """

    @abstractmethod
    def stamp(self) -> object:
        """Give a value that stays the same while nothing is committed; ``None``: not known.

        Called by one thread at a time.
        """

    @abstractmethod
    def fault(self, error: sa.exc.DBAPIError) -> Fault:
        """Tell what an error means."""

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self.writer.dispose()
        self.reader.dispose()


# ---- SQLite -----------------------------------------------------------------------------------


class Sqlite(Dialect):
    """A file in the data folder."""

    def __init__(self, path: Path) -> None:
        if sqlite.sqlite_version_info < OLDEST_SQLITE:
            raise StoreUnavailable(
                f"SQLite {sqlite.sqlite_version} can lose mail; at least 3.51.3 is needed"
            )
        self.path = path
        self.turn: FileLock = FileLock(path.with_suffix(".lock"))
        self._watcher: Any = None
        self._batches = 0
        self.writer = self._engine("BEGIN IMMEDIATE", "PRAGMA synchronous = FULL", pool_size=2)
        self.reader = self._engine("BEGIN", "PRAGMA query_only = ON", pool_size=READERS)

    def _engine(self, begin: str, pragma: str, pool_size: int) -> sa.Engine:
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(self.path)),
            module=sqlite,
            connect_args={
                # No transactions by the driver; a connection may go from thread to thread, as
                # the pool gives it to one at a time.
                "isolation_level": None,
                "check_same_thread": False,
                "cached_statements": 512,
                "timeout": 10,
            },
            pool_size=pool_size,
            max_overflow=4,
        )

        @sa.event.listens_for(engine, "connect")
        def _connected(connection: Any, record: object) -> None:
            for statement in (
                pragma,
                "PRAGMA wal_autocheckpoint = 0",
                "PRAGMA journal_size_limit = 67108864",
                "PRAGMA mmap_size = 0",
                "PRAGMA cache_size = -16384",
                "PRAGMA trusted_schema = OFF",
            ):
                connection.execute(statement)

        @sa.event.listens_for(engine, "begin")
        def _begun(connection: Connection) -> None:
            execute_text(connection, begin, ())

        return engine

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Give a transaction under the lock; creates the file, with what must be set first."""
        with self.turn:
            fresh = sqlite.connect(str(self.path))
            try:
                # Both count only before the first table. Pages of 16 KiB were the fastest of four
                # sizes for mails of 5 KB, alone and in batches: three bodies share one.
                fresh.execute("PRAGMA page_size = 16384")
                fresh.execute("PRAGMA auto_vacuum = INCREMENTAL")
                (mode,) = fresh.execute("PRAGMA journal_mode = WAL").fetchone()
            finally:
                fresh.close()
            if mode != "wal":
                raise StoreUnavailable(f"the file system of {self.path} cannot share memory (WAL)")
            with self.writer.begin() as conn:
                yield conn

    def tidy(self, conn: Connection) -> None:
        """Copy the write-ahead log back into the file when enough of it waits."""
        self._batches += 1
        if self._batches % _CHECKPOINT_EVERY:
            return
        driver: Any = conn.connection.driver_connection
        # What fails now is tried again before the next batch; nothing is lost meanwhile.
        with suppress(sqlite.Error):
            _, pages, copied = driver.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
            if pages - copied >= _CHECKPOINT_PAGES:
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages >= _WAL_TOO_LONG_PAGES:
                driver.execute("PRAGMA busy_timeout = 500")
                driver.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
                driver.execute("PRAGMA busy_timeout = 10000")

    def stamp(self) -> object:
        """Give what changes with each commit of another connection than the one that asks."""
        if self._watcher is None:
            self._watcher = sqlite.connect(
                str(self.path), isolation_level=None, check_same_thread=False
            )
        return self._watcher.execute("PRAGMA data_version").fetchone()

    def close(self) -> None:
        """Close all connections and the lock."""
        super().close()
        self.turn.close()
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.close()

    def fault(self, error: sa.exc.DBAPIError) -> Fault:
        """Tell by the primary result code of SQLite."""
        name = getattr(error.orig, "sqlite_errorname", None) or ""
        if name == "SQLITE_FULL":
            return Fault.FULL
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Fault.PASSING
        ill = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CANTOPEN", "SQLITE_NOMEM")
        if name.startswith((*ill, "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_PROTOCOL")):
            return Fault.ILL
        return Fault.OTHER


class FileLock:
    """A lock between processes (``flock``) and between the threads of this one.

    The thread that holds it may take it again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.RLock()
        self._depth = 0
        self._descriptor: int | None = None

    def __enter__(self) -> None:
        self._thread.acquire()
        try:
            if self._descriptor is None:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._descriptor = os.open(self._path, flags, 0o600)
            if not self._depth:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            self._depth += 1
        except BaseException:
            self._thread.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._descriptor is not None and not self._depth:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._thread.release()

    def close(self) -> None:
        """Let go of the file; the lock may be taken again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


# ---- PostgreSQL -------------------------------------------------------------------------------


class Postgres(Dialect):
    """A PostgreSQL server; our tables lie in the first schema of ``search_path``."""

    def __init__(self, url: str) -> None:
        try:
            address = sa.make_url(url).set(drivername="postgresql+psycopg")
        except (sa.exc.ArgumentError, ValueError) as error:
            raise StoreUnavailable(f"store.url is not a database address: {error}") from None
        self.turn = threading.RLock()
        self.writer = sa.create_engine(address, pool_size=2, max_overflow=4)
        self.reader = sa.create_engine(
            address,
            pool_size=READERS,
            max_overflow=4,
            pool_pre_ping=True,
            execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
        )

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Give a transaction under an advisory lock; creates the schema."""
        with self.turn, self.writer.begin() as conn:
            schema = first_of_search_path(conn)
            lock = "SELECT pg_advisory_xact_lock(hashtext('zajil migration'), hashtext(:schema))"
            conn.execute(sa.text(lock), {"schema": schema})
            if conn.scalar(sa.text("SHOW synchronous_commit")) == "off":
                raise StoreUnavailable(
                    "PostgreSQL runs with synchronous_commit = off: mail is lost"
                )
            exists = sa.text("SELECT 1 FROM pg_namespace WHERE nspname = :schema")
            if conn.scalar(exists, {"schema": schema}) is None:
                conn.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
            yield conn

    def tidy(self, conn: Connection) -> None:
        """Leave upkeep to the server's own autovacuum."""

    def stamp(self) -> object:
        """Give nothing: PostgreSQL has no cheap number for "nothing happened"."""

    def fault(self, error: sa.exc.DBAPIError) -> Fault:
        """Tell by SQLSTATE."""
        state = getattr(error.orig, "sqlstate", None) or ""
        if state in ("40001", "40P01", "55P03"):
            return Fault.PASSING
        if state in ("53100", "53400"):
            return Fault.FULL
        if error.connection_invalidated or state.startswith(("08", "57P")):
            return Fault.LOST
        if state.startswith(("53", "58", "XX", "25006")):
            return Fault.ILL
        return Fault.OTHER


def first_of_search_path(conn: Connection) -> str:
    """Name the schema that tables are made in, whether it exists yet or not."""
    user = str(conn.scalar(sa.text("SELECT current_user")))
    existing = conn.scalar(sa.text("SELECT current_schema()"))
    for part in str(conn.scalar(sa.text("SHOW search_path"))).split(","):
        name = part.strip().strip('"')
        # "$user" stands in every default and means a schema only where somebody made it.
        if name == "$user":
            if existing == user:
                return user
        elif name:
            return name
    raise StoreUnavailable("store.url names no schema: its search_path is empty")
