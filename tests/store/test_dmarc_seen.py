"""What we saw of domains that ask for reports, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kit.reports import BAD_ROW, POLICY, ROW
from kit.store import make_account, make_intake
from zajil.mailauth.dmarc_report import PublishedPolicy
from zajil.store.engine.open import Store
from zajil.store.reports import dmarc_seen
from zajil.store.reports.dmarc_seen import (
    FinishedReport,
    ReportLease,
    SeenDomain,
    count_seen,
    finish_report,
    forget_seen,
    lease_report,
    list_due,
    load_seen,
)

DAY_MS = 86_400_000
BEGIN_MS = 1_700_006_400_000
END_MS = BEGIN_MS + DAY_MS
SEEN = SeenDomain(POLICY, ("mailto:a@north.test",), BEGIN_MS, END_MS, (ROW, BAD_ROW))
LEASE = ReportLease("north.test", BEGIN_MS, END_MS, END_MS + 1000)


def due(store: Store, until_ms: int = END_MS, now_ms: int = END_MS) -> list[tuple[str, int]]:
    rows = store.read_now(lambda conn: list_due(conn, until_ms, now_ms, 100))
    return [(one.domain, one.begin_ms) for one in rows]


def counts(store: Store, begin_ms: int = BEGIN_MS) -> list[tuple[str, int]]:
    seen = store.read_now(lambda conn: load_seen(conn, "north.test", begin_ms))
    assert seen is not None
    return [(row.source_ip, row.count) for row in seen.rows]


def test_counts_of_workers_add_up_and_the_last_policy_counts(store: Store) -> None:
    store.write_now(count_seen, (SEEN,))
    milder = replace(POLICY, policy="none")
    later = SeenDomain(milder, ("mailto:b@north.test",), BEGIN_MS, END_MS, (replace(ROW, count=4),))
    store.write_now(count_seen, (later,))
    seen = store.read_now(lambda conn: load_seen(conn, "north.test", BEGIN_MS))
    assert seen is not None
    assert (seen.policy, seen.report_to) == (milder, ("mailto:b@north.test",))
    assert seen.rows == (replace(ROW, count=7), BAD_ROW)


def test_an_interval_is_reported_once_and_only_by_whom_holds_the_lease(store: Store) -> None:
    store.write_now(count_seen, (SEEN,))
    assert due(store, END_MS - 1) == []
    assert due(store) == [("north.test", BEGIN_MS)]
    assert store.write_now(lease_report, LEASE)
    assert not store.write_now(lease_report, LEASE)
    assert due(store) == []
    entry = make_account(store, "amal@north.test")
    mail = make_intake(store.blobs.stage((b"Subject: x\r\n\r\n",)), local=[entry])
    other = replace(LEASE, until_ms=LEASE.until_ms + 1)
    assert not store.write_now(finish_report, FinishedReport(other, END_MS, "mine", (mail,)))
    assert store.write_now(finish_report, FinishedReport(LEASE, END_MS, "sent", (mail,)))
    again = make_intake(store.blobs.stage((b"Subject: y\r\n\r\n",)), local=[entry])
    assert not store.write_now(finish_report, FinishedReport(LEASE, END_MS, "again", (again,)))
    assert due(store, now_ms=END_MS + DAY_MS) == []


def test_a_lease_of_a_dead_worker_ends(store: Store) -> None:
    store.write_now(count_seen, (SEEN,))
    store.write_now(lease_report, LEASE)
    later = LEASE.until_ms
    assert due(store, now_ms=later) == [("north.test", BEGIN_MS)]
    assert store.write_now(lease_report, ReportLease("north.test", BEGIN_MS, later, later + 9))


def test_what_comes_after_a_report_by_hand_is_a_report_of_its_own(store: Store) -> None:
    store.write_now(count_seen, (SEEN,))
    noon_ms = BEGIN_MS + DAY_MS // 2 + 7
    lease = ReportLease("north.test", BEGIN_MS, noon_ms, noon_ms + 9)
    store.write_now(lease_report, lease)
    store.write_now(finish_report, FinishedReport(lease, noon_ms, "sent by hand"))
    for _ in range(2):
        store.write_now(count_seen, (SEEN,))
    assert due(store) == [("north.test", noon_ms - 7)]
    assert counts(store, noon_ms - 7) == [("192.0.2.7", 6), ("2001:db8::66", 4)]


def test_a_flood_of_domains_and_sources_is_bounded(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dmarc_seen, "MAX_DOMAINS", 3)
    monkeypatch.setattr(dmarc_seen, "MAX_ROWS", 2)
    rows = tuple([replace(ROW, source_ip=f"192.0.2.{number}") for number in range(5)])
    flood = tuple(
        [
            SeenDomain(PublishedPolicy(f"d{number}.test", "none"), (), BEGIN_MS, END_MS, rows)
            for number in range(9)
        ]
    )
    store.write_now(count_seen, flood)
    store.write_now(count_seen, flood)
    assert [domain for domain, _ in due(store)] == ["d0.test", "d1.test", "d2.test"]
    seen = store.read_now(lambda conn: load_seen(conn, "d0.test", BEGIN_MS))
    assert seen is not None
    assert [row.count for row in seen.rows] == [6, 6]


def test_what_was_reported_is_forgotten(store: Store) -> None:
    store.write_now(count_seen, (SEEN,))
    store.write_now(lease_report, LEASE)
    store.write_now(finish_report, FinishedReport(LEASE, END_MS, "sent"))
    store.write_now(forget_seen, END_MS)
    assert store.read_now(lambda conn: load_seen(conn, "north.test", BEGIN_MS)) is not None
    store.write_now(forget_seen, END_MS + 1)
    assert store.read_now(lambda conn: load_seen(conn, "north.test", BEGIN_MS)) is None
