"""What is left of a moved account is removed some minutes later, and not before."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from kit.store import NOW_MS, make_account, running
from zajil.app.sharded import LET_GO_MS, WorkerShards
from zajil.core.address import parse_address
from zajil.store.engine.open import Store
from zajil.store.people.accounts import get_account
from zajil.store.people.aliases import AliasRow, create_alias, find_alias
from zajil.store.shards.moves import Move, MoveStep, list_moves, put_move


def shards_of(store: Store, **resources: Any) -> WorkerShards:
    made = WorkerShards(store, "mx.north.test")
    made.resources.update(resources)
    return made


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
