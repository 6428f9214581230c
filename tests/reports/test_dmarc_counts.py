"""Counting mails for reports."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kit.facts import make_facts
from kit.mail import NOON_MS, make_message
from kit.reports import counted_rows
from zajil.check.sender.findings import SenderFindings
from zajil.check.sender.forwarding import Override as Vouched
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Action
from zajil.core.address import parse_address
from zajil.mailauth.dkim_verify import DkimFound
from zajil.mailauth.dmarc import DmarcFound
from zajil.mailauth.dmarc_record import parse_dmarc_record
from zajil.mailauth.spf import SpfFound
from zajil.net.peer import LOCAL, Peer
from zajil.reports import counts as counting
from zajil.reports.dmarc.codec import decode_details
from zajil.reports.dmarc.counts import DmarcCounts
from zajil.reports.dmarc.report import DkimResult, PolicyOverride, PublishedPolicy, SpfResult
from zajil.store.reports.intervals import CountedInterval

DAY_MS = 86_400_000
FACTS = make_facts(make_message())
SPF = SpfFound(
    result="pass", identity="mailfrom", domain="south.test", explanation=None, reason="", inputs=()
)


def dkim(domain: str, result: str = "pass", selector: str = "s1") -> DkimFound:
    return DkimFound(
        domain=domain,
        selector=selector,
        algorithm="rsa-sha256",
        identity=f"@{domain}",
        result=result,
        reason="",
        inputs=(),
    )


def findings(
    record: str = "v=DMARC1; p=reject; rua=mailto:a@south.test",
    result: str = "fail",
    alignment: tuple[str, ...] = (),
    disposition: str = "none",
) -> SenderFindings:
    parsed = parse_dmarc_record(record)
    assert parsed is not None
    dmarc = DmarcFound(
        result=result,
        domain="south.test",
        reason="",
        policy=parsed.policy,
        disposition=disposition,
        record_domain="south.test",
        record=parsed,
        alignment=alignment,
    )
    return SenderFindings(spf=SPF, dkim=(dkim("list.example"), dkim("south.test")), dmarc=dmarc)


@pytest.fixture
def counts() -> DmarcCounts:
    return DmarcCounts(print, DAY_MS)


def test_mails_that_are_alike_are_one_row(counts: DmarcCounts) -> None:
    passed = findings(result="pass", alignment=("dkim",))
    for _ in range(3):
        counts.note(passed, FACTS, Action.ACCEPT)
    counts.note(findings(), FACTS, Action.ACCEPT)
    (seen,) = counts.take()
    policy, report_to = decode_details(seen.details)
    assert policy == PublishedPolicy(
        domain="south.test",
        policy="reject",
        subdomain_policy="reject",
        absent_policy="reject",
        dkim_alignment="r",
        spf_alignment="r",
        failure_options="0",
        testing="n",
        discovery_method="treewalk",
    )
    assert (seen.kind, seen.domain, report_to) == (
        *("dmarc", "south.test"),
        ("mailto:a@south.test",),
    )
    assert (seen.begin_ms, seen.end_ms) == (
        NOON_MS // DAY_MS * DAY_MS,
        NOON_MS // DAY_MS * DAY_MS + DAY_MS,
    )
    first, second = counted_rows(seen)
    assert (first.count, first.source_ip, first.disposition) == (3, "192.0.2.1", "pass")
    assert (first.dkim, first.spf) == ("pass", "fail")
    assert (first.header_from, first.envelope_from, first.envelope_to) == (
        *("south.test", "south.test"),
        "north.test",
    )
    assert first.dkim_results == (
        DkimResult("south.test", "s1", "pass"),
        DkimResult("list.example", "s1", "pass"),
    )
    assert first.spf_results == (SpfResult("south.test", "pass"),)
    assert second.count == 1
    assert counts.take() == ()


@pytest.mark.parametrize(
    ("policy", "action", "disposition", "overrides"),
    [
        ("p=none", Action.JUNK, "none", ()),
        ("p=quarantine", Action.JUNK, "quarantine", ()),
        ("p=quarantine", Action.REJECT, "quarantine", ()),
        ("p=reject", Action.REJECT, "reject", ()),
        ("p=reject", Action.JUNK, "quarantine", (PolicyOverride("local_policy"),)),
        ("p=reject", Action.ACCEPT, "none", (PolicyOverride("local_policy"),)),
        ("p=reject; t=y", Action.JUNK, "quarantine", (PolicyOverride("policy_test_mode"),)),
    ],
)
def test_what_was_done_is_told_and_why_it_is_not_what_was_asked(
    counts: DmarcCounts,
    policy: str,
    action: Action,
    disposition: str,
    overrides: tuple[PolicyOverride, ...],
) -> None:
    counts.note(findings(f"v=DMARC1; {policy}; rua=mailto:a@south.test"), FACTS, action)
    ((row,),) = [counted_rows(seen) for seen in counts.take()]
    assert (row.disposition, row.overrides) == (disposition, overrides)


def test_mail_that_passes_and_is_junk_for_other_reasons_gives_nothing_away(
    counts: DmarcCounts,
) -> None:
    counts.note(findings(result="pass", alignment=("spf",)), FACTS, Action.REJECT)
    ((row,),) = [counted_rows(seen) for seen in counts.take()]
    assert (row.disposition, row.overrides) == ("pass", ())


def test_a_trusted_forwarder_is_told(counts: DmarcCounts) -> None:
    reason = make_reason("dmarc.trusted-forwarder", forwarder="f.example", domain="south.test")
    vouched = Vouched("trusted_forwarder", "forwarded by f.example", reason)
    counts.note(replace(findings(), override=vouched), FACTS, Action.ACCEPT)
    ((row,),) = [counted_rows(seen) for seen in counts.take()]
    assert row.overrides == (PolicyOverride("trusted_forwarder", "forwarded by f.example"),)


def test_who_asks_for_no_reports_is_not_counted(counts: DmarcCounts) -> None:
    counts.note(findings("v=DMARC1; p=reject"), FACTS, Action.ACCEPT)
    counts.note(SenderFindings(), FACTS, Action.ACCEPT)
    local = replace(FACTS, peer=Peer(LOCAL, 0, "unix:x"))
    counts.note(findings(), local, Action.ACCEPT)
    assert counts.take() == ()


def test_reports_are_not_reported_on(counts: DmarcCounts) -> None:
    reports = (parse_address("DMARC-Reports@north.test"),)
    counts.note(findings(), replace(FACTS, recipients=reports), Action.ACCEPT)
    assert counts.take() == ()


def test_what_was_counted_is_written_once() -> None:
    written: list[tuple[CountedInterval, ...]] = []
    counts = DmarcCounts(written.append, DAY_MS)
    counts.note(findings(), FACTS, Action.ACCEPT)
    counts.flush()
    counts.flush()
    assert [[row.count for row in seen.rows] for (seen,) in written] == [[1]]


def test_counts_are_written_while_it_runs_and_what_is_left_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "FLUSH_SECONDS", 0)

    async def run() -> None:
        written: asyncio.Queue[tuple[CountedInterval, ...]] = asyncio.Queue()
        counts = DmarcCounts(written.put_nowait, DAY_MS)
        running = asyncio.create_task(counts.run())
        counts.note(findings(), FACTS, Action.ACCEPT)
        (first,) = await written.get()
        counts.note(findings(), FACTS, Action.ACCEPT)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        (second,) = written.get_nowait()
        assert first.rows == second.rows == (replace(first.rows[0], count=1),)

    asyncio.run(run())


def test_a_flood_of_sources_is_bounded(
    counts: DmarcCounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MAX_KEPT", 3)
    for _ in range(2):
        for number in range(9):
            peer = Peer(f"192.0.2.{number}", 1, "192.0.2.25:25")
            counts.note(findings(), replace(FACTS, peer=peer), Action.ACCEPT)
    ((*rows,),) = [seen.rows for seen in counts.take()]
    assert [row.count for row in rows] == [2, 2, 2]
