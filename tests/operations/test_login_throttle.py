"""A network whose log-ins are slowed is released, in every worker."""

from __future__ import annotations

import asyncio

import pytest

from kit.store import NOW_MS
from zajil.core.actor import Actor, Interface
from zajil.core.clock import Clock
from zajil.operations.context import NotAllowed, OperationContext
from zajil.operations.login_throttle import NotSlowed, release_network
from zajil.store.engine.open import Store
from zajil.store.people.login_failures import (
    FailedLogin,
    count_failures,
    failures_of,
    slowed_networks,
)

NETWORK = "2001:0db8:0000:0000"
BOSS = Actor("boss", Interface.COMMAND_LINE, "", is_admin=True)


class At(Clock):
    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


def release(store: Store, actor: Actor, at_ms: int) -> None:
    context = OperationContext(store, At(at_ms), lambda size: bytes(size), at_once=True)
    asyncio.run(release_network(context, actor, NETWORK))


def test_failures_are_forgotten_and_counted_anew(store: Store) -> None:
    with pytest.raises(NotSlowed):
        release(store, BOSS, NOW_MS)
    for _ in range(4):
        store.write_now(count_failures, FailedLogin(NETWORK, NOW_MS, 600_000))
    assert [one.failures for one in store.read_now(lambda conn: slowed_networks(conn, 0, 9))] == [4]
    with pytest.raises(NotAllowed):
        release(store, Actor("x", Interface.WEB, ""), NOW_MS + 5)
    release(store, BOSS, NOW_MS + 5)
    assert store.read_now(lambda conn: slowed_networks(conn, 0, 9)) == []
    known = store.read_now(lambda conn: failures_of(conn, NETWORK))
    assert (known.count, known.released_ms) == (0, NOW_MS + 5)
    store.write_now(count_failures, FailedLogin(NETWORK, NOW_MS + 9, 600_000))
    known = store.read_now(lambda conn: failures_of(conn, NETWORK))
    assert (known.count, known.released_ms) == (1, NOW_MS + 5)
    release(store, BOSS, NOW_MS + 9)
    with pytest.raises(NotSlowed):
        release(store, BOSS, NOW_MS + 9)
