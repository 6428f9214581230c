"""The store checks itself at night, and says what it found."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.clock import FakeClock
from kit.store import NOW_MS, make_account, make_intake, open_test_store, running
from zajil.monitor import store_check
from zajil.monitor.conditions import DAY_MS, AlertKind
from zajil.monitor.store_check import (
    NightlyCheck,
    fill_digests,
    find_damaged_store,
    next_night_ms,
)
from zajil.store.engine.check_results import PARTS, load_checks
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.schema import blob

HOUR = 3_600_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    monkeypatch.setattr(store_check, "_STEP_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(store_check, "_DIGEST_PAUSE_SECONDS", 0.0)
    return FakeClock(NOW_MS)


@pytest.fixture
def filled(store: Store) -> Store:
    """Three messages."""
    amal = make_account(store, "amal@north.test")
    for number in range(3):
        staged = store.blobs.stage([b"Subject: %d\r\n\r\n" % number])
        store.write_now(write_intakes, make_intake(staged, local=[amal]))
    return store


def spoil(store: Store, statement: sa.Executable) -> None:
    with store._dialect.writer.begin() as tx:
        tx.execute(statement)


def test_damage_is_found_within_a_week(filled: Store, clock: FakeClock) -> None:
    """A part each night; what was found stays known until it is right again."""

    async def nights(count: int) -> list[int]:
        told: list[int] = []
        for _ in range(count):
            clock.advance(DAY_MS)
            await check.look()
            found = await find_damaged_store(filled)
            assert found is not None
            told.append(sum(int(one.facts["count"]) for one in found))
        return told

    async def story() -> None:
        async with running(filled):
            assert await find_damaged_store(filled) is None
            await check.look()  # by day nothing is due
            assert await find_damaged_store(filled) is None
            assert await nights(PARTS) == [0] * PARTS
            before = filled.read_now(load_checks)
            assert sum(before[part].blobs for part in range(PARTS)) == 3
            right = filled.read_now(
                lambda conn: conn.execute(sa.select(blob.c.id, blob.c.content)).all()
            )
            spoil(filled, sa.update(blob).values(content=sa.text("content || content")))
            spoil(filled, sa.update(blob).values(content=right[0].content, size=len(right[0][1])))
            spoil(filled, sa.text("UPDATE message SET size = size"))
            counts = await nights(PARTS)
            assert counts == sorted(counts)  # two of the three are other bytes now
            assert counts[-1] == 2
            (alert,) = await find_damaged_store(filled) or []
            assert alert.kind is AlertKind.STORE
            assert "its bytes are not those that were stored" in str(alert.facts["faults"])
            for row in right:
                mine = sa.update(blob).where(blob.c.id == row.id)
                spoil(filled, mine.values(content=row.content))
            assert await nights(1) == [0]

    check = NightlyCheck(filled, clock)
    asyncio.run(story())


def test_wrong_counts_are_found_in_one_night(filled: Store, clock: FakeClock) -> None:
    spoil(filled, sa.text("UPDATE mailbox SET messages = messages + 7 WHERE messages > 0"))

    async def story() -> None:
        check = NightlyCheck(filled, clock)
        async with running(filled):
            clock.advance(next_night_ms(clock.now_ms()) - clock.now_ms())
            await check.look()
            (alert,) = await find_damaged_store(filled) or []
            assert (alert.kind, alert.facts["count"]) == (AlertKind.STORE, 1)
            # A server that starts after some nights has an hour for its mail first.
            clock.advance(3 * DAY_MS)
            late = NightlyCheck(filled, clock)
            assert await late.due_ms() == clock.now_ms() + HOUR

    asyncio.run(story())


def test_a_check_ends_when_the_server_does(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_check, "_STEP_PAUSE_SECONDS", 60.0)
    sqlite_store = open_test_store("sqlite", tmp_path)
    threads: set[threading.Thread] = set()

    async def story() -> None:
        async with running(sqlite_store):
            before = set(threading.enumerate())
            task = asyncio.create_task(NightlyCheck(sqlite_store, clock).check())
            while not threads:
                await asyncio.sleep(0.01)
                threads.update(set(threading.enumerate()) - before)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await find_damaged_store(sqlite_store) is None

    asyncio.run(story())  # it waits for the threads of ``to_thread``
    assert not any(thread.is_alive() for thread in threads)


def test_older_messages_get_digests(filled: Store, clock: FakeClock) -> None:
    query = sa.select(blob.c.id, blob.c.digest).order_by(blob.c.id)
    before = filled.read_now(lambda conn: conn.execute(query).all())
    spoil(filled, sa.update(blob).values(digest=None))

    async def story() -> None:
        async with running(filled):
            await fill_digests(filled)

    asyncio.run(story())
    filled._dialect.close()
    assert filled.read_now(lambda conn: conn.execute(query).all()) == before


def test_night_is_three_in_the_morning() -> None:
    night = datetime.fromtimestamp(next_night_ms(NOW_MS) / 1000).astimezone()
    assert (night.hour, night.minute) == (3, 0)
    assert 0 < next_night_ms(NOW_MS) - NOW_MS <= 25 * HOUR
    assert next_night_ms(next_night_ms(NOW_MS)) > next_night_ms(NOW_MS)
