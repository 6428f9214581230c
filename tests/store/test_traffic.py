"""Counts of each minute: added up by all workers, read in steps, forgotten in the end."""

from __future__ import annotations

import asyncio

from kit.clock import FakeClock
from kit.store import NOW_MS, running
from zajil.app.traffic import TrafficCounter
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch
from zajil.store.reports.traffic import (
    KEPT_MINUTES,
    TrafficCounts,
    add_traffic,
    forget_traffic,
    load_traffic,
)
from zajil.tracking.events import MailAccepted

MINUTE = NOW_MS // 60_000


def load(store: Store, begin: int, end: int, step: int = 1) -> dict[str, list[int]]:
    return store.read_now(lambda conn: load_traffic(conn, begin, end, step))


def test_counts_are_added_up(store: Store) -> None:
    for _ in range(2):
        counts = {(MINUTE, "mail.received"): 2, (MINUTE + 3, "mail.received"): 1}
        store.write_now(add_traffic, TrafficCounts(counts))
    store.write_now(add_traffic, TrafficCounts({(MINUTE, "mail.sent"): 5}))
    store.write_now(add_traffic, TrafficCounts({}))
    assert load(store, MINUTE, MINUTE + 5) == {
        "mail.received": [4, 0, 0, 2, 0],
        "mail.sent": [5, 0, 0, 0, 0],
    }
    assert load(store, MINUTE, MINUTE + 5, 3)["mail.received"] == [4, 2]
    assert load(store, MINUTE + 1, MINUTE + 3) == {}


def test_old_counts_are_forgotten(store: Store) -> None:
    store.write_now(add_traffic, TrafficCounts({(MINUTE, "a"): 1, (MINUTE - 1, "a"): 1}))
    assert store.write_now(forget_traffic, MINUTE) == 1
    assert load(store, MINUTE - 1, MINUTE + 1) == {"a": [0, 1]}


def test_a_worker_writes_what_it_has_counted(store: Store) -> None:
    async def scenario() -> None:
        clock = FakeClock(NOW_MS)
        async with running(store):
            counter = TrafficCounter(store, clock)
            store.observe(counter.count)
            batch = EventBatch(None, None, NOW_MS, (MailAccepted(NOW_MS, 1),))
            for _ in range(3):
                counter.count([batch])
            await counter.write()
            await counter.write()  # nothing is written twice
            counts = await store.read(lambda conn: load_traffic(conn, MINUTE, MINUTE + 1, 1))
            assert counts == {"mail.received": [3]}
            clock.advance(60_000 * (KEPT_MINUTES + 1))
            await counter.prune()
            counts = await store.read(lambda conn: load_traffic(conn, MINUTE, MINUTE + 1, 1))
            assert counts == {}

    asyncio.run(scenario())
