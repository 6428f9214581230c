"""What a mail costs a store in SQLite: bounds on bytes, pages and statements.

They are counts, alike on each machine. ``tests/perf/store_size.py`` tells where they come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from kit.store import NOW_MS, make_account, make_intake, open_test_store, running
from kit.talk import talk_to_receiver
from zajil.core.ids import MailId
from zajil.core.service import RecipientState
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.queue.queue import Claim, claim
from zajil.store.queue.settlement import RowResult, Settlement, settle
from zajil.tracking.events import DeliveryDeferred

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


def test_statements_of_a_commit(tmp_path: Path) -> None:
    """Mails that share a commit share its statements, however many they are."""
    store = open_test_store("sqlite", tmp_path)
    amal = make_account(store, "amal@north.test")
    items = [make_intake(store.blobs.stage([_MESSAGE]), local=[amal]) for _ in range(10)]
    statements = traced(store, lambda: store.write_now(write_together, items))
    store.close_now()
    assert [statement.split(" (")[0] for statement in statements] == [
        "BEGIN IMMEDIATE",
        "INSERT INTO blob",
        "INSERT INTO mail",
        "INSERT INTO recipient",
        "UPDATE mailbox SET uid_next = uid_next + wanted.column2, modseq = modseq + wanted.column2,"
        " messages = messages + wanted.column2, size = size + wanted.column3 FROM",
        "INSERT INTO message",
        "COMMIT",
    ]


def test_statements_of_a_deferral(tmp_path: Path) -> None:
    """A mail that goes on waiting keeps its body: nothing is asked about that."""
    store = open_test_store("sqlite", tmp_path)
    item = make_intake(store.blobs.stage([_MESSAGE]), remote=["a@one.test"])
    store.write_now(write_intakes, item)
    store.write_now(claim, Claim("here/1/", "t", NOW_MS, NOW_MS + 1, 10))
    row = RowResult(
        position=0, state=RecipientState.WAITING, reason="later", next_try_ms=NOW_MS + 9
    )
    deferred = DeliveryDeferred(NOW_MS, "a@one.test", None, "later", NOW_MS + 9)
    result = Settlement(item.mail_id, "t", NOW_MS, (row,), (deferred,))
    statements = traced(store, lambda: store.write_now(settle, result))
    store.close_now()
    assert [statement.split()[0] for statement in statements] == [
        "BEGIN",
        "UPDATE",
        "INSERT",
        "COMMIT",
    ]


def write_together(tx: Connection, items: Sequence[Sequence[Intake]]) -> list[list[MailId]]:
    """Unit of work: accept several mails as one item, as the writer does with those that wait."""
    return [write_intakes(tx, mails) for mails in items]


def traced(store: Store, run: Callable[[], object]) -> list[str]:
    """Return the statements that the writer's connection runs meanwhile."""
    with store._dialect.writer.connect() as conn:
        driver: Any = conn.connection.driver_connection
    statements: list[str] = []
    driver.set_trace_callback(statements.append)
    run()
    driver.set_trace_callback(None)
    return [statement for statement in statements if not statement.startswith("PRAGMA")]
