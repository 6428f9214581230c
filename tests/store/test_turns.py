"""An account has one turn at a time, and accounts take turns."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from kit.store import open_test_store, running
from zajil.core.ids import AccountId
from zajil.store.engine.dialect import READERS
from zajil.store.engine.turns import Turns

ONE, TWO, THREE = AccountId(1), AccountId(2), AccountId(3)


def test_accounts_take_turns() -> None:
    async def run() -> list[str]:
        turns = Turns(1)
        order: list[str] = []

        async def work(account_id: AccountId, name: str) -> None:
            await turns.take(account_id)
            await asyncio.sleep(0)
            order.append(name)
            turns.give_back(account_id)

        await asyncio.gather(
            *(work(ONE, f"one {n}") for n in range(3)),
            *(work(TWO, f"two {n}") for n in range(2)),
            work(THREE, "three"),
        )
        return order

    assert asyncio.run(run()) == ["one 0", "one 1", "two 0", "three", "one 2", "two 1"]


def test_who_gives_up_waiting_is_passed_over() -> None:
    async def run() -> None:
        turns = Turns(2)
        await turns.take(ONE)
        given_up, next_one = (asyncio.ensure_future(turns.take(ONE)) for _ in range(2))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        turns.give_back(ONE)
        await next_one
        turns.give_back(ONE)
        # A turn that was given to somebody who is cancelled in the same moment goes back.
        await turns.take(ONE)
        late = asyncio.ensure_future(turns.take(ONE))
        await asyncio.sleep(0)
        turns.give_back(ONE)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        await turns.take(ONE)

    asyncio.run(run())


def test_one_account_has_one_reader_thread(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path)
    release = threading.Event()
    busy = threading.Semaphore(0)
    running_now: list[int] = []
    most: list[int] = []

    def slow(conn: object) -> None:
        running_now.append(1)
        most.append(len(running_now))
        busy.release()
        release.wait()
        running_now.pop()

    async def run() -> None:
        async with running(store):
            one = [asyncio.ensure_future(store.read(slow, ONE)) for _ in range(12)]
            await asyncio.to_thread(busy.acquire)
            # Others get their answers meanwhile, and so does who reads for nobody.
            assert await store.read(lambda conn: 2, TWO) == 2
            assert await store.work(lambda: 3, THREE) == 3
            assert await store.read(lambda conn: 4) == 4
            # A caller that is gone does not give its thread to the next one too early.
            one[0].cancel()
            assert await store.read(lambda conn: 2, TWO) == 2
            assert most == [1]
            release.set()
            await asyncio.gather(*one[1:])
            assert max(most) == 1
            assert len(most) == 12

    asyncio.run(run())


def test_accounts_together_leave_a_thread(tmp_path: Path) -> None:
    """Log-in and recipients are read for nobody in particular."""
    store = open_test_store("sqlite", tmp_path)
    release = threading.Event()

    async def run() -> None:
        async with running(store):
            accounts = [AccountId(n) for n in range(2 * READERS)]
            busy = [
                asyncio.ensure_future(store.read(lambda conn: release.wait(), one))
                for one in accounts
            ]
            assert await store.read(lambda conn: 1) == 1
            release.set()
            await asyncio.gather(*busy)

    asyncio.run(run())


def test_an_error_ends_the_turn(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path)

    def fail(conn: object) -> None:
        raise LookupError

    async def run() -> None:
        async with running(store):
            for _ in range(2 * READERS):
                with pytest.raises(LookupError):
                    await store.read(fail, ONE)

    asyncio.run(run())
