"""The log tells in time that the certificate ends, and how often."""

from __future__ import annotations

import asyncio
import datetime

from kit.certificates import TestAuthority
from kit.clock import FakeClock
from kit.store import NOW_MS, running
from zajil.app.upkeep import tell_of_certificate
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch
from zajil.tls.certificate import DAY_MS
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
        clock, reached = FakeClock(NOW_MS), None
        async with running(store):
            for _ in range(24):
                reached = await tell_of_certificate(store, clock, certificate, reached)
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
    missing = certificate.with_name("missing.pem")
    told: list[EventBatch] = []
    store.observe(told.extend)

    async def scenario() -> None:
        async with running(store):
            clock = FakeClock(NOW_MS)
            assert await tell_of_certificate(store, clock, certificate, None) == 7
            assert await tell_of_certificate(store, clock, certificate, 7) == 7
            assert await tell_of_certificate(store, clock, missing, None) is None

    asyncio.run(scenario())
    assert len(told) == 1
