"""Every difference between SQLite and PostgreSQL, so that no other file asks which one it is.

``Dialect`` says what a database does for us; ``sqlite`` and ``postgres`` do it. (But for
``lock_mailboxes`` and ``release_blobs``, which lock rows where there are row locks.)
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import Enum, auto
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import NodeId

Progress = Callable[[int, int], None]
"""Told how much is done, and how much there is."""

Stage = Callable[[str], AbstractContextManager[Progress]]
"""Shows the progress of one part of the work, under its name."""

READERS = 4
"""Reader threads of one open store in a file, a connection each."""


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


def database_ms(conn: Connection) -> sa.ColumnElement[int]:
    """Return the time by the clock of a server, in milliseconds since 1970; 0 with SQLite."""
    if conn.dialect.name == "postgresql":
        return sa.literal_column("floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    return sa.literal_column("0")


class Dialect(ABC):
    """One database, opened by one process."""

    writer: sa.Engine
    """Transactions of the writer's thread."""
    reader: sa.Engine
    """Snapshots that cannot write."""
    turn: AbstractContextManager[object]
    """Held around each transaction that writes, with the ``tidy`` before it; the thread that has
    it may take it again."""
    place: str
    """Names the database in a sentence, without its password."""
    is_local: bool
    """It is a file that this process reads: to look up a row takes microseconds."""
    readers: int = READERS
    """Reader threads, a connection each."""

    in_haste: Callable[[float], AbstractContextManager[Any]] = nullcontext
    """Lets each statement of this thread fail that gets no answer in so many seconds."""

    is_shared: bool
    """Several nodes may use it (``store.engine.nodes``)."""

    @abstractmethod
    def examining(self) -> AbstractContextManager[Connection]:
        """Return a snapshot of whatever is there, to find out whether it is a store of ours.

        Raises:
            NoStore: there is no database.
            StoreUnavailable: the database is not as it must be.
        """

    def advise(self, conn: Connection, workers: int) -> list[str]:
        """Return sentences about settings of the database that an operator should know of.

        Args:
            conn: a snapshot.
            workers: processes of this server.
        """
        return []

    @abstractmethod
    def schema_of(self, conn: Connection) -> str | None:
        """Name the schema that holds our tables; ``None``: the database has no schemas."""

    @abstractmethod
    def creating(self) -> AbstractContextManager[Connection]:
        """Return the transaction that makes the first tables; creates the database.

        Raises:
            StoreExists: there is one already.
            StoreUnavailable: the database is not as it must be.
        """

    @abstractmethod
    def upgrading(self) -> AbstractContextManager[Connection]:
        """Return a transaction that may change the tables.

        Raises:
            StoreInUse: another program uses the database.
        """

    @abstractmethod
    def require_alone(self, conn: Connection) -> None:
        """See in ``upgrading`` that no server uses the database, until the transaction ends.

        Raises:
            StoreInUse: one does.
        """

    def lock_floor(self, conn: Connection, *, alone: bool) -> None:
        """Hold what says which programs may use the tables, until the transaction ends: nodes that
        enter share it, and a migration that shuts older programs out has it alone."""
        return

    @abstractmethod
    def is_node_connected(self, node: NodeId) -> bool:
        """Return whether workers of a node with this id are connected to the database now.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """

    def stand_for(self, node: NodeId, epoch: int, when_gone: Callable[[], None]) -> None:
        """Open connections for a node from now on, as long as its epoch is this one.

        Args:
            node: that this process belongs to.
            epoch: in which it began (``store.engine.nodes``).
            when_gone: called in any thread, again and again, when a connection was refused because
                the epoch has ended; the one who asked for it gets ``NodeGone``.
        """
        return

    def end_connections(self, node: NodeId, epoch: int) -> int:
        """Ask the database to end the connections of a node that are not of an epoch; return how
        many there are still.

        Raises:
            StoreUnavailable: the user of the database may not end them.
        """
        return 0

    def time_ms(self, conn: Connection) -> int:
        """Return the time by the clock of the database, in milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    @abstractmethod
    def working_alone(self, work: str) -> AbstractContextManager[None]:
        """Keep other commands, on any machine, away from a piece of work in this store.

        Args:
            work: the command without ``zajil``, such as "account move".

        Raises:
            StoreInUse: another command is at it.
            StoreUnavailable: the database cannot be reached.
        """

    @abstractmethod
    def copy_to(self, conn: Connection, path: Path, progress: Progress) -> bool:
        """Copy the database to a new file, in ``upgrading`` before anything is changed.

        Returns:
            Whether it was done; PostgreSQL has tools of its own for it.

        Raises:
            OSError, sqlite.Error: it could not be written.
        """

    @abstractmethod
    def size(self, conn: Connection) -> int:
        """Return how many bytes ``copy_to`` writes."""

    @abstractmethod
    def rehearsing(
        self, folder: Path, progress: Progress
    ) -> AbstractContextManager[tuple[Dialect, str]]:
        """Return a copy of the database and its ``store.url``, beside a server that runs.

        Args:
            folder: the data folder of the copy, an empty one.
            progress: told of the copy's.

        Raises:
            StoreUnavailable: the user of the database may not make one.
            OSError, sqlite.Error, sa.exc.DBAPIError: it could not be written.
        """

    @abstractmethod
    def used_bytes(self) -> int:
        """Return how much space the tables take, with what was committed and not moved yet."""

    @abstractmethod
    def tidy(self, conn: Connection) -> None:
        """Do a small step of upkeep before a batch, when those of the batch before have their
        answers; the turn is held, no transaction is open. Never raises.
        """

    @abstractmethod
    def be_patient(self, conn: Connection, most_ms: int = 0) -> None:
        """Let this transaction wait for locks as long as it takes, or for a time; the first runs of
        a batch give up early, because two batches may wait for each other.
        """

    @abstractmethod
    def stamp(self) -> object:
        """Return a value that stays the same while nothing is committed; ``None``: not known.

        Called by one thread at a time.
        """

    @abstractmethod
    def fault(self, error: sa.exc.DBAPIError) -> Fault:
        """Return what an error means."""

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self.writer.dispose()
        self.reader.dispose()
