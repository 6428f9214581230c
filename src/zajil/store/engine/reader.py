"""Short snapshots in reader threads.

The threads are few, so whoever reads for an account says so (``account_id``): an account has one of
them at a time, and accounts together leave one free for everything else (log-in, recipients).

A snapshot that stays open keeps SQLite's write-ahead log from starting over and PostgreSQL from
cleaning up: a query loads what it needs, returns values, and ends.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId
from zajil.store.engine.dialect import Dialect
from zajil.store.engine.errors import StoreUnavailable, one_line
from zajil.store.engine.turns import Turns

if TYPE_CHECKING:
    from zajil.store.engine.replica import Replica

R = TypeVar("R")

Snapshot: TypeAlias = Connection
"""What a query is given: for those that ask the store without speaking SQL."""


class Reader:
    """Runs queries, each in a snapshot of its own that cannot write."""

    def __init__(self, dialect: Dialect, replica: Replica | None = None) -> None:
        self._dialect = dialect
        self._replica = replica
        self._threads: ThreadPoolExecutor | None = None
        self._turns = Turns(dialect.readers - 1)

    @property
    def engine(self) -> sa.Engine:
        """The connections, for tests that count statements."""
        return self._dialect.reader

    def start(self) -> None:
        """Allow ``read``; threads begin as they are needed."""
        self._threads = ThreadPoolExecutor(self._dialect.readers, thread_name_prefix="zajil-reader")

    async def close(self) -> None:
        """Wait for running queries. Later reads raise ``StoreUnavailable``."""
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)

    async def read(
        self, query: Callable[[Connection], R], account_id: AccountId | None = None
    ) -> R:
        """Run a query in a thread. Cancelled, the query still ends in its thread.

        Args:
            query: loads what it needs, returns values, and ends.
            account_id: for whom; the query waits while another one of this account runs.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        return await self._run(lambda: self.read_now(query), account_id)

    async def read_late(
        self,
        query: Callable[[Connection], R],
        account_id: AccountId | None = None,
        otherwise: Callable[[Connection], R] | None = None,
    ) -> R:
        """Run a query as ``read`` does, on the replica if there is one that is up to date.

        Args:
            query: what was written up to ten seconds ago may be missing for it; where it must not
                be, it raises ``NotOnReplica``.
            account_id: as for ``read``.
            otherwise: what is run as ``read`` does, where there is no replica or it cannot answer;
                ``None``: the same.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        on_primary = otherwise or query
        replica = self._replica
        if replica is None:
            return await self.read(on_primary, account_id)
        return await self._run(
            lambda: replica.ask(query, lambda: self.read_now(on_primary)), account_id
        )

    async def work(self, task: Callable[[], R], account_id: AccountId) -> R:
        """Run what needs no snapshot, such as parsing a message, in a thread as ``read`` does."""
        return await self._run(task, account_id)

    async def _run(self, task: Callable[[], R], account_id: AccountId | None) -> R:
        if account_id is not None:
            await self._turns.take(account_id)
        try:
            if self._threads is None:
                raise StoreUnavailable("the store is closed")
            running = asyncio.get_running_loop().run_in_executor(self._threads, task)
        except BaseException:
            if account_id is not None:
                self._turns.give_back(account_id)
            raise
        if account_id is None:
            return await running
        # Not before the thread is free, also where nobody waits for the result any more.
        running.add_done_callback(functools.partial(self._end_turn, account_id))
        return await asyncio.shield(running)

    def _end_turn(self, account_id: AccountId, ended: asyncio.Future[R]) -> None:
        self._turns.give_back(account_id)
        if not ended.cancelled():
            ended.exception()  # seen: a caller that was cancelled does not ask for it

    def read_at_once(self, query: Callable[[Connection], R | None]) -> R | None:
        """Run a query in the event loop, where no other thread is needed for it.

        To go to a thread and back takes several times as long as to look up a few rows.

        Args:
            query: looks up a few rows by their keys, whoever asks for whatever; ``None``: more
                has to be read, by ``read``.

        Returns:
            Also ``None`` where the database is not on this machine.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        return self.read_now(query) if self._dialect.is_local else None

    def read_now(self, query: Callable[[Connection], R]) -> R:
        """Run a query in this thread.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        try:
            with self._dialect.reader.connect() as conn, conn.begin():
                return query(conn)
        except _UNREADABLE as error:
            reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise StoreUnavailable(f"the database cannot be read: {one_line(reason)}") from error


_UNREADABLE = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.InternalError,
    sa.exc.TimeoutError,  # no connection of the pool became free
)
"""What the database is to blame for, and not the query."""
