"""What one accepted mail costs a store in SQLite: bounds on bytes, pages and statements.

They are counts, alike on each machine. ``tests/perf/store_size.py`` tells where they come from.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from kit.store import make_account, open_test_store, running
from kit.talk import talk_to_receiver
from zajil.store.engine.open import Store

_LINE = b"A pigeon carries a letter over the hills, and another one home again.\r\n"
_MESSAGE = b"From: a@x.test\r\nSubject: Tea\r\n\r\n" + _LINE * 73
"""5.2 KB; with what we write on top of it 5.5 KB."""


async def receive(store: Store, count: int) -> None:
    """Accept mails on port 25, with all checks and a commit for each."""
    talk = await talk_to_receiver(store)
    for _ in range(count):
        reply = await talk.send("a@x.test", ["amal@north.test"], _MESSAGE)
        assert reply.startswith("250")


def pragma(store: Store, statement: str) -> tuple[int, ...]:
    """Run a statement outside of any transaction; return its one row."""
    with store._dialect.writer.connect() as conn:
        driver: Any = conn.connection.driver_connection
        row: tuple[int, ...] = driver.execute(f"PRAGMA {statement}").fetchone()
        return row


def test_bytes_of_a_mail(tmp_path: Path) -> None:
    """A mail of 5.5 KB with its journey takes less than 7.5 KB of the database."""
    store = open_test_store("sqlite", tmp_path)
    make_account(store, "amal@north.test")

    async def grow() -> int:
        async with running(store):
            (page_bytes,) = pragma(store, "page_size")
            await receive(store, 20)
            (before,) = pragma(store, "page_count")
            await receive(store, 100)
            (after,) = pragma(store, "page_count")
            return (after - before) * page_bytes

    assert asyncio.run(grow()) / 100 < 7500


def test_log_of_a_commit(tmp_path: Path) -> None:
    """The commit of one mail writes less than 85 KB to the write-ahead log."""
    store = open_test_store("sqlite", tmp_path)
    make_account(store, "amal@north.test")

    async def write() -> int:
        async with running(store):
            (page_bytes,) = pragma(store, "page_size")
            await receive(store, 20)
            pages = 0
            for _ in range(10):
                pragma(store, "wal_checkpoint(TRUNCATE)")
                await receive(store, 1)
                pages += pragma(store, "wal_checkpoint(NOOP)")[1]
            return pages * page_bytes

    assert asyncio.run(write()) / 10 < 85_000
