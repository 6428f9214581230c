"""The indexer knows when mail comes in, and goes on all the same."""

from __future__ import annotations

import asyncio

from kit.store import make_account, make_intake, running
from zajil.core.ids import Uid
from zajil.read.index_pace import IndexPace
from zajil.store.engine.open import Store
from zajil.store.mail.flag_changes import FlagChange, FlagMode, change_flags
from zajil.store.mail.intake import write_intakes

DATA = b"Subject: lunch\r\n\r\nat noon\r\n"


class HandClock:
    """A clock that goes on only as it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_mail_makes_it_busy_and_nothing_else_does(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    clock = HandClock()

    async def run() -> None:
        async with running(store):
            pace = IndexPace(clock)
            assert not pace.is_busy
            unfollow = pace.follow(store.changes)
            assert pace.is_busy, "it has not heard anything yet"
            clock.now += 1.1
            assert not pace.is_busy
            await store.write(write_intakes, make_intake(store.blobs.stage([DATA]), local=[amal]))
            assert pace.is_busy
            clock.now += 0.9
            assert pace.is_busy
            clock.now += 0.2
            assert not pace.is_busy
            flags = FlagChange(amal.account_id, amal.inbox, (Uid(1),), FlagMode.ADD, frozenset("x"))
            await store.write(change_flags, flags)
            assert not pace.is_busy
            unfollow()
            await store.write(write_intakes, make_intake(store.blobs.stage([DATA]), local=[amal]))
            assert not pace.is_busy

    asyncio.run(run())


def test_mail_that_keeps_coming_does_not_stop_it() -> None:
    """It waits a while for an end, and then works as long as that costs others little."""
    clock = HandClock()

    async def sleep(seconds: float) -> None:
        clock.now += min(seconds, 0.3)
        pace.tell()

    async def run() -> None:
        pace.tell()
        began = clock.now
        await pace.wait_for_work()
        assert 5.0 <= clock.now - began < 6.0
        assert pace.is_busy
        began = clock.now
        await pace.rest(0.2)
        assert 3.0 <= clock.now - began < 4.0

    pace = IndexPace(clock, sleep)
    asyncio.run(run())


def test_it_begins_when_no_more_mail_comes() -> None:
    clock = HandClock()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds
        if len(slept) == 1:
            clock.now -= seconds / 2
            pace.tell()

    async def run() -> None:
        pace.tell()
        await pace.wait_for_work()
        assert slept == [1.0, 1.0]
        assert not pace.is_busy
        # Half of the time belongs to others.
        await pace.rest(0.2)
        assert slept[2:] == [0.2]

    pace = IndexPace(clock, sleep)
    asyncio.run(run())
