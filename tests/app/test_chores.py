"""The runner of chores: one worker of all nodes does each, and another one when it is gone."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from kit.nodes import declare_gone
from kit.store import open_test_store, running
from zajil.app.chores import Chore, ChoreRunner, ChoreTimes, repeated
from zajil.store.engine.chores import load_chores
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store

FOREVER = ChoreTimes(lease_seconds=3600, look_seconds=0.01)
SHORT = ChoreTimes(lease_seconds=0.3, look_seconds=0.02)


class Log:
    """Notes which worker is at a chore, and refuses that two are."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.at_it: set[str] = set()
        self.began = asyncio.Condition()

    def chore(self, worker: str, name: str = "keys") -> Chore:
        async def run() -> None:
            assert not self.at_it
            self.at_it.add(worker)
            async with self.began:
                self.begun.append(worker)
                self.began.notify_all()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self.at_it.discard(worker)

        return Chore(name, run)

    async def begins(self, worker: str) -> None:
        """Wait until a worker begins, or has begun last."""
        async with self.began:
            await self.began.wait_for(lambda: self.begun[-1:] == [worker])


async def looks(store: Store, count: int) -> None:
    """Wait for some renewals: the runners have looked meanwhile."""
    last = -1
    while count:
        beat = sum(row.beat for row in (await store.read(load_chores)).values())
        count -= beat != last
        last = beat


async def stop(runner: ChoreRunner, task: asyncio.Task[None]) -> None:
    await runner.drain(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_one_of_two_workers_does_it_and_the_other_when_it_ends(store: Store) -> None:
    async def run() -> None:
        log = Log()
        async with running(store):
            first = ChoreRunner(store, 0, [log.chore("first")], FOREVER)
            first_task = asyncio.create_task(first.run())
            await log.begins("first")
            second = ChoreRunner(store, 1, [log.chore("second")], FOREVER)
            second_task = asyncio.create_task(second.run())
            await looks(store, 10)
            assert log.begun == ["first"]
            await stop(first, first_task)
            await log.begins("second")
            await stop(second, second_task)
            assert log.at_it == set()
            assert {row.holder for row in (await store.read(load_chores)).values()} == {""}

    asyncio.run(run())


def test_another_node_takes_over_when_the_database_loses_the_holder(
    postgres_url: str, tmp_path: Path
) -> None:
    """The first node cannot reach the database any more: it stops before another one begins."""

    async def run() -> None:
        log = Log()
        stores = [open_test_store(postgres_url, tmp_path / name, 0) for name in ("one", "two")]
        async with AsyncExitStack() as stack:
            for store in stores:
                await stack.enter_async_context(running(store))
            first = asyncio.create_task(
                ChoreRunner(stores[0], 0, [log.chore("first")], SHORT).run()
            )
            await log.begins("first")
            second = asyncio.create_task(
                ChoreRunner(stores[1], 0, [log.chore("second")], SHORT).run()
            )
            await stores[0].writer.close()
            await log.begins("second")
            assert not first.done()
            for task in (first, second):
                task.cancel()
            await asyncio.gather(first, second, return_exceptions=True)

    asyncio.run(run())


class Steps:
    """A chore that takes one step after the other, and says how it ended."""

    def __init__(self) -> None:
        self.taken = 0
        self.clear = asyncio.Event()
        self.some = asyncio.Event()

    async def run(self) -> None:
        try:
            while True:
                self.taken += 1
                if self.taken % 3 == 0:
                    self.some.set()
                seconds = (0.001, 3600) if self.taken % 2 else (3600, 0.001)
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds[0]):
                        await asyncio.sleep(seconds[1])
        finally:
            await asyncio.sleep(0.001)
            self.clear.set()

    async def go_on(self) -> None:
        """Wait for some more steps."""
        self.some.clear()
        await self.some.wait()


def test_a_process_that_wakes_up_takes_no_step_of_what_others_took_over(
    postgres_url: str, tmp_path: Path
) -> None:
    """It was suspended beside a chore, and another node declared its own gone."""

    async def run() -> None:
        one, two = (open_test_store(postgres_url, tmp_path / name) for name in ("one", "two"))
        async with running(one), running(two):
            steps = Steps()
            runner = ChoreRunner(one, 0, [Chore("steps", steps.run)], FOREVER)
            task = asyncio.create_task(runner.run())
            await steps.go_on()
            # Nothing else of this process runs in between, as when it is suspended.
            assert declare_gone(two, one.node_id) is not None
            one.standing._sure_until = 0.0
            before = steps.taken
            await steps.clear.wait()
            assert steps.taken == before
            await stop(runner, task)

    asyncio.run(run())


