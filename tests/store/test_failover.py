"""A PostgreSQL server that hangs, restarts, fills up, refuses, or hands over to its standby."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.fault_proxy import fault_proxy
from kit.postgres_servers import Pair, Server, one_server, pair_of_servers, wait_for
from kit.store import open_test_store, running
from zajil.config.options_server import StoreOptions
from zajil.store.engine.batch import Topic
from zajil.store.engine.errors import StoreFull, StoreUnavailable
from zajil.store.engine.notifications import Notifications
from zajil.store.engine.open import Store
from zajil.store.engine.postgres_connection import (
    PostgresConnection,
    connect,
    in_haste,
    read_address,
)
from zajil.store.engine.rows import insert_rows
from zajil.store.schema import counter


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with one_server() as one:
        yield one


def new_url(server: Server, user: str = "postgres") -> str:
    name = f"t{os.urandom(6).hex()}"
    where = f"{user}@{server.host}/postgres"
    return f"postgresql://{where}?connect_timeout=2&options=-csearch_path%3D{name}"


@pytest.fixture
def store(server: Server, tmp_path: Path) -> Iterator[Store]:
    opened = open_test_store(new_url(server), tmp_path / "data")
    yield opened
    opened.close_now()


def add(tx: Connection, items: Sequence[int]) -> list[None]:
    insert_rows(tx, [counter.c.name, counter.c.value], [(str(item), 1) for item in items])
    return [None] * len(items)


def numbers(conn: Connection) -> set[int]:
    return {int(name) for name in conn.scalars(sa.text("SELECT name FROM counter")) if
            name.isdigit()}  # fmt: skip


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p%40w@a:1,b:2/d", ("a,b", "1,2", "p@w", "d", "read-write")),
        ("postgres://u:p%40w@[::1]:1,b/d", ("::1,b", "1,", "p@w", "d", "read-write")),
        ("postgresql+psycopg://u:p%40w@/d?host=a:1&host=b:2",
         ("a,b", "1,2", "p@w", "d", "read-write")),
        ("postgresql://u:p%40w@a,b/d?target_session_attrs=any", ("a,b", ",", "p@w", "d", "any")),
        ("postgresql://u:p%40w@a/d", ("a", None, "p@w", "d", None)),
    ],
)  # fmt: skip
def test_an_address_may_name_several_hosts(url: str, expected: tuple[str, ...]) -> None:
    found = read_address(StoreOptions(url=url).url)
    names = ("host", "port", "password", "dbname", "target_session_attrs")
    assert tuple(found.get(name) for name in names) == expected


@pytest.mark.parametrize("wrong", ["a:x/d", "a,b:x/d", "a,b/d?nonsense=1", "a/d?host=b:x:y"])
def test_no_error_repeats_the_password(wrong: str) -> None:
    url = f"postgresql://u:secret@{wrong}"
    with pytest.raises((StoreUnavailable, psycopg.Error)) as caught:
        connect(read_address(url), None)
    assert "secret" not in str(caught.value)


def test_connections_that_the_network_forgot(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sign of life finds it out; then nobody else waits for an answer on an old connection."""
    monkeypatch.setattr("zajil.store.engine.standing._ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(PostgresConnection, "doubted", {})

    async def use(port: int, forget: Callable[[], object]) -> None:
        url = new_url(server).replace(f":{server.port}/", f":{port}/")
        store = open_test_store(url, tmp_path / "data", timeout_ms=3_600_000)
        async with running(store):
            await store.write(add, 1)
            await store.read(numbers)
            await asyncio.to_thread(store.standing.beat, 1, 0)
            forget()
            await asyncio.to_thread(store.standing.beat, 1, 0)
            await store.write(add, 2)
            assert await store.read(numbers) == {1, 2}

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with fault_proxy("127.0.0.1", server.port) as proxy:

            def forget() -> None:
                loop.call_soon_threadsafe(proxy.forget)
                loop.call_soon_threadsafe(proxy.heal)

            # A store that starts blocks its loop, and the proxy needs one that goes on.
            await asyncio.to_thread(lambda: asyncio.run(use(proxy.port, forget)))

    asyncio.run(run())


def test_a_server_that_hangs_says_nothing_of_another_one(server: Server) -> None:
    """One shard is away; connections to the database of another one stay."""

    def use(hanging_port: int, forget: Callable[[], object]) -> None:
        with (
            connect(read_address(new_url(server)), 60.0) as healthy,
            connect(
                read_address(new_url(server).replace(f":{server.port}/", f":{hanging_port}/")), 60.0
            ) as hanging,
        ):
            forget()
            with in_haste(0.2), pytest.raises(psycopg.errors.QueryCanceled):
                hanging.execute("SELECT 1")
            healthy.execute("SELECT 1")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with fault_proxy("127.0.0.1", server.port) as proxy:

            async def forget() -> None:
                proxy.forget()

            def forget_now() -> None:
                asyncio.run_coroutine_threadsafe(forget(), loop).result(60)

            await asyncio.to_thread(use, proxy.port, forget_now)

    asyncio.run(run())


def test_a_restart_of_the_server_costs_what_was_under_way(store: Store, server: Server) -> None:
    """Connections that broke while nobody used them cost nothing at all."""

    async def run() -> set[int]:
        async with running(store):
            await store.write(add, 1)
            await store.read(numbers)
            server.stop()
            with pytest.raises(StoreUnavailable):
                await store.write(add, 2)
            with pytest.raises(StoreUnavailable):
                await store.read(numbers)
            server.start()
            await store.write(add, 3)
            server.stop()
            server.start()
            await store.write(add, 4)
            return await store.read(numbers)

    assert asyncio.run(run()) == {1, 3, 4}


def test_hints_come_again_after_a_restart(store: Store, server: Server, tmp_path: Path) -> None:
    other = open_test_store(store._options.url, tmp_path / "data", worker=1)
    line = store.changes._hints
    assert isinstance(line, Notifications)

    async def run() -> None:
        async with running(store):
            first = line._listener
            server.stop()
            server.start()
            end = asyncio.get_running_loop().time() + 60
            while line._listener is None or line._listener is first:
                assert asyncio.get_running_loop().time() < end
                await asyncio.sleep(0.05)
            heard = asyncio.Event()
            # Nothing looks at what this topic stands at: the hint alone tells of it.
            store.changes.subscribe("elsewhere", heard.set)
            await asyncio.to_thread(_announce, other)
            await asyncio.wait_for(heard.wait(), 60)

    asyncio.run(run())
    other.close_now()


def _announce(store: Store) -> None:
    with store._dialect.writer.connect() as conn:
        store.changes.announce_on(conn, {Topic("elsewhere")})


def test_a_connection_that_breaks_before_the_commit_is_made_again(
    store: Store, server: Server
) -> None:
    """The batch runs a second time: nothing of the first can be on disk."""
    runs = []

    def unit(tx: Connection, items: Sequence[int]) -> list[None]:
        pid = tx.scalar(sa.text("SELECT pg_backend_pid()"))
        runs.append(pid)
        if len(runs) == 1:
            server.run(f"SELECT pg_terminate_backend({pid})")
        return add(tx, items)

    store.write_now(unit, 1)
    assert len(runs) == 2
    assert store.read_now(numbers) == {1}


@pytest.mark.slow
def test_a_server_that_hangs_costs_a_limited_time(server: Server, tmp_path: Path) -> None:
    store = open_test_store(new_url(server), tmp_path / "data", timeout_ms=4000)

    async def run() -> set[int]:
        async with running(store):
            await store.write(add, 1)
            await store.read(numbers)
            server.freeze()
            try:
                written = asyncio.create_task(store.write(add, 2))
                with pytest.raises(StoreUnavailable, match="timeout expired"):
                    await store.read(numbers)
                with pytest.raises(StoreUnavailable, match="no answer for 4 seconds"):
                    await written
            finally:
                server.thaw()
            await store.write(add, 3)
            return await store.read(numbers)

    assert asyncio.run(run()) >= {1, 3}
    store.close_now()


def test_no_more_connections(server: Server, tmp_path: Path) -> None:
    user = f"u{os.urandom(4).hex()}"
    server.run(f"CREATE USER {user}")
    server.run(f"GRANT CREATE ON DATABASE postgres TO {user}")
    store = open_test_store(new_url(server, user), tmp_path / "data")
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'u%'"

    async def run() -> set[int]:
        async with running(store):
            server.run(f"ALTER USER {user} CONNECTION LIMIT 0")
            server.run(cut)
            with pytest.raises(StoreUnavailable, match="too many connections"):
                await store.read(numbers)
            with pytest.raises(StoreUnavailable, match="too many connections"):
                await store.write(add, 1)
            server.run(f"ALTER USER {user} CONNECTION LIMIT -1")
            await store.write(add, 2)
            return await store.read(numbers)

    assert asyncio.run(run()) == {2}


def test_no_connection_is_left_for_the_hints(server: Server, tmp_path: Path) -> None:
    """A worker that opens a further shard meanwhile goes on with the others, and tries again."""
    user = f"u{os.urandom(4).hex()}"
    server.run(f"CREATE USER {user}")
    server.run(f"GRANT CREATE ON DATABASE postgres TO {user}")
    store = open_test_store(new_url(server, user), tmp_path / "data")

    async def run() -> set[int]:
        store.read_now(numbers)
        server.run(f"ALTER USER {user} CONNECTION LIMIT 0")
        with pytest.raises(StoreUnavailable, match=r"cannot listen .*too many connections"):
            store.start(asyncio.get_running_loop())
        server.run(f"ALTER USER {user} CONNECTION LIMIT -1")
        await asyncio.to_thread(store.changes.connect)
        server.run(f"ALTER USER {user} CONNECTION LIMIT 0")
        async with running(store):  # nothing is opened in the loop
            return await store.read(numbers)

    assert asyncio.run(run()) == set()


_READ_ONLY = "SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_read_only'"


def test_a_server_that_became_read_only_is_left(store: Store, server: Server) -> None:
    """By the next batch: its connection is of no use any more."""
    store.write_now(add, 1)
    server.configure(default_transaction_read_only="on")
    try:
        wait_for(lambda: server.run(_READ_ONLY) == [("on",)])
        with pytest.raises(StoreUnavailable, match="read-only"):
            store.write_now(add, 2)
        assert store.read_now(numbers) == {1}
    finally:
        server.configure(default_transaction_read_only="off")
    wait_for(lambda: server.run(_READ_ONLY) == [("off",)])
    store.write_now(add, 3)
    assert store.read_now(numbers) == {1, 3}


@pytest.mark.slow
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """New mail is deferred; it is accepted as soon as there is space again."""
    with one_server(disk="100M") as server:
        store = open_test_store(new_url(server), tmp_path / "data")
        store.write_now(add, 1)
        filler = server.folder.parent / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(65536)):
                pass
        with pytest.raises(StoreFull, match="disk of the database is full"):
            [store.write_now(fill, None) for _ in range(100)]
        assert 1 in store.read_now(numbers)
        filler.unlink()
        store.write_now(add, 2)
        assert store.read_now(numbers) >= {1, 2}
        store.close_now()


