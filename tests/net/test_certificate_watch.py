"""The log tells in time that the certificate ends, and how often."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.clock import FakeClock
from kit.store import NOW_MS, running
from zajil.app.certificates import tell_of_ends, watch_own_files
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch
from zajil.tls.certificate import DAY_MS, read_certificate
from zajil.tls.keeper import TlsKeeper
from zajil.tracking.events import CertificateEnding


def test_it_is_told_at_14_7_3_and_1_days_and_daily_once_it_has_ended(
    store: Store, authority: TestAuthority
) -> None:
    end = datetime.datetime.fromtimestamp(NOW_MS / 1000, datetime.UTC)
    end += datetime.timedelta(days=20, hours=12)
    certificate, _ = authority.issue("mx.north.test", end=end)
    told: list[EventBatch] = []
    store.observe(told.extend)

    async def scenario() -> None:
        clock, told_days = FakeClock(NOW_MS), dict[str, int]()
        facts = {"mx": read_certificate(certificate)}
        async with running(store):
            for _ in range(24):
                told_days = await tell_of_ends(store, clock, facts, told_days)
                clock.advance(DAY_MS)

    asyncio.run(scenario())
    events = [event for batch in told for event in batch.events]
    assert all(isinstance(event, CertificateEnding) for event in events)
    assert [event.days_left for event in events if isinstance(event, CertificateEnding)] == [
        *(14, 7, 3, 1),
        *(-1, -2, -3),
    ]


def test_it_is_told_again_at_a_start(store: Store, authority: TestAuthority) -> None:
    end = datetime.datetime.fromtimestamp(NOW_MS / 1000, datetime.UTC)
    certificate, _ = authority.issue("soon.north.test", end=end + datetime.timedelta(days=5))
    told: list[EventBatch] = []
    store.observe(told.extend)

    async def scenario() -> None:
        async with running(store):
            clock = FakeClock(NOW_MS)
            facts = {"mx": read_certificate(certificate)}
            assert await tell_of_ends(store, clock, facts, {}) == {"mx": 7}
            assert await tell_of_ends(store, clock, facts, {"mx": 7}) == {"mx": 7}

    asyncio.run(scenario())
    assert len(told) == 1


def test_own_files_that_change_are_presented_without_a_signal(
    authority: TestAuthority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"

    def install(pair: tuple[Path, Path]) -> None:
        for source, target in zip(pair, files, strict=True):
            fresh = target.with_suffix(".new")
            fresh.write_bytes(source.read_bytes())
            fresh.replace(target)

    async def wait_until(is_so: Callable[[], bool]) -> None:
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    install(authority.issue("one.test"))
    keeper = TlsKeeper([files])

    async def scenario() -> None:
        watching = asyncio.create_task(watch_own_files(keeper, 0.01))
        one = keeper.find(None)
        install((authority.issue("two.test")[0], authority.issue("three.test")[1]))
        async with asyncio.timeout(60):
            await wait_until(lambda: "the old one stays in use" in caplog.text)
            assert keeper.find(None) == one
            install(authority.issue("four.test"))
            await wait_until(lambda: keeper.find(None) != one)
        watching.cancel()

    asyncio.run(scenario())
