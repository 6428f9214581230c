"""Group commit: what waits together costs one commit, and everybody gets an answer."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy.engine import Connection

from kit.store import running
from zajil.core.ids import AccountId
from zajil.store.engine.batch import QUEUE, touch
from zajil.store.engine.errors import StoreFull, StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.engine.writer import Unit
from zajil.store.schema import domain


def add_domains(tx: Connection, items: Sequence[str]) -> list[int]:
    tx.execute(sa.insert(domain), [{"ascii_name": item, "created_ms": 0} for item in items])
    return [len(items)] * len(items)


def add_or_refuse(tx: Connection, items: Sequence[str]) -> list[int]:
    added = add_domains(tx, items)
    if "bad.test" in items:
        raise ValueError("bad.test")
    return added


def names(store: Store) -> set[str]:
    return set(store.read_now(lambda conn: list(conn.scalars(sa.select(domain.c.ascii_name)))))


def block(entered: threading.Event, go: threading.Event) -> Unit[None, None]:
    """Make a unit that holds the writer, so that what comes meanwhile waits together."""

    def unit(tx: Connection, items: Sequence[None]) -> list[None]:
        entered.set()
        assert go.wait(10)
        return [None] * len(items)

    return unit


def test_what_waits_together_is_one_commit(store: Store) -> None:
    async def run() -> tuple[int, list[int]]:
        entered, go = threading.Event(), threading.Event()
        async with running(store):
            held = asyncio.ensure_future(store.write(block(entered, go), None))
            await asyncio.to_thread(entered.wait, 10)
            before = store.writer.commits
            jobs = [
                asyncio.ensure_future(store.write(add_domains, f"d{number}.test"))
                for number in range(64)
            ]
            await asyncio.sleep(0)  # all have put their job
            go.set()
            sizes = await asyncio.gather(*jobs)
            await held
            return store.writer.commits - before, sizes

    commits, sizes = asyncio.run(run())
    assert commits == 2  # the blocked one, and one for all that waited
    assert sizes == [64] * 64


def test_a_failed_batch_spares_the_others(store: Store) -> None:
    async def run() -> list[object]:
        async with running(store):
            wanted = ["a.test", "bad.test", "b.test"]
            jobs = [store.write(add_or_refuse, name) for name in wanted]
            return await asyncio.gather(*jobs, return_exceptions=True)

    first, second, third = asyncio.run(run())
    assert (first, third) == (1, 1)
    assert isinstance(second, ValueError)
    assert names(store) == {"a.test", "b.test"}


def test_what_is_alone_costs_the_others_nothing(store: Store) -> None:
    """It has a commit of its own; refused, it makes nobody's unit run again."""
    batches: list[int] = []

    def add(tx: Connection, items: Sequence[str]) -> list[int]:
        batches.append(len(items))
        return add_domains(tx, items)

    async def run() -> None:
        entered, go = threading.Event(), threading.Event()
        async with running(store):
            held = asyncio.ensure_future(store.write(block(entered, go), None))
            await asyncio.to_thread(entered.wait, 10)
            before = store.writer.commits
            jobs = [asyncio.ensure_future(store.write(add, f"a{n}.test")) for n in range(3)]
            refused = [
                asyncio.ensure_future(store.write_large(add_or_refuse, "bad.test", AccountId(n)))
                for n in range(2)
            ]
            await asyncio.sleep(0)
            jobs += [asyncio.ensure_future(store.write(add, f"b{n}.test")) for n in range(3)]
            await asyncio.sleep(0)
            go.set()
            await held
            await asyncio.gather(*jobs)
            for one in refused:
                with pytest.raises(ValueError, match=r"bad\.test"):
                    await one
            assert batches == [3, 3]
            assert store.writer.commits == before + 3

    asyncio.run(run())
    assert names(store) == {f"{letter}{n}.test" for letter in "ab" for n in range(3)}


