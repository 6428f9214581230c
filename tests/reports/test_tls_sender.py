"""TLS reports are sent to the domains that ask for them, and read where they arrive."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
import sqlalchemy as sa

from kit.clock import FakeClock
from kit.keys import make_signer
from kit.store import make_account, running
from kit.zone import Zone, ZoneResolver
from zajil.accept.own_mail import OwnMailer
from zajil.mailauth.tls_session import NO_POLICY, TlsFailure, TlsPolicy, TlsProblem, TlsSession
from zajil.reports.incoming import read_report_mail
from zajil.reports.sending import GRACE_MS, LEASE_MS, ReportSender, Sent
from zajil.reports.tls.counts import TlsCounts
from zajil.reports.tls.report import TLS_INTERVAL_MS, TlsReport
from zajil.reports.tls.sending import TlsReports
from zajil.store.engine.open import Store
from zajil.store.reports.intervals import count_intervals
from zajil.store.schema import mail, recipient

BEGIN_MS = 20_000 * TLS_INTERVAL_MS
NOT_OFFERED = TlsSession(
    TlsPolicy("sts", ("version: STSv1", "mode: enforce", "mx: mx.south.test"), ("mx.south.test",)),
    TlsProblem(TlsFailure.NO_STARTTLS),
    "mx.south.test",
    "192.0.2.25",
)


async def send(store: Store, zone: Zone) -> tuple[list[Sent], list[tuple[str, bytes]]]:
    """Count connections to south.test, send what is due, and return it with the mails."""
    clock, resolver = FakeClock(BEGIN_MS + TLS_INTERVAL_MS + GRACE_MS), ZoneResolver(zone)
    counts = TlsCounts(lambda _: None, TLS_INTERVAL_MS)
    for session in (NOT_OFFERED, NOT_OFFERED, TlsSession(NO_POLICY)):
        counts.note(BEGIN_MS, "south.test", session)
    await store.directory.load()
    await store.write(count_intervals, counts.take())
    mailer = OwnMailer(
        store=store,
        clock=clock,
        random=os.urandom,
        lifetime_ms=LEASE_MS,
        signer=make_signer(store, "north.test"),
    )
    reporter = ReportSender(TlsReports(), mailer, resolver.resolve, hostname="mx.north.test")
    sent = await reporter.send_due(clock.now_ms() - GRACE_MS)

    def read(conn: Any) -> list[tuple[str, bytes]]:
        query = sa.select(recipient.c.address, mail.c.blob_id)
        rows = conn.execute(query.join_from(recipient, mail, mail.c.id == recipient.c.mail_id))
        return [(row.address, store.blobs.read(conn, row.blob_id)) for row in rows]

    return sent, await store.read(read)


def test_a_report_goes_to_who_asked(store: Store) -> None:
    async def run() -> None:
        make_account(store, "amal@north.test", admin=True)
        record = "v=TLSRPTv1; rua=https://south.test/r,mailto:r@service.example"
        async with running(store):
            (sent,), mails = await send(store, {"_smtp._tls.south.test": {"TXT": [record]}})
            assert sent.outcome == "Sent to r@service.example: connections: 3."
            ((address, content),) = mails
            assert address == "r@service.example"
            assert content.startswith(b"DKIM-Signature:")
            assert b"From: tls-reports@north.test\r\n" in content
            report = read_report_mail(content)
            assert isinstance(report, TlsReport)
            assert (report.domain, report.sessions, report.succeeded) == ("south.test", 3, 1)
            assert (report.begin_s, report.end_s) == (BEGIN_MS // 1000, BEGIN_MS // 1000 + 86_399)
            assert report.contact == "tls-reports@north.test"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([], "south.test asks for no TLS reports."),
        (["v=TLSRPTv1; rua=https://south.test/r"], "south.test takes TLS reports only by HTTPS."),
    ],
)
def test_who_takes_no_mail_gets_none(store: Store, records: list[str], reason: str) -> None:
    async def run() -> None:
        make_account(store, "amal@north.test", admin=True)
        async with running(store):
            zone: Zone = {"_smtp._tls.south.test": {"TXT": records}} if records else {}
            (sent,), mails = await send(store, zone)
            assert (sent.outcome, mails) == (reason, [])

    asyncio.run(run())
