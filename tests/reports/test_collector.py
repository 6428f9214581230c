"""Reports that lie in the postmaster's mailbox become data."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kit.clock import FakeClock
from kit.reports import BEGIN_S, REPORT, TLS_REPORT
from kit.store import NOW_MS, make_account, make_intake, running
from zajil.config.options_check import DmarcOptions
from zajil.core.address import Address, parse_address
from zajil.reports.collector import ReportCollector, is_ours, who_sent
from zajil.reports.dmarc.mail import ReportMail, build_report_mail
from zajil.reports.tls.mail import build_tls_report_mail
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.reports.received import ReportQuery, StoredReport, list_reports

REPORTS = parse_address("dmarc-reports@north.test")
MAIL = build_report_mail(
    ReportMail(
        REPORT,
        "mx.south.test",
        parse_address("dmarc-reports@south.test"),
        (REPORTS,),
        "<r1@mx.south.test>",
        BEGIN_S * 1000,
    )
)
PASSED = b"Authentication-Results: mx.north.test; dmarc=pass header.from=south.test\r\n"


def deliver(store: Store, content: bytes, to: Address = REPORTS) -> None:
    """Accept a mail to the address for reports, which the postmaster gets."""
    entry = make_account(store, "amal@north.test", admin=True)
    item = make_intake(store.blobs.stage((content,)), local=[entry])
    item = replace(item, local=(replace(item.local[0], recipient=to),))
    store.write_now(write_intakes, item)


async def collect(
    store: Store, query: ReportQuery | None = None
) -> tuple[list[int], list[StoredReport]]:
    """Read what is there, twice; return how many were new, and those that a query finds."""
    collector = ReportCollector(store, DmarcOptions(), FakeClock(NOW_MS + 1000), "mx.north.test")
    async with running(store):
        found = [await collector.collect() for _ in range(2)]
        return found, await store.read(lambda conn: list_reports(conn, query or ReportQuery()))


def test_a_report_is_read_once_and_its_sender_remembered(store: Store) -> None:
    async def run() -> None:
        deliver(store, PASSED + MAIL)
        found, (report,) = await collect(store)
        assert found == [1, 0]
        assert (report.domain, report.sender, report.is_proven) == (
            "north.test",
            "south.test",
            True,
        )
        assert (report.messages, report.passed) == (5, 3)

    asyncio.run(run())


def test_a_tls_report_arrives_at_its_own_address(store: Store) -> None:
    async def run() -> None:
        to = parse_address("tls-reports@north.test")
        sender = parse_address("tls-reports@south.test")
        mail = build_tls_report_mail(TLS_REPORT, sender, (to,), BEGIN_S * 1000)
        deliver(store, PASSED + mail, to)
        found, (report,) = await collect(store, ReportQuery(kinds=("tls",)))
        assert found == [1, 0]
        assert (report.domain, report.sender, report.is_proven) == (
            *("north.test", "south.test"),
            True,
        )
        assert (report.messages, report.passed) == (12, 9)

    asyncio.run(run())


def test_a_report_without_a_proof_says_so(store: Store) -> None:
    async def run() -> None:
        deliver(store, PASSED.replace(b"pass", b"fail") + MAIL)
        _, (report,) = await collect(store)
        assert (report.sender, report.is_proven) == ("south.test", False)

    asyncio.run(run())


@pytest.mark.parametrize(
    "content",
    [b"Subject: hello\r\n\r\nno report\r\n", MAIL[: len(MAIL) // 2], b""],
    ids=["letter", "truncated", "empty"],
)
def test_what_is_no_report_is_looked_at_once_and_does_no_harm(store: Store, content: bytes) -> None:
    async def run() -> None:
        deliver(store, content)
        assert await collect(store) == ([0, 0], [])

    asyncio.run(run())


def test_a_report_about_others_is_no_concern_of_ours(store: Store) -> None:
    async def run() -> None:
        others = replace(REPORT, policy=replace(REPORT.policy, domain="other.example"))
        mail = ReportMail(others, "mx.south.test", REPORTS, (REPORTS,), "<x@y>", BEGIN_S * 1000)
        deliver(store, build_report_mail(mail))
        assert await collect(store) == ([0, 0], [])

    asyncio.run(run())


def test_names_below_ours_are_ours() -> None:
    ours = frozenset({"north.test"})
    names = ("north.test", "a.b.north.test", "xnorth.test", "test")
    assert [is_ours(name, ours) for name in names] == [True, True, False, False]


def test_only_our_own_word_is_believed() -> None:
    forged = PASSED.replace(b"mx.north.test", b"mx.evil.example")
    assert who_sent(forged + MAIL, "mx.north.test") == ("", False)
    assert who_sent(forged + PASSED + MAIL, "mx.north.test") == ("south.test", True)
    assert who_sent(b"", "mx.north.test") == ("", False)