def fill(tx: Connection, items: Sequence[None]) -> list[None]:
    tx.execute(sa.text("INSERT INTO counter SELECT 'x' || generate_series(1, 1000) || random(), 1"))
    return [None] * len(items)


@pytest.mark.slow
def test_every_commit_is_on_the_standby_that_takes_over(tmp_path: Path) -> None:
    with pair_of_servers() as pair:
        _fail_over(pair, tmp_path)


def _fail_over(pair: Pair, tmp_path: Path) -> None:
    store = open_test_store(pair.url("zajil"), tmp_path / "data", timeout_ms=2000)
    pair.be_synchronous()
    written: set[int] = set()
    failed: list[int] = []

    async def write(first: int) -> None:
        number = first
        while not (failed and max(written) > max(failed) + 500):
            number += 16
            try:
                await store.write(add, number)
                written.add(number)
            except StoreUnavailable:
                failed.append(number)
                await asyncio.sleep(0.05)

    async def run() -> set[int]:
        async with running(store):
            writers = [asyncio.create_task(write(first)) for first in range(16)]
            await asyncio.sleep(1)
            pair.primary.kill()
            await asyncio.sleep(1)
            await asyncio.to_thread(pair.standby.promote)
            await asyncio.gather(*writers)
            return await store.read(numbers)

    try:
        assert asyncio.run(run()) >= written
    finally:
        store.close_now()


