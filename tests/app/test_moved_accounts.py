"""What is done about moved accounts in the background."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from kit.store import NOW_MS, make_account, open_test_store, running
from zajil.app.sharded import LET_GO_MS, WorkerShards
from zajil.core.address import parse_address
from zajil.store.engine.open import Store
from zajil.store.people.accounts import get_account
from zajil.store.people.aliases import AliasRow, create_alias, find_alias
from zajil.store.shards.catalogue import (
    NewPlace,
    NewShard,
    create_shard,
    load_places,
    set_places,
)
from zajil.store.shards.moves import Move, MoveStep, list_moves, put_move


def shards_of(**resources: Any) -> WorkerShards:
    return WorkerShards(cast("Any", None), resources)


def test_the_old_account_stays_for_ten_minutes(store: Store) -> None:
    """Aliases that lead to it stay, for they lead to the new shard now."""
    who = make_account(store, "amal@north.test")
    alias = parse_address("sales@north.test")
    store.write_now(create_alias, AliasRow(alias, (who.address,)))
    move = Move(
        address_key=who.address.key,
        login="amal",
        account_id=who.account_id,
        from_shard="main",
        to_shard="north",
        step=MoveStep.SWITCHED,
        was_active=True,
        since_ms=NOW_MS,
        switched_ms=NOW_MS,
    )
    store.write_now(put_move, move)

    async def look(now_ms: int) -> tuple[bool, int]:
        main = SimpleNamespace(store=store, clock=SimpleNamespace(now_ms=lambda: now_ms))
        await shards_of(main=main).let_moved_go()
        account = await store.read(lambda conn: get_account(conn, who.account_id))
        found = await store.read(lambda conn: find_alias(conn, alias))
        assert found is not None
        assert found.targets == (who.address,)
        return account is not None, len(await store.read(list_moves))

    async def look_twice() -> list[tuple[bool, int]]:
        async with running(store):
            return [await look(NOW_MS + LET_GO_MS - 1), await look(NOW_MS + LET_GO_MS)]

    assert asyncio.run(look_twice()) == [(True, 1), (False, 0)]


def test_names_of_accounts_that_were_removed_are_free_again(tmp_path: Path) -> None:
    """Else nobody in the main shard could use the login or the address for ever."""
    main, north = (open_test_store("sqlite", tmp_path / name) for name in ("main", "north"))
    main.write_now(create_shard, NewShard("north", NOW_MS))
    for name in ("amal", "amal@south.test", "salma", "salma@south.test"):
        main.write_now(set_places, NewPlace(name, "north"))
    make_account(north, "amal@south.test")

    async def look() -> dict[str, str]:
        both = {"main": SimpleNamespace(store=main), "north": SimpleNamespace(store=north)}
        async with running(main), running(north):
            await shards_of(**both).forget_gone()
            return (await main.read(load_places)).single

    assert asyncio.run(look()) == {"amal": "north", "amal@south.test": "north"}
