"""Reports about our domains as data, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kit.reports import BAD_ROW, BEGIN_S, REPORT
from kit.store import NOW_MS, make_account, make_intake
from zajil.reports.codec import from_store, to_store
from zajil.reports.dmarc.failure import read_failure_report
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.reports import received
from zajil.store.reports.received import (
    ExaminedMail,
    NoSuchReport,
    ReportQuery,
    SourceSummary,
    add_reports,
    forget_reports,
    list_report_mails,
    list_reports,
    load_report,
    record_examined,
    summarize_sources,
)

NEW = to_store(REPORT, sender="south.test", is_proven=True, received_ms=NOW_MS)
FAILURE = read_failure_report(
    b"Feedback-Type: auth-failure\r\nReported-Domain: north.test\r\nIncidents: 2\r\n",
    b"From: amal@north.test\r\n\r\n",
)


def test_a_report_is_kept_whole_and_once(store: Store) -> None:
    number = store.write_now(add_reports, NEW)
    assert number is not None
    assert store.write_now(add_reports, replace(NEW, received_ms=NOW_MS + 1)) is None
    loaded = store.read_now(lambda conn: load_report(conn, number))
    stored, report = loaded.stored, from_store(loaded)
    assert report == REPORT
    assert (stored.domain, stored.sender, stored.messages, stored.passed) == (
        *("north.test", "south.test"),
        *(5, 3),
    )
    assert (stored.begin_ms, stored.is_proven) == (BEGIN_S * 1000, True)


def test_a_forged_report_does_not_stand_in_the_way_of_the_true_one(store: Store) -> None:
    assert store.write_now(add_reports, replace(NEW, is_proven=False)) == 1
    assert store.write_now(add_reports, NEW) == 2
    query = ReportQuery(proven_only=True)
    assert [one.id for one in store.read_now(lambda conn: list_reports(conn, query))] == [2]


def test_a_failure_is_kept_with_its_header(store: Store) -> None:
    new = to_store(FAILURE, sender="south.test", is_proven=False, received_ms=NOW_MS)
    number = store.write_now(add_reports, new)
    assert number is not None
    assert store.write_now(add_reports, new) is None
    loaded = store.read_now(lambda conn: load_report(conn, number))
    stored, report = loaded.stored, from_store(loaded)
    assert (stored.kind, stored.messages, stored.passed) == ("failure", 2, 0)
    assert report == FAILURE


def test_sources_are_summed_over_reports(store: Store) -> None:
    store.write_now(add_reports, NEW)
    next_day = replace(
        REPORT,
        report_id="r2",
        begin_s=BEGIN_S + 86_400,
        end_s=BEGIN_S + 2 * 86_400 - 1,
        rows=(replace(BAD_ROW, count=10),),
    )
    new = to_store(next_day, sender="south.test", is_proven=True, received_ms=NOW_MS)
    store.write_now(add_reports, new)
    query = ReportQuery("north.test")
    begin_ms = BEGIN_S * 1000
    assert store.read_now(lambda conn: summarize_sources(conn, query)) == [
        SourceSummary(
            domain="north.test",
            source_ip="2001:db8::66",
            messages=12,
            passed=0,
            dkim_passed=0,
            spf_passed=0,
            first_ms=begin_ms,
            last_ms=begin_ms + 2 * 86_400_000 - 1000,
        ),
        SourceSummary(
            domain="north.test",
            source_ip="192.0.2.7",
            messages=3,
            passed=3,
            dkim_passed=3,
            spf_passed=0,
            first_ms=begin_ms,
            last_ms=begin_ms + 86_399_000,
        ),
    ]
    nothing = ReportQuery("south.test")
    assert store.read_now(lambda conn: summarize_sources(conn, nothing)) == []


def test_a_mail_is_examined_once(store: Store) -> None:
    entry = make_account(store, "dmarc-reports@north.test")
    content = store.blobs.stage((b"Subject: x\r\n\r\n",))
    mail_id = store.write_now(write_intakes, make_intake(content, local=[entry]))
    keys = [entry.address.key]

    def waiting(since_ms: int = NOW_MS) -> list[str]:
        found = store.read_now(lambda conn: list_report_mails(conn, keys, since_ms, 10))
        return [one.mail_id for one in found]

    assert waiting() == [mail_id]
    assert waiting(NOW_MS + 1) == []
    examined = ExaminedMail(mail_id, NOW_MS, "A report.", NEW)
    assert store.write_now(record_examined, examined) == 1
    assert store.write_now(record_examined, examined) is None
    assert waiting() == []


def test_old_and_too_many_reports_are_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        new = replace(NEW, report_id=f"r{number}", received_ms=NOW_MS + number)
        store.write_now(add_reports, new)
    store.write_now(forget_reports, NOW_MS + 1)
    assert {one.report_id for one in store.read_now(lambda c: list_reports(c, ReportQuery()))} == {
        *("r1", "r2", "r3")
    }
    monkeypatch.setattr(received, "MAX_REPORTS", 2)
    store.write_now(forget_reports, 0)
    left = store.read_now(lambda conn: list_reports(conn, ReportQuery()))
    assert [one.report_id for one in left] == ["r3", "r2"]
    with pytest.raises(NoSuchReport):
        store.read_now(lambda conn: load_report(conn, 1))
