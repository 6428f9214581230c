"""Reports are made, consented to, signed and sent: once for each domain and interval."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import sqlalchemy as sa

from kit.clock import FakeClock
from kit.dkim import NOW_S
from kit.keys import make_signer
from kit.reports import BAD_ROW, POLICY, ROW, counted
from kit.store import make_account, running
from kit.zone import Zone, ZoneResolver
from zajil.accept.own_mail import OwnMailer
from zajil.core.clock import Clock
from zajil.core.mail_options import Notify
from zajil.reports.dmarc.report import AggregateReport
from zajil.reports.dmarc.sending import DmarcReports
from zajil.reports.incoming import read_report_mail
from zajil.reports.sending import GIVE_UP_MS, GRACE_MS, LEASE_MS, ReportSender, Sent
from zajil.store.engine.open import Store
from zajil.store.reports.intervals import CountedInterval, count_intervals
from zajil.store.schema import mail, recipient

DAY_MS = 86_400_000
BEGIN_MS = NOW_S * 1000 // DAY_MS * DAY_MS - DAY_MS
END_MS = BEGIN_MS + DAY_MS
ZONE: Zone = {"south.test._report._dmarc.service.example": {"TXT": ["v=DMARC1"]}}


def seen(*report_to: str) -> CountedInterval:
    policy = replace(POLICY, domain="south.test")
    return counted(
        *(ROW, BAD_ROW), begin_ms=BEGIN_MS, end_ms=END_MS, policy=policy, report_to=report_to
    )


SEEN = seen("mailto:r@south.test", "mailto:r@service.example!10m", "mailto:r@victim.example")


@dataclass(slots=True)
class Office:
    """A reporter, with what it works on."""

    store: Store
    clock: FakeClock
    resolver: ZoneResolver
    reporter: ReportSender

    async def sent_mails(self) -> list[tuple[bytes, list[str]]]:
        """Give content and recipients of the mails in the queue."""
        rows = await self.store.read(
            lambda conn: conn.execute(
                sa.select(recipient.c.address, recipient.c.notify, mail.c.blob_id).join_from(
                    recipient, mail, mail.c.id == recipient.c.mail_id
                )
            ).all()
        )
        contents = await self.store.read(
            lambda conn: [self.store.blobs.read(conn, row.blob_id) for row in rows]
        )
        found: dict[bytes, list[str]] = {}
        for row, content in zip(rows, contents, strict=True):
            assert Notify(row.notify) is Notify.NEVER
            found.setdefault(content, []).append(row.address)
        return [(content, sorted(names)) for content, names in found.items()]


@asynccontextmanager
async def office(store: Store, zone: Zone = ZONE) -> AsyncIterator[Office]:
    make_account(store, "amal@north.test", admin=True)
    signer = make_signer(store, "north.test")
    clock, resolver = FakeClock(END_MS + GRACE_MS), ZoneResolver(zone)
    async with running(store):
        await store.directory.load()
        await store.write(count_intervals, (SEEN,))
        reporter = ReportSender(
            DmarcReports("postmaster@north.test"),
            OwnMailer(
                store=store, clock=clock, random=os.urandom, lifetime_ms=DAY_MS, signer=signer
            ),
            resolver.resolve,
            hostname="mx.north.test",
        )
        yield Office(store, clock, resolver, reporter)


def due(clock: Clock) -> int:
    return clock.now_ms() - GRACE_MS


def test_a_report_goes_to_who_asked_and_consents(store: Store) -> None:
    async def run() -> None:
        async with office(store) as here:
            (sent,) = await here.reporter.send_due(due(here.clock))
            assert [str(one) for one in sent.recipients] == ["r@south.test", "r@service.example"]
            assert "victim.example does not say" in sent.outcome
            ((content, names),) = await here.sent_mails()
            assert names == ["r@service.example", "r@south.test"]
            assert content.startswith(b"DKIM-Signature:")
            assert b"From: dmarc-reports@north.test\r\n" in content
            assert b"victim" not in content
            report = read_report_mail(content)
            assert isinstance(report, AggregateReport)
            assert (report.begin_s, report.end_s) == (BEGIN_MS // 1000, END_MS // 1000 - 1)
            assert report.organization == "mx.north.test"
            assert report.contact == "postmaster@north.test"
            assert (report.policy.domain, report.rows) == ("south.test", (ROW, BAD_ROW))

    asyncio.run(run())


def test_an_interval_is_reported_when_it_is_over_and_once(store: Store) -> None:
    async def run() -> None:
        async with office(store) as here:
            here.clock.advance(-1)
            assert await here.reporter.send_due(due(here.clock)) == []
            here.clock.advance(1)
            assert len(await here.reporter.send_due(due(here.clock))) == 1
            here.clock.advance(LEASE_MS)
            assert await here.reporter.send_due(due(here.clock)) == []
            assert len(await here.sent_mails()) == 1

    asyncio.run(run())


def test_a_silent_dns_is_asked_again_for_a_day(store: Store) -> None:
    async def run() -> None:
        async with office(store, {"south.test._report._dmarc.service.example": None}) as here:
            assert await here.reporter.send_due(due(here.clock)) == []
            here.clock.advance(LEASE_MS)
            here.resolver.zone = ZONE
            (sent,) = await here.reporter.send_due(due(here.clock))
            assert len(sent.recipients) == 2

    asyncio.run(run())


def test_who_cannot_be_asked_gets_nothing_in_the_end(store: Store) -> None:
    async def run() -> None:
        zone: Zone = {f"south.test._report._dmarc.{name}.example": None for name in ("service",)}
        async with office(store, zone) as here:
            here.clock.advance(GIVE_UP_MS)
            (sent,) = await here.reporter.send_due(due(here.clock))
            assert [str(one) for one in sent.recipients] == ["r@south.test"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("mailto:r@victim.example", "does not say"),
        ("https://south.test/r", "no address"),
    ],
)
def test_what_nobody_takes_is_dropped_and_says_why(store: Store, uri: str, reason: str) -> None:
    async def run() -> None:
        async with office(store) as here:
            await store.write(count_intervals, (seen(uri),))
            (sent,) = await here.reporter.send_due(due(here.clock))
            assert reason in sent.outcome
            assert await here.sent_mails() == []
            assert await here.reporter.send_due(due(here.clock)) == []

    asyncio.run(run())


def test_a_report_by_hand_ends_the_interval_that_is_open(store: Store) -> None:
    async def run() -> None:
        async with office(store) as here:
            here.clock.advance(BEGIN_MS + 5000 - here.clock.now_ms())
            (sent,) = await here.reporter.send_due(END_MS)
            assert isinstance(sent, Sent)
            ((content, _),) = await here.sent_mails()
            report = read_report_mail(content)
            assert isinstance(report, AggregateReport)
            assert report.end_s == BEGIN_MS // 1000 + 4

    asyncio.run(run())