def test_a_chore_waits_while_nobody_knows_and_goes_on(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause of the database does not end a backup of some hours; a stop of the server does."""
    monkeypatch.setattr("zajil.app.chores._ASK_AGAIN_SECONDS", 0.01)

    async def run() -> None:
        store = open_test_store(postgres_url, tmp_path / "one")
        async with running(store):
            steps = Steps()
            runner = ChoreRunner(store, 0, [Chore("steps", steps.run)], FOREVER)
            task = asyncio.create_task(runner.run())
            await steps.go_on()
            for is_over in (False, True):
                with monkeypatch.context() as away:
                    away.setattr(store.standing, "beat", _fail)
                    store.standing._sure_until = 0.0
                    before = steps.taken
                    await asyncio.sleep(0.05)
                    assert steps.taken == before
                    if is_over:
                        await stop(runner, task)
                assert steps.clear.is_set() == is_over
                if not is_over:
                    await steps.go_on()

    asyncio.run(run())


def _fail() -> None:
    raise StoreUnavailable("away")


def test_a_chore_takes_no_step_after_its_lease(store: Store) -> None:
    """Also where its process was suspended for so long that the timer comes behind the step."""

    async def run() -> None:
        async with running(store):
            steps = Steps()
            times = ChoreTimes(lease_seconds=0.2, look_seconds=3600)
            runner = ChoreRunner(store, 0, [Chore("steps", steps.run)], times)
            task = asyncio.create_task(runner.run())
            await steps.go_on()
            time.sleep(0.2)  # noqa: ASYNC251 (the process is suspended)
            before = steps.taken
            await steps.clear.wait()
            assert steps.taken == before
            await stop(runner, task)

    asyncio.run(run())


def test_the_worker_in_the_place_of_a_dead_one_goes_on_at_once(store: Store) -> None:
    async def run() -> None:
        log = Log()
        async with running(store):
            killed = asyncio.create_task(ChoreRunner(store, 0, [log.chore("old")], FOREVER).run())
            await log.begins("old")
            killed.cancel()  # it gives nothing up
            await asyncio.gather(killed, return_exceptions=True)
            other = ChoreRunner(store, 1, [log.chore("other")], FOREVER)
            other_task = asyncio.create_task(other.run())
            runner = ChoreRunner(store, 0, [log.chore("new")], FOREVER)
            task = asyncio.create_task(runner.run())
            async with log.began:
                await log.began.wait_for(lambda: len(log.begun) == 2)
            await stop(runner, task)
            await stop(other, other_task)

    asyncio.run(run())


def test_a_lease_that_ended_unrenewed_is_taken_again(store: Store) -> None:
    async def run() -> None:
        log = Log()
        async with running(store):
            times = ChoreTimes(lease_seconds=0.01, look_seconds=0.05)
            runner = ChoreRunner(store, 0, [log.chore("only")], times)
            task = asyncio.create_task(runner.run())
            async with log.began:
                await log.began.wait_for(lambda: len(log.begun) >= 3)
            await stop(runner, task)

    asyncio.run(run())


def test_a_fault_in_a_chore_is_logged_and_the_others_go_on(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack: a message that breaks a background task must not end workers, one after the other."""
    log, tries = Log(), asyncio.Queue[str]()

    async def fail() -> None:
        tries.put_nowait("fail")
        raise ZeroDivisionError

    async def end() -> None:
        tries.put_nowait("end")

    async def run() -> None:
        chores = [Chore("broken", fail), Chore("ending", end), log.chore("a")]
        async with running(store):
            runner = ChoreRunner(store, 0, chores, FOREVER)
            task = asyncio.create_task(runner.run())
            seen = [await tries.get() for _ in range(6)]
            assert {"fail", "end"} == set(seen)
            assert log.begun == ["a"]
            assert not task.done()
            await stop(runner, task)

    asyncio.run(run())
    failed = [line for line in caplog.records if "failed" in line.getMessage()]
    assert {line.__dict__["values"]["chore"] for line in failed} == {"broken", "ending"}
    assert ZeroDivisionError in {line.exc_info[0] for line in failed if line.exc_info}


def test_steps_are_repeated_and_a_store_that_is_away_is_waited_for() -> None:
    done: list[str] = []
    enough = asyncio.Event()

    async def first() -> None:
        done.append("first")
        if len(done) == 1:
            raise StoreUnavailable("away")

    async def second() -> None:
        done.append("second")
        enough.set()

    async def run() -> None:
        task = asyncio.create_task(_coroutine(repeated("x", 0, first, second)))
        await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert done[:3] == ["first", "first", "second"]

    asyncio.run(run())


async def _coroutine(chore: Chore) -> None:
    await chore.run()
