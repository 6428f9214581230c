"""Leases on chores: one holder each, taken over when a row stays the same."""

from __future__ import annotations

import asyncio

from kit.store import running
from zajil.store.engine.chores import (
    NOBODY,
    ChoreRenewal,
    ChoreRow,
    ChoreTake,
    give_up_chores,
    load_chores,
    renew_chores,
    take_chores,
)
from zajil.store.engine.open import Store


def test_of_several_that_want_a_new_chore_one_gets_it(store: Store) -> None:
    async def run() -> None:
        async with running(store):
            takes = [ChoreTake("keys", f"n/{worker}", None) for worker in range(4)]
            got = await asyncio.gather(*(store.write(take_chores, one) for one in takes))
            assert sorted(got) == [False, False, False, True]
            rows = await store.read(load_chores)
            assert rows == {"keys": ChoreRow(takes[got.index(True)].holder, 1)}

    asyncio.run(run())


def test_a_chore_is_taken_over_only_as_it_was_seen(store: Store) -> None:
    store.write_now(take_chores, ChoreTake("keys", "n/0", None))
    seen = store.read_now(load_chores)["keys"]
    assert store.write_now(renew_chores, ChoreRenewal(("keys", "events"), "n/0")) == {"keys"}
    assert not store.write_now(take_chores, ChoreTake("keys", "n/1", seen))
    seen = store.read_now(load_chores)["keys"]
    assert store.write_now(take_chores, ChoreTake("keys", "n/1", seen))
    assert not store.write_now(take_chores, ChoreTake("keys", "n/2", seen))
    assert store.write_now(renew_chores, ChoreRenewal(("keys",), "n/0")) == frozenset()


def test_what_is_given_up_is_free_and_never_looks_as_before(store: Store) -> None:
    store.write_now(take_chores, ChoreTake("keys", "n/1", None))
    store.write_now(take_chores, ChoreTake("events", "n/12", None))
    before = store.read_now(load_chores)
    assert store.write_now(give_up_chores, "n/1") == 1
    assert store.write_now(give_up_chores, "n/1") == 0
    rows = store.read_now(load_chores)
    assert rows == {"keys": ChoreRow(NOBODY, 2), "events": before["events"]}
    assert store.write_now(take_chores, ChoreTake("keys", "n/1", rows["keys"]))
    assert store.read_now(load_chores)["keys"] == ChoreRow("n/1", 3)
