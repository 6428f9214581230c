"""States of what hangs: whoever asks for metrics waits no longer for several than for one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from kit.store import running
from zajil.monitor import meters, state
from zajil.monitor.state import StateReader, Values
from zajil.net.system import SystemClock
from zajil.store.engine.open import Store


def read_states(store: Store, known_lag: Callable[[], float | None]) -> Values:
    """Return the states of a store with a standby that answers so."""
    store.replica = SimpleNamespace(known_lag=known_lag, close=lambda: None)  # type: ignore[assignment]

    async def no_certificates() -> list[Any]:
        return []

    async def run() -> Values:
        async with running(store):
            reader = StateReader(
                store=store,
                clock=SystemClock(),
                reserve=0,
                sessions={},
                certificates=no_certificates,
            )
            return await asyncio.wait_for(reader.read(), 60)

    return asyncio.run(run())


def test_the_store_is_read_while_a_standby_does_not_answer(store: Store) -> None:
    is_read, read = threading.Event(), store.read

    async def note(query: Any) -> Any:
        found = await read(query)
        is_read.set()
        return found

    store.read = note  # type: ignore[assignment]
    found = read_states(store, lambda: 1.5 if is_read.wait(3) else None)
    assert found[meters.REPLICA_LAG] == {(): 1.5}
    assert found[meters.STORE_UP] == {(): 1}


def test_a_standby_that_hangs_is_left_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_STORE_SECONDS", 0.1)
    is_over = threading.Event()

    def hang() -> float:
        is_over.wait(1)
        return 1.5

    try:
        assert meters.REPLICA_LAG not in read_states(store, hang)
    finally:
        is_over.set()
