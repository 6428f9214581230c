"""Each condition is found where it is, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.clock import FakeClock
from kit.store import NOW_MS, make_account, make_intake, open_test_store, running
from zajil.config.options_monitor import AlertOptions
from zajil.monitor.conditions import DAY_MS, AlertCondition, AlertKind, Ending
from zajil.monitor.finders import (
    WorkerWatch,
    find_ending_certificates,
    find_full_disk,
    find_late_mail,
    find_unsigned_domains,
)
from zajil.store.engine.open import Store
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.intake import write_intakes
from zajil.store.people.dkim_keys import KeyState, NewDkimKey, NewDkimKeys, add_dkim_keys
from zajil.store.schema import recipient

HOUR = 3_600_000
OPTIONS = AlertOptions()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW_MS)


@pytest.fixture
def store(store_url: str, tmp_path: Path, clock: FakeClock) -> Store:
    return open_test_store(store_url, tmp_path, clock=clock)


def ask(
    store: Store, find: Callable[[], Awaitable[Sequence[AlertCondition] | None]]
) -> Sequence[AlertCondition] | None:
    """Ask a finder with a store that is started."""

    async def run() -> Sequence[AlertCondition] | None:
        async with running(store):
            return await find()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("disk_free", "reserve", "found"),
    [(1, 1, None), (10**18, 1, AlertKind.DISK), (10**18, 10**18, AlertKind.DISK_FULL)],
)
def test_disk(tmp_path: Path, disk_free: int, reserve: int, found: AlertKind | None) -> None:
    options = OPTIONS.model_copy(update={"disk_free": disk_free})
    conditions = asyncio.run(find_full_disk(tmp_path, options, reserve))
    assert conditions is not None
    assert [one.kind for one in conditions] == ([] if found is None else [found])


def queue(store: Store, clock: FakeClock, **changes: object) -> None:
    """Put a mail for two strangers into the queue, and change its rows."""
    staged = asyncio.run(_stage(store))
    item = make_intake(staged, remote=["a@there.test", "b@there.test"], at_ms=clock.now_ms())
    store.write_now(write_intakes, item)

    def change(tx: sa.Connection, _items: Sequence[None]) -> list[None]:
        tx.execute(sa.update(recipient).values(**changes))
        return [None]

    if changes:
        store.write_now(change, None)


async def _stage(store: Store) -> StagedBlob:
    return await store.blobs.stage_any([b"Subject: x\r\n\r\nx\r\n"])


def test_old_mail_is_told_with_its_reasons(store: Store, clock: FakeClock) -> None:
    queue(store, clock, tries=3, reason="timeout", next_try_ms=NOW_MS + 9 * HOUR)
    assert ask(store, lambda: find_late_mail(store, OPTIONS, clock)) == []


def test_old_mail_is_found_after_four_hours(store: Store, clock: FakeClock) -> None:
    queue(store, clock, tries=3, reason="timeout", next_try_ms=NOW_MS + 9 * HOUR)
    clock.advance(5 * HOUR)
    found = ask(store, lambda: find_late_mail(store, OPTIONS, clock))
    assert found
    assert found[0].kind is AlertKind.QUEUE
    assert found[0].facts["count"] == 2
    assert found[0].facts["reasons"] == "timeout (2)"
    assert int(found[0].facts["oldest_age"]) >= 5 * HOUR


def test_mail_that_shall_be_sent_later_is_not_late(store: Store, clock: FakeClock) -> None:
    queue(store, clock, tries=0, next_try_ms=NOW_MS + 90 * HOUR)
    clock.advance(50 * HOUR)
    assert ask(store, lambda: find_late_mail(store, OPTIONS, clock)) == []


def test_held_mail_is_not_late(store: Store, clock: FakeClock) -> None:
    queue(store, clock, state="held", tries=1)
    clock.advance(50 * HOUR)
    assert ask(store, lambda: find_late_mail(store, OPTIONS, clock)) == []


@pytest.mark.parametrize(
    ("life_days", "left_days", "is_told"),
    [
        (90, 31, False),
        (90, 14, False),
        (90, 13, True),
        (6, 2, False),
        (6, 0.9, True),
        (90, -1, True),
    ],
)
def test_certificates(clock: FakeClock, life_days: int, left_days: float, is_told: bool) -> None:
    end_ms = NOW_MS + int(left_days * DAY_MS)

    async def certificates() -> Sequence[Ending]:
        return [Ending("mx.y.test", end_ms - life_days * DAY_MS, end_ms)]

    found = asyncio.run(find_ending_certificates(certificates, clock))
    assert found == (
        [AlertCondition(AlertKind.CERTIFICATE, "mx.y.test", {"end_ms": end_ms})] if is_told else []
    )


def test_a_domain_without_a_key_that_signs(store: Store, clock: FakeClock) -> None:
    for name in ("none.test", "waits.test", "signs.test"):
        make_account(store, f"a@{name}", login=name)
    for name in ("waits.test", "signs.test"):
        state = KeyState.ACTIVE if name == "signs.test" else KeyState.PUBLISHED
        key = NewDkimKey("s1", "rsa-sha256", b"private", b"public")
        store.write_now(add_dkim_keys, NewDkimKeys(name, (key,), NOW_MS, state))

    async def names() -> list[str]:
        async with running(store):
            found = []
            for hours in (1, 25):
                clock.advance(hours * HOUR)
                conditions = await find_unsigned_domains(store, clock)
                found.append(",".join(one.subject for one in conditions or ()))
            return found

    assert asyncio.run(names()) == ["none.test", "none.test,waits.test"]


def test_workers_that_die_again_and_again(clock: FakeClock) -> None:
    deaths = [0, 1, 1, 4, 4, 4, 4]
    watch = WorkerWatch(lambda: deaths.pop(0), clock)

    async def story() -> list[int]:
        found = []
        while deaths:
            conditions = await watch.find()
            found.append(sum(int(one.facts["count"]) for one in conditions or ()))
            clock.advance(240_000)
        return found

    # Ten minutes after the last death it is over.
    assert asyncio.run(story()) == [0, 0, 0, 3, 3, 0, 0]