def test_a_statement_that_fails_spares_the_others(store: Store) -> None:
    store.write_now(add_domains, "a.test")

    async def run() -> list[object]:
        async with running(store):
            jobs = [store.write(add_domains, name) for name in ("a.test", "b.test")]
            return await asyncio.gather(*jobs, return_exceptions=True)

    first, second = asyncio.run(run())
    assert isinstance(first, sa.exc.IntegrityError)
    assert second == 1
    assert names(store) == {"a.test", "b.test"}


def test_a_cancelled_caller_is_written_all_the_same(store: Store) -> None:
    async def run() -> None:
        async with running(store):
            job = asyncio.ensure_future(store.write(add_domains, "a.test"))
            await asyncio.sleep(0)
            job.cancel()
            await store.write(add_domains, "b.test")

    asyncio.run(run())
    assert names(store) == {"a.test", "b.test"}


def test_a_closed_store_says_so(store: Store) -> None:
    async def run() -> None:
        with pytest.raises(StoreUnavailable, match="not started"):
            await store.write(add_domains, "a.test")
        async with running(store):
            pass
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.write(add_domains, "a.test")
        store.write_later(add_domains, "a.test")
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.read(lambda conn: None)

    asyncio.run(run())
    assert names(store) == set()


def test_what_waits_at_close_is_written(store: Store) -> None:
    async def run() -> None:
        async with running(store):
            for number in range(500):
                store.write_later(add_domains, f"d{number}.test")

    asyncio.run(run())
    assert len(names(store)) == 500


def test_a_writer_that_dies_answers_everybody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever, and nobody gets a result that is not on disk."""

    class Bug(BaseException):
        pass

    def unit(tx: Connection, items: Sequence[str]) -> list[None]:
        raise Bug

    async def run() -> Sequence[object]:
        async with running(store):
            jobs = [store.write(unit, "a"), store.write(add_domains, "a.test")]
            outcomes: Sequence[object] = await asyncio.gather(*jobs, return_exceptions=True)
            with pytest.raises(StoreUnavailable, match="the writer failed"):
                await store.write(add_domains, "b.test")
            return outcomes

    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    assert all(isinstance(outcome, StoreUnavailable) for outcome in asyncio.run(run()))
    assert names(store) == set()


def test_a_subscriber_that_fails_costs_no_answer(store: Store) -> None:
    def unit(tx: Connection, items: Sequence[str]) -> list[str]:
        touch(tx, QUEUE)
        return list(items)

    def fail() -> None:
        raise RuntimeError("a subscriber's bug")

    async def run() -> str:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with running(store):
            store.changes.subscribe(QUEUE, fail)
            return await store.write(unit, "a")

    assert asyncio.run(run()) == "a"


_FSYNC_CHILD = """
import asyncio, sys
from pathlib import Path
from zajil.store.mail.intake import write_intakes
from kit.store import make_account, make_intake, open_test_store, running

