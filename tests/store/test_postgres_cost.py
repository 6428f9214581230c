"""What a mail costs a store on PostgreSQL: bounds on statements and round trips of a commit.

They are counts, alike on each machine. ``tests/perf/nodes.py`` measures what they cost.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.store import make_account, make_intake, open_test_store, running
from zajil.core.directory import AccountEntry
from zajil.core.ids import MailId
from zajil.read.indexer import read_summaries
from zajil.store.engine.batch import PROGRESS, touch
from zajil.store.engine.hints import PAUSE_SECONDS
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.mail.summaries import find_waiting, write_summaries
from zajil.store.schema import message

_MESSAGE = b"From: a@x.test\r\nSubject: Tea\r\n\r\n" + b"A pigeon carries a letter.\r\n" * 190


def write_together(tx: Connection, items: Sequence[Sequence[Intake]]) -> list[list[MailId]]:
    """Unit of work: accept several mails as one item, as the writer does with those that wait."""
    return [write_intakes(tx, mails) for mails in items]


def touch_progress(tx: Connection, items: Sequence[None]) -> list[None]:
    """Unit of work: change nothing, and say that something came of the queue."""
    touch(tx, PROGRESS)
    return [None] * len(items)


class Trace:
    """What libpq sent to the server and got from it."""

    def __init__(self, file: Path, run: Callable[[], object], store: Store) -> None:
        with store._dialect.writer.connect() as conn, file.open("w+b") as output:
            connection = conn.connection.driver_connection
            assert connection is not None
            connection.pgconn.trace(output.fileno())
            conn.close()  # the writer takes it from the pool
            try:
                run()
            finally:
                connection.pgconn.untrace()
        lines = file.read_text(errors="replace").splitlines()
        self.round_trips = sum("\tReadyForQuery\t" in line for line in lines)
        texts = [re.search(r'\tF\t\d+\t(?:Query|Parse)\t.*?"([A-Z][^"]*)"', line) for line in lines]
        self.statements = [found[1].split("(")[0].strip() for found in texts if found]


def test_statements_of_a_commit(postgres_url: str, tmp_path: Path) -> None:
    """Mails that share a commit share its statements, and each takes one round trip."""
    store = open_test_store(postgres_url, tmp_path)
    entries = [make_account(store, f"b{number}@north.test") for number in range(5)]
    items = [
        make_intake(store.blobs.stage([_MESSAGE]), local=[entry]) for entry in entries for _ in "ab"
    ]
    trace = Trace(tmp_path / "trace", lambda: store.write_now(write_together, items), store)
    store.close_now()
    assert [one for one in trace.statements if not one.startswith("SHOW")] == [
        "BEGIN",
        "INSERT INTO blob",
        "INSERT INTO mail",
        "INSERT INTO recipient",
        "WITH locked AS",
        "INSERT INTO message",
        "COMMIT",
        # A command says so at once; a server by the connection that listens.
        "BEGIN",
        "SELECT pg_notify",
        "COMMIT",
    ]
    assert trace.round_trips <= 13


def test_round_trips_of_a_server(postgres_url: str, tmp_path: Path) -> None:
    """The writer of a server waits for nothing but its own statements."""
    store = open_test_store(postgres_url, tmp_path)
    entry = make_account(store, "b@north.test")
    items = [make_intake(store.blobs.stage([_MESSAGE]), local=[entry]) for _ in range(4)]

    async def write() -> int:
        async with running(store):
            trace = Trace(tmp_path / "trace", lambda: store.write_now(write_together, items), store)
            return trace.round_trips

    assert asyncio.run(write()) == 7


def test_round_trips_and_locks_with_several_nodes(postgres_url: str, tmp_path: Path) -> None:
    """Nodes beside it add nothing to a commit, and a commit asks nothing of them."""
    stores = [open_test_store(postgres_url, tmp_path / f"node{number}", 0) for number in range(4)]
    entries = [make_account(stores[0], f"b{number}@north.test") for number in range(2)]
    asked: list[str] = []
    held: list[int] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    def look(conn: Connection) -> None:
        locks = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"
        held.append(int(conn.exec_driver_sql(locks).scalar() or 0))

    def commit(store: Store, count: int) -> int:
        chosen = [entries[number % 2] for number in range(count)]
        items = [make_intake(store.blobs.stage([_MESSAGE]), local=[one]) for one in chosen]
        trace = Trace(tmp_path / "trace", lambda: store.write_now(write_together, items), store)
        return trace.round_trips

    async def write() -> list[int]:
        async with AsyncExitStack() as stack:
            for store in stores:
                await stack.enter_async_context(running(store))
                sa.event.listen(store.reader.engine, "before_cursor_execute", note)
            counts = [commit(store, 4) for store in stores]
            await asyncio.sleep(0.1)  # the hints arrive
            for store in stores:
                sa.event.listen(store._dialect.writer, "commit", look)
            for count in (1, 10):
                commit(stores[0], count)
            return counts

    assert asyncio.run(write()) == [7] * 4
    assert asked == []
    assert held[0] == held[1]


def test_hints_of_many_commits_are_few(postgres_url: str, tmp_path: Path) -> None:
    """Others hear of the first commit at once, of the last in the end, and not of each."""
    one, two = [
        open_test_store(postgres_url, tmp_path / name, number)
        for number, name in enumerate(("one", "two"))
    ]

    async def write() -> None:
        loop, heard = asyncio.get_running_loop(), list[float]()
        async with running(one), running(two):
            # Not by the look once a second, which knows nothing of this topic.
            two.changes.subscribe(PROGRESS, lambda: heard.append(loop.time()))
            began = loop.time()
            for _ in range(100):
                last = loop.time()
                await one.write(touch_progress, None)
            while not heard or heard[-1] < last:  # noqa: ASYNC110 - it is told more than once
                await asyncio.sleep(0.005)
            assert len(heard) <= 2 + (heard[-1] - began) / PAUSE_SECONDS

    asyncio.run(asyncio.wait_for(write(), 60))


def test_uids_of_two_nodes(postgres_url: str, tmp_path: Path) -> None:
    """Nodes that append to the same mailboxes give each UID once, and none is left out."""
    stores = [open_test_store(postgres_url, tmp_path / name, 1) for name in ("one", "two")]
    entries = [make_account(stores[0], f"b{number}@north.test") for number in range(3)]

    def append(store: Store, order: Sequence[int]) -> None:
        for number in range(15):
            chosen = [entries[one] for one in order[: 1 + number % 3]]
            items = [make_intake(store.blobs.stage([_MESSAGE]), local=[one]) for one in chosen]
            store.write_now(write_together, items)

    threads = [
        threading.Thread(target=append, args=(store, order))
        for store, order in zip(stores, ((0, 1, 2), (2, 1, 0)), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for entry in entries:
        query = sa.select(message.c.uid, message.c.modseq).where(
            message.c.mailbox_id == entry.inbox
        )
        rows = stores[0].read_now(lambda conn: conn.execute(query).all())  # noqa: B023
        uids = sorted(row.uid for row in rows)
        assert uids == list(range(1, len(uids) + 1))
        assert len({row.modseq for row in rows}) == len(rows)
    for store in stores:
        store.close_now()


def test_statements_of_the_indexer(postgres_url: str, tmp_path: Path) -> None:
    """Messages of many accounts are indexed by as many statements as those of one."""
    store = open_test_store(postgres_url, tmp_path)
    entries = [make_account(store, f"b{number}@north.test") for number in range(6)]

    def index(chosen: Sequence[AccountEntry]) -> Trace:
        items = [make_intake(store.blobs.stage([_MESSAGE]), local=[one]) for one in chosen]
        store.write_now(write_together, items)
        waiting = store.read_now(lambda conn: find_waiting(conn, 10))
        new = store.read_now(lambda conn: read_summaries(conn, store.blobs, waiting))
        return Trace(tmp_path / "trace", lambda: store.write_now(write_summaries, new), store)

    alone, together = index(entries[:1] * 5), index(entries[1:])
    store.close_now()
    assert alone.round_trips == together.round_trips <= 20
