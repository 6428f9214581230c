"""The store in a file of SQLite.

Laws, each found in practice:
- Own ``BEGIN``: the driver would open transactions by itself, and there is no group commit then.
- Commits and checkpoints happen under one ``flock``: SQLite's own busy handler sleeps, and a
  version before 3.51.3 can lose a commit when two processes write and checkpoint at once.
- No automatic checkpoint: a passive one in small steps, between batches.
- Only ``creating`` makes the file.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy.engine import Connection

from zajil.core.ids import NodeId
from zajil.store.engine.dialect import READERS, Dialect, Fault, Progress
from zajil.store.engine.errors import (
    MISSING_ADVICE,
    NoStore,
    StoreExists,
    StoreInUse,
    StoreUnavailable,
    in_use,
)
from zajil.store.engine.folder import DATABASE_NAME, new_private_file
from zajil.store.engine.moved import MOVED_NAME, require_not_moved, require_writable
from zajil.store.engine.rows import execute_text

OLDEST_SQLITE = (3, 51, 3)

_PAGE_BYTES = 4096
"""Of a new database. A message of 5 KB takes 6.1 KB in pages of this size and 8.2 KB in pages of
8 or 16 KiB, of which two thirds hold a message and the rest nothing; and a commit writes each page
that it changes: 124 KB for four mails, 335 KB in pages of 16 KiB."""
_COPY_PAGES = 1024
"""Pages of a copy between two reports of its progress."""
_CHECKPOINT_BYTES = 16_000_000
"""Copy the write-ahead log back when so much of it waits: some milliseconds of work."""
_CHECKPOINT_EVERY = 8
"""Batches between two looks at the log: even the look costs the writer its turn at the GIL."""
_WAL_TOO_LONG_BYTES = 32 * _CHECKPOINT_BYTES
"""Readers that overlap without a gap keep the log from starting over; past this, wait for them."""


class Sqlite(Dialect):
    """A file in the data folder."""

    def __init__(self, path: Path) -> None:
        if sqlite.sqlite_version_info < OLDEST_SQLITE:
            raise StoreUnavailable(
                f"SQLite {sqlite.sqlite_version} can lose mail; at least 3.51.3 is needed"
            )
        self.path = path
        self.place = f"the database {path}"
        self.is_local = True
        self.is_shared = False
        self.turn: FileLock = FileLock(path.with_suffix(".lock"))
        self._watcher: Any = None
        self._batches = 0
        # Pages that a connection keeps. One that reads has the kernel's cache behind it.
        writes = ("PRAGMA synchronous = FULL", "PRAGMA cache_size = -16384")
        reads = ("PRAGMA query_only = ON", "PRAGMA cache_size = -2048")
        self._moved = path.with_name(MOVED_NAME)
        self.writer = self._engine("BEGIN IMMEDIATE", *writes, pool_size=2)
        # Before it waits for the lock, so that it need not; and when it has it, because a copy may
        # have begun, and ended, in between.
        sa.event.listen(self.writer, "begin", self._require_writable, insert=True)
        sa.event.listen(self.writer, "begin", lambda conn: self._require_writable(conn))
        self.reader = self._engine("BEGIN", *reads, pool_size=READERS)

    def _engine(self, begin: str, *pragmas: str, pool_size: int) -> sa.Engine:
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(self.path)),
            module=sqlite,
            # No transactions by the driver; a connection may go from thread to thread, as the
            # pool gives it to one at a time.
            creator=lambda: self._connect(cached_statements=512, timeout=10),
            pool_size=pool_size,
            max_overflow=4,
        )

        @sa.event.listens_for(engine, "connect")
        def _connected(connection: Any, record: object) -> None:
            for statement in (
                *pragmas,
                "PRAGMA wal_autocheckpoint = 0",
                "PRAGMA journal_size_limit = 67108864",
                "PRAGMA mmap_size = 0",
                "PRAGMA trusted_schema = OFF",
            ):
                connection.execute(statement)

        @sa.event.listens_for(engine, "begin")
        def _begun(connection: Connection) -> None:
            execute_text(connection, begin, ())

        return engine

    def _require_writable(self, _connection: object) -> None:
        """See that the store is not being copied, and has not moved."""
        if self._moved.exists():
            require_writable(self._moved.parent)

    @contextmanager
    def holding(self) -> Iterator[Connection]:
        """Return a transaction that reads the last of the store: nobody else writes meanwhile.

        The caller has said that the store is being copied (``moved.moving``), so whoever wants to
        write is refused, and does not wait.
        """
        patience = "PRAGMA busy_timeout = 60000"
        engine = self._engine("BEGIN IMMEDIATE", patience, pool_size=1)
        try:
            with engine.begin() as conn:
                yield conn
        finally:
            engine.dispose()

    def _connect(self, **options: Any) -> Any:
        # "rw": a database that is missing is never made by opening it.
        name = f"file:{quote(str(self.path.resolve()))}?mode=rw"
        return sqlite.connect(
            name, uri=True, isolation_level=None, check_same_thread=False, **options
        )

    @contextmanager
    def examining(self) -> Iterator[Connection]:
        """Return a snapshot; says so where the file is missing or empty, or the store moved."""
        require_not_moved(self.path.parent)
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            raise NoStore(f"the database {self.path} is missing: {MISSING_ADVICE}") from None
        if not size:
            raise NoStore(f"the database {self.path} is empty: remove it, and {MISSING_ADVICE}")
        with self.reader.connect() as conn:
            yield conn

    def schema_of(self, conn: Connection) -> str | None:
        """Return nothing: there is one database."""

    @contextmanager
    def creating(self) -> Iterator[Connection]:
        """Make the file, with what must be set before the first table; gone after a failure."""
        with self.turn:
            try:
                os.close(new_private_file(self.path))
            except FileExistsError:
                raise StoreExists(f"{self.path} already exists; nothing was changed") from None
            try:
                fresh = self._connect()
                try:
                    # Both count only before the first table.
                    fresh.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
                    fresh.execute("PRAGMA auto_vacuum = INCREMENTAL")
                    (mode,) = fresh.execute("PRAGMA journal_mode = WAL").fetchone()
                finally:
                    fresh.close()
                if mode != "wal":
                    raise StoreUnavailable(
                        f"the file system of {self.path} cannot share memory (WAL)"
                    )
                with self.writer.begin() as conn:
                    yield conn
            except BaseException:
                self.close()
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)
                raise

    @contextmanager
    def upgrading(self) -> Iterator[Connection]:
        """Return a transaction that has the file for itself.

        Each process that has the database open, also one of an older version, holds a shared lock
        on the file: with the exclusive one nobody else reads or writes it.
        """
        super().close()  # our own connections would count as others
        pragmas = ("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA busy_timeout = 3000")
        engine = self._engine("BEGIN", *pragmas, pool_size=1)
        try:
            with self.turn, self._alone(engine) as conn, conn.begin():
                yield conn
        finally:
            engine.dispose()

    def _alone(self, engine: sa.Engine) -> Connection:
        """Connect with the exclusive lock, which the first statement that reads takes."""
        conn: Connection | None = None
        try:
            conn = engine.connect()
            conn.exec_driver_sql("SELECT count(*) FROM sqlite_master")
            conn.rollback()  # the lock stays with the connection
        except sa.exc.OperationalError as error:
            if conn is not None:
                conn.close()  # or it would hold the file until it is collected
            if self.fault(error) is not Fault.PASSING:
                raise
            raise StoreInUse(f"a server or a command uses {self.path}; stop it first") from None
        return conn

    def require_alone(self, conn: Connection) -> None:
        """Do nothing: ``upgrading`` has the file for itself."""

    def is_node_connected(self, node: NodeId) -> bool:
        """Return False: the lock of the data folder keeps other servers away."""
        return False

    @contextmanager
    def working_alone(self, work: str) -> Iterator[None]:
        """Lock a file beside the database; it stays there."""
        path = self.path.with_name(f"{work.replace(' ', '-')}.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"cannot create {path}: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise in_use(work) from None
            yield
        finally:
            os.close(descriptor)

    def copy_to(self, conn: Connection, path: Path, progress: Progress) -> bool:
        """Copy all pages, and wait for the disk."""
        descriptor = new_private_file(path)
        try:
            target = sqlite.connect(str(path))
            driver: Any = conn.connection.driver_connection
            try:
                driver.backup(
                    target,
                    pages=_COPY_PAGES,
                    progress=lambda _status, left, total: progress(total - left, total),
                )
            finally:
                target.close()
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return True

    def size(self, conn: Connection) -> int:
        """Return the size of the database with all that was committed."""
        pages = int(conn.execute(sa.text("PRAGMA page_count")).scalar_one())
        return pages * int(conn.execute(sa.text("PRAGMA page_size")).scalar_one())

    @contextmanager
    def rehearsing(self, folder: Path, progress: Progress) -> Iterator[tuple[Dialect, str]]:
        """Copy one snapshot, however much a server writes meanwhile."""
        with self.examining() as conn:
            conn.exec_driver_sql("SELECT count(*) FROM sqlite_master")  # begins the snapshot
            self.copy_to(conn, folder / DATABASE_NAME, progress)
        copy = Sqlite(folder / DATABASE_NAME)
        try:
            yield copy, "sqlite"
        finally:
            copy.close()

    def used_bytes(self) -> int:
        """Return the size of the file and of its write-ahead log."""
        files = [self.path, Path(f"{self.path}-wal")]
        return sum(path.stat().st_size for path in files if path.exists())

    def be_patient(self, conn: Connection, most_ms: int = 0) -> None:
        """Do nothing: one transaction writes at a time, so none waits for another's rows."""

    def tidy(self, conn: Connection) -> None:
        """Copy the write-ahead log back into the file when enough of it waits."""
        self._batches += 1
        if self._batches % _CHECKPOINT_EVERY:
            return
        driver: Any = conn.connection.driver_connection
        # What fails now is tried again before the next batch; nothing is lost meanwhile.
        with suppress(sqlite.Error):
            _, pages, copied = driver.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
            # An older database has larger pages than a new one.
            (page_bytes,) = driver.execute("PRAGMA page_size").fetchone()
            if (pages - copied) * page_bytes >= _CHECKPOINT_BYTES:
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages * page_bytes >= _WAL_TOO_LONG_BYTES:
                driver.execute("PRAGMA busy_timeout = 500")
                driver.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
                driver.execute("PRAGMA busy_timeout = 10000")

    def stamp(self) -> object:
        """Return what changes with each commit of another connection than the one that asks."""
        if self._watcher is None:
            self._watcher = self._connect()
        return self._watcher.execute("PRAGMA data_version").fetchone()

    def close(self) -> None:
        """Close all connections and the lock."""
        super().close()
        self.turn.close()
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.close()

    def fault(self, error: sa.exc.DBAPIError) -> Fault:
        """Classify the error by its primary result code."""
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
