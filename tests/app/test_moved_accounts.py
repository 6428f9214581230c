"""What a worker does about other shards beside its mail: it hears of them, and removes what is left
of moved accounts some minutes later.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from kit.store import NOW_MS, make_account, running
from zajil.app.sharded import LET_GO_MS, WorkerShards
from zajil.app.shards import until_shards_are_used
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.people.accounts import get_account
from zajil.store.people.aliases import AliasRow, create_alias, find_alias
from zajil.store.shards.catalogue import NewPlace, NewShard, create_shard, set_places
from zajil.store.shards.moves import Move, MoveStep, list_moves, put_move


def shards_of(store: Store, **resources: Any) -> WorkerShards:
    made = WorkerShards(store, "mx.north.test")
    made.resources.update(resources)
    return made


def move_of(who: AccountEntry, from_shard: str = "main", since_ms: int = NOW_MS) -> Move:
    return Move(
        address_key=who.address.key,
        login=who.address.local_part,
        account_id=who.account_id,
        from_shard=from_shard,
        to_shard="south",
        step=MoveStep.SWITCHED,
        was_active=True,
        since_ms=since_ms,
        switched_ms=NOW_MS,
    )


def test_the_old_account_stays_for_ten_minutes(store: Store) -> None:
    """Aliases that lead to it stay, for they lead to the new shard now."""
    who = make_account(store, "amal@north.test")
    alias = parse_address("sales@north.test")
    store.write_now(create_alias, AliasRow(alias, (who.address,)))
    store.write_now(put_move, move_of(who))

    async def look(now_ms: int) -> tuple[bool, int]:
        main = SimpleNamespace(store=store, clock=SimpleNamespace(now_ms=lambda: now_ms))
        await shards_of(store, main=main).let_moved_go()
        account = await store.read(lambda conn: get_account(conn, who.account_id))
        found = await store.read(lambda conn: find_alias(conn, alias))
        assert found is not None
        assert found.targets == (who.address,)
        return account is not None, len(await store.read(list_moves))

    async def look_twice() -> list[tuple[bool, int]]:
        async with running(store):
            return [await look(NOW_MS + LET_GO_MS - 1), await look(NOW_MS + LET_GO_MS)]

    assert asyncio.run(look_twice()) == [(True, 1), (False, 0)]


def test_a_shard_that_is_away_keeps_no_other_account(store: Store) -> None:
    amal, badr = (make_account(store, f"{name}@north.test") for name in ("amal", "badr"))
    store.write_now(put_move, move_of(amal, "north", NOW_MS - 1))
    store.write_now(put_move, move_of(badr))

    async def fail(*_: object) -> None:
        raise StoreUnavailable("the database is away")

    async def run() -> list[str]:
        clock = SimpleNamespace(now_ms=lambda: NOW_MS + LET_GO_MS)
        main = SimpleNamespace(store=store, clock=clock)
        north = SimpleNamespace(store=SimpleNamespace(write_large=fail))
        async with running(store):
            await shards_of(store, main=main, north=north).let_moved_go()
            return [move.login for move in await store.read(list_moves)]

    assert asyncio.run(run()) == ["amal"]


def use_north(store: Store) -> None:
    store.write_now(create_shard, NewShard("north", NOW_MS))
    store.write_now(set_places, NewPlace("@north.test", "north"))


def test_a_shard_that_was_used_while_the_worker_started(store: Store) -> None:
    """Nobody tells of that change again; the worker would refuse its mail for good."""
    use_north(store)

    async def run() -> None:
        async with running(store):
            await store.changes.look()
            await asyncio.wait_for(until_shards_are_used(store), 10)

    asyncio.run(run())


def test_a_shard_that_was_used_while_the_database_was_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zajil.app.shards._RETRY_SECONDS", 0.01)
    read, failures = store.read, 3

    async def fail_first(query: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreUnavailable("the database is away")
        return await read(query)

    use_north(store)

    async def run() -> None:
        async with running(store):
            await store.changes.look()
            store.read = fail_first  # type: ignore[assignment]
            await asyncio.wait_for(until_shards_are_used(store), 10)

    asyncio.run(run())
    assert not failures
