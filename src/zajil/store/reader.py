"""Short snapshots in reader threads.

A snapshot that stays open keeps SQLite's write-ahead log from starting over and PostgreSQL from
cleaning up: a query loads what it needs, returns values, and ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.dialect import READERS, Dialect
from zajil.store.errors import StoreUnavailable

R = TypeVar("R")

Snapshot: TypeAlias = Connection
"""What a query is given: for those that ask the store without speaking SQL."""


class Reader:
    """Runs queries, each in a snapshot of its own that cannot write."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._threads: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Allow ``read``; threads begin as they are needed."""
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="zajil-reader")

    async def close(self) -> None:
        """Wait for running queries. Later reads raise ``StoreUnavailable``."""
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)

    async def read(self, query: Callable[[Connection], R]) -> R:
        """Run a query in a thread. Cancelled, the query still ends in its thread.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        if self._threads is None:
            raise StoreUnavailable("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read_now, query)

    def read_now(self, query: Callable[[Connection], R]) -> R:
        """Run a query in this thread.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        try:
            with self._dialect.reader.connect() as conn, conn.begin():
                return query(conn)
        except sa.exc.OperationalError as error:
            raise StoreUnavailable(f"the database cannot be read: {error.orig}") from error