async def main():
    store = open_test_store("sqlite", Path(sys.argv[1]), synced=True)
    amal = make_account(store, "amal@north.test")
    async with running(store):
        print("BEGIN", store.writer.commits, file=sys.stderr, flush=True)
        items = [make_intake(store.blobs.stage([b"x" * 5000]), local=[amal]) for _ in range(640)]
        await asyncio.gather(*[store.write(write_intakes, item) for item in items])
        print("END", store.writer.commits, file=sys.stderr, flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_640_mails_cost_a_few_fsyncs(tmp_path: Path) -> None:
    """A commit is one fsync of the log; a checkpoint adds two. No mail has one of its own."""
    trace = tmp_path / "trace"
    subprocess.run(
        [
            *("strace", "-f", "-e", "trace=fsync,fdatasync,write", "-o", str(trace)),
            *(sys.executable, "-c", _FSYNC_CHILD, str(tmp_path / "data")),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    begun = trace.read_text().split('"BEGIN')[1]
    during, _ = begun.split('"END')
    syncs = sum("sync(" in line for line in during.splitlines())
    # 640 items in batches of up to 256; the first may hold a single one.
    assert 3 <= syncs <= 12


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "harm",
    [
        "DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$",
        "SELECT pg_terminate_backend(pg_backend_pid())",
    ],
    ids=["deadlock", "connection lost"],
)
def test_what_passes_is_tried_again(store: Store, harm: str) -> None:
    runs: list[int] = []

    def unit(tx: Connection, items: Sequence[str]) -> list[int]:
        runs.append(len(items))
        add_domains(tx, items)
        if len(runs) == 1:
            tx.execute(sa.text(harm))
        return [len(runs)] * len(items)

    async def run() -> int:
        async with running(store):
            return await store.write(unit, "a.test")

    assert asyncio.run(run()) == 2
    assert names(store) == {"a.test"}


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_batch_asks_for_a_lock_again_and_then_waits_for_it(store: Store, store_url: str) -> None:
    """Two batches that wait for each other do not wait until PostgreSQL finds the deadlock."""
    store.write_now(add_domains, "a.test")
    lock = sa.select(domain).with_for_update()
    runs: list[str] = []
    last = threading.Event()

    def unit(tx: Connection, items: Sequence[None]) -> list[int]:
        runs.append(tx.execute(sa.text("SHOW lock_timeout")).scalar_one())
        if len(runs) == 4:
            last.set()
        tx.execute(lock)
        return [len(runs)]

    engine = sa.create_engine(store_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as other:
        other.execute(lock)
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(store.write_now, unit, None)
            assert last.wait(60)
            assert not waiting.done()
            other.rollback()
            assert waiting.result(60) == 4
    engine.dispose()
    assert runs == ["100ms", "100ms", "100ms", "0"]


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_deadlock_that_does_not_pass_is_unavailable(store: Store) -> None:
    def unit(tx: Connection, items: Sequence[str]) -> list[None]:
        tx.execute(sa.text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))
        return [None]

    with pytest.raises(StoreUnavailable, match="rejected the write"):
        store.write_now(unit, "a")


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_full_disk_is_told_to_whom_it_hits(store: Store) -> None:
    """``max_page_count`` makes SQLite answer as on a full disk: SQLITE_FULL."""

    def fill(tx: Connection, items: Sequence[int]) -> list[None]:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        add_domains(tx, [f"d{number}.{'x' * 200}.test" for number in range(max(items))])
        return [None] * len(items)

    async def run() -> list[object]:
        async with running(store):
            jobs = [store.write(fill, 100_000), store.write(add_domains, "b.test")]
            return [*await asyncio.gather(*jobs, return_exceptions=True)]

    first, second = asyncio.run(run())
    assert isinstance(first, StoreFull)
    assert second == 1
    assert names(store) == {"b.test"}


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_database_that_another_program_locks_is_unavailable_for_that_time(
    store: Store, tmp_path: Path
) -> None:
    """A backup tool or a shell that forgot to commit: 4yz, and all is well once it has gone."""

    def no_patience(connection: sqlite.Connection, record: object) -> None:
        connection.execute("PRAGMA busy_timeout = 0")

    store._dialect.writer.dispose()
    sa.event.listen(store._dialect.writer, "connect", no_patience)
    intruder = sqlite.connect(str(tmp_path / "data" / "store.sqlite"), isolation_level=None)

    async def run() -> None:
        async with running(store):
            intruder.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="locked"):
                await store.write(add_domains, "a.test")
            intruder.execute("ROLLBACK")
            assert await store.write(add_domains, "b.test") == 1

    asyncio.run(run())
    intruder.close()
    assert names(store) == {"b.test"}


def test_a_bug_outside_of_units_ends_no_writer(store: Store) -> None:
    """What nobody thought of is 4yz for those it hit, and the next batch is written."""
    failures = [RuntimeError("a bug")]

    def fail_once(conn: Connection) -> None:
        if failures:
            raise failures.pop()

    store._dialect.tidy = fail_once  # type: ignore[method-assign]

    async def run() -> None:
        async with running(store):
            with pytest.raises(StoreUnavailable, match="a bug"):
                await store.write(add_domains, "a.test")
            assert await store.write(add_domains, "b.test") == 1

    asyncio.run(run())
    assert names(store) == {"b.test"}