@pytest.mark.slow
def test_a_commit_that_the_standby_may_not_have_is_no_commit(tmp_path: Path) -> None:
    """PostgreSQL says in a warning that it gave up waiting, and then COMMIT."""
    with pair_of_servers() as pair:
        store = open_test_store(pair.url("zajil"), tmp_path / "data")
        store.write_now(add, 0)
        pair.be_synchronous()
        pair.standby.stop()

        async def run() -> None:
            async with running(store):
                written = asyncio.create_task(store.write(add, 1))
                waiting = (
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                    "WHERE wait_event = 'SyncRep'"
                )
                await asyncio.to_thread(wait_for, lambda: pair.primary.run(waiting))
                with pytest.raises(StoreUnavailable, match="in doubt"):
                    await written

        asyncio.run(run())
        store.close_now()


@pytest.mark.slow
def test_a_standby_that_may_lack_mail_is_named(tmp_path: Path) -> None:
    with pair_of_servers() as pair:
        store = open_test_store(pair.url("zajil"), tmp_path / "data")
        (advice,) = store.read_now(lambda conn: store._dialect.advise(conn, 1))
        assert "synchronous_standby_names is empty" in advice
        pair.be_synchronous()
        assert store.read_now(lambda conn: store._dialect.advise(conn, 1)) == []
        store.close_now()
