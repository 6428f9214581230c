"""Connections that are bounded, and a standby that answers some questions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.postgres_servers import Pair, pair_of_servers, wait_for
from kit.store import make_account, make_intake, open_test_store, running
from zajil.config.options_server import StoreOptions
from zajil.core.directory import AccountEntry
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.people.domains import DomainRow, create_domain
from zajil.store.schema import mailbox


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_worker_keeps_within_its_connections(store_url: str, tmp_path: Path) -> None:
    """However many ask at the same time; all get their answers."""
    store = open_test_store(store_url, tmp_path / "data", connections=6)
    pools = [store._dialect.writer.pool, store._dialect.reader.pool]
    counted: list[int] = []

    def slow(conn: Connection) -> int:
        conn.execute(sa.text("SELECT pg_sleep(0.01)"))
        kept = [pool for pool in pools if isinstance(pool, sa.QueuePool)]
        counted.append(1 + sum(pool.checkedin() + pool.checkedout() for pool in kept))
        return 1

    async def run() -> None:
        async with running(store):
            reads = [store.read(slow) for _ in range(40)]
            writes = [
                store.write(create_domain, DomainRow(f"d{number}.test", 1)) for number in range(40)
            ]
            await asyncio.gather(*reads, *writes)

    asyncio.run(run())
    store.close_now()
    assert 4 <= max(counted) <= 6


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_too_few_connections_are_named(store: Store) -> None:
    def advise(workers: int) -> list[str]:
        return store.read_now(lambda conn: store._dialect.advise(conn, workers))

    assert advise(1) == []
    (advice,) = advise(1000)
    assert "8010 connections may be needed" in advice
    assert "max_connections" in advice


def test_sqlite_has_no_replica(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="standby of PostgreSQL only"):
        open_test_store("sqlite", tmp_path / "data", replica_url="postgresql://u@h/d")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with pair_of_servers() as found:
        yield found


def is_standby(conn: Connection) -> bool:
    return bool(conn.scalar(sa.text("SELECT pg_is_in_recovery()")))


@pytest.mark.slow
def test_a_replica_answers_while_it_is_up_to_date(pair: Pair, tmp_path: Path) -> None:
    schema = "?options=-csearch_path%3Dz"
    options = StoreOptions(url=pair.primary.url + schema, replica_url=pair.standby.url + schema)
    store = open_test_store(options.url, tmp_path / "data", replica_url=options.replica_url)
    amal = make_account(store, "amal@north.test")
    assert store.replica is not None
    wait_for(lambda: _asks_standby(store))

    async def run() -> None:
        async with running(store):
            assert await store.read_late(is_standby)
            await _searches_find_what_is_new(store, pair, amal)
            assert store.replica is not None
            lag = store.replica.known_lag()
            assert lag is not None
            assert 0 <= lag < 60
            pair.standby.freeze()
            try:
                assert not await store.read_late(is_standby)
                assert store.replica.known_lag() is None
            finally:
                pair.standby.thaw()
            pair.standby.kill()
            assert not await store.read_late(is_standby)
            assert not await store.read_late(is_standby)
            pair.standby.start()
            await asyncio.to_thread(wait_for, lambda: _asks_standby(store))

    asyncio.run(run())
    store.close_now()


def _asks_standby(store: Store) -> bool:
    assert store.replica is not None
    store.replica._look_at = 0
    return store.replica.ask(is_standby, lambda: False)


async def _searches_find_what_is_new(store: Store, pair: Pair, amal: AccountEntry) -> None:
    """The standby does not replay: what came since is found all the same."""
    pair.standby.run("SELECT pg_wal_replay_pause()")
    item = make_intake(await store.blobs.stage_any([b"Subject: new\r\n\r\ntext\r\n"]), local=[amal])
    await store.write(write_intakes, item)
    inbox = amal.inbox
    (uid,) = await store.read(
        lambda conn: list(
            conn.scalars(sa.select(mailbox.c.uid_next - 1).where(mailbox.c.id == inbox))
        )
    )

    def where(conn: Connection, _cache: object) -> bool:
        return is_standby(conn)

    assert await store.read_index(inbox, uid - 1, where, amal.account_id)
    assert not await store.read_index(inbox, uid, where, amal.account_id)
    pair.standby.run("SELECT pg_wal_replay_resume()")
