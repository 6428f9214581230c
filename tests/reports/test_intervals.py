"""What we saw of domains that ask for reports, on both databases."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from kit.reports import BAD_ROW, POLICY, ROW, counted, counted_rows
from kit.store import make_account, make_intake, open_test_store, small_store_options
from zajil.net.system import SystemClock
from zajil.reports.dmarc.codec import decode_details
from zajil.reports.dmarc.report import DMARC, PublishedPolicy, ReportRow
from zajil.store import migrations
from zajil.store.engine.life import upgrade_store
from zajil.store.engine.open import Store
from zajil.store.reports import intervals
from zajil.store.reports.intervals import (
    CountedInterval,
    DueInterval,
    FinishedInterval,
    IntervalLease,
    count_intervals,
    finish_interval,
    forget_intervals,
    lease_interval,
    list_due,
    load_interval,
)
from zajil.store.schema import metadata

DAY_MS = 86_400_000
BEGIN_MS = 1_700_006_400_000
END_MS = BEGIN_MS + DAY_MS
DUE = DueInterval(DMARC, "north.test", BEGIN_MS, END_MS)
LEASE = IntervalLease(DUE, END_MS, END_MS + 1000)


def seen(
    *rows: ReportRow, policy: PublishedPolicy = POLICY, to: str = "mailto:a@north.test"
) -> CountedInterval:
    return counted(*rows, begin_ms=BEGIN_MS, end_ms=END_MS, policy=policy, report_to=(to,))


SEEN = seen(ROW, BAD_ROW)


def due(store: Store, until_ms: int = END_MS, now_ms: int = END_MS) -> list[tuple[str, int]]:
    rows = store.read_now(lambda conn: list_due(conn, DMARC, until_ms, now_ms, 100))
    return [(one.domain, one.begin_ms) for one in rows]


def counts(store: Store, begin_ms: int = BEGIN_MS) -> list[tuple[str, int]]:
    due = replace(DUE, begin_ms=begin_ms)
    found = store.read_now(lambda conn: load_interval(conn, due))
    assert found is not None
    return [(row.source_ip, row.count) for row in counted_rows(found)]


def test_counts_of_workers_add_up_and_the_last_policy_counts(store: Store) -> None:
    store.write_now(count_intervals, (SEEN,))
    milder = replace(POLICY, policy="none")
    later = seen(replace(ROW, count=4), policy=milder, to="mailto:b@north.test")
    store.write_now(count_intervals, (later,))
    found = store.read_now(lambda conn: load_interval(conn, DUE))
    assert found is not None
    assert decode_details(found.details) == (milder, ("mailto:b@north.test",))
    assert counted_rows(found) == (replace(ROW, count=7), BAD_ROW)


def test_an_interval_is_reported_once_and_only_by_whom_holds_the_lease(store: Store) -> None:
    store.write_now(count_intervals, (SEEN,))
    assert due(store, END_MS - 1) == []
    assert due(store) == [("north.test", BEGIN_MS)]
    assert store.write_now(lease_interval, LEASE)
    assert not store.write_now(lease_interval, LEASE)
    assert due(store) == []
    entry = make_account(store, "amal@north.test")
    mail = make_intake(store.blobs.stage((b"Subject: x\r\n\r\n",)), local=[entry])
    other = replace(LEASE, until_ms=LEASE.until_ms + 1)
    assert not store.write_now(finish_interval, FinishedInterval(other, END_MS, "mine", (mail,)))
    assert store.write_now(finish_interval, FinishedInterval(LEASE, END_MS, "sent", (mail,)))
    again = make_intake(store.blobs.stage((b"Subject: y\r\n\r\n",)), local=[entry])
    assert not store.write_now(finish_interval, FinishedInterval(LEASE, END_MS, "again", (again,)))
    assert due(store, now_ms=END_MS + DAY_MS) == []


def test_a_lease_of_a_dead_worker_ends(store: Store) -> None:
    store.write_now(count_intervals, (SEEN,))
    store.write_now(lease_interval, LEASE)
    later = LEASE.until_ms
    assert due(store, now_ms=later) == [("north.test", BEGIN_MS)]
    assert store.write_now(lease_interval, IntervalLease(DUE, later, later + 9))


def test_what_comes_after_a_report_by_hand_is_a_report_of_its_own(store: Store) -> None:
    store.write_now(count_intervals, (SEEN,))
    noon_ms = BEGIN_MS + DAY_MS // 2 + 7
    lease = IntervalLease(DUE, noon_ms, noon_ms + 9)
    store.write_now(lease_interval, lease)
    store.write_now(finish_interval, FinishedInterval(lease, noon_ms, "sent by hand"))
    for _ in range(2):
        store.write_now(count_intervals, (SEEN,))
    assert due(store) == [("north.test", noon_ms - 7)]
    assert counts(store, noon_ms - 7) == [("192.0.2.7", 6), ("2001:db8::66", 4)]


def test_a_flood_of_domains_and_sources_is_bounded(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "MAX_DOMAINS", 3)
    monkeypatch.setattr(intervals, "MAX_ROWS", 2)
    rows = tuple([replace(ROW, source_ip=f"192.0.2.{number}") for number in range(5)])
    flood = tuple(
        [
            seen(*rows, policy=PublishedPolicy(domain=f"d{number}.test", policy="none"))
            for number in range(9)
        ]
    )
    store.write_now(count_intervals, flood)
    store.write_now(count_intervals, flood)
    assert [domain for domain, _ in due(store)] == ["d0.test", "d1.test", "d2.test"]
    due_of_first = replace(DUE, domain="d0.test")
    found = store.read_now(lambda conn: load_interval(conn, due_of_first))
    assert found is not None
    assert [row.count for row in found.rows] == [6, 6]


def test_what_was_reported_is_forgotten(store: Store) -> None:
    store.write_now(count_intervals, (SEEN,))
    store.write_now(lease_interval, LEASE)
    store.write_now(finish_interval, FinishedInterval(LEASE, END_MS, "sent"))
    store.write_now(forget_intervals, END_MS)
    assert store.read_now(lambda conn: load_interval(conn, DUE)) is not None
    store.write_now(forget_intervals, END_MS + 1)
    assert store.read_now(lambda conn: load_interval(conn, DUE)) is None


def test_kinds_of_reports_do_not_mix(store: Store) -> None:
    store.write_now(count_intervals, (SEEN, replace(SEEN, kind="other")))
    assert due(store) == [("north.test", BEGIN_MS)]
    assert store.write_now(lease_interval, LEASE)
    assert store.write_now(finish_interval, FinishedInterval(LEASE, END_MS, "sent"))
    other = replace(DUE, kind="other")
    assert store.read_now(lambda conn: list_due(conn, "other", END_MS, END_MS, 9)) == [other]
    found = store.read_now(lambda conn: load_interval(conn, other))
    assert found is not None
    assert counted_rows(found) == (ROW, BAD_ROW)


def test_counts_of_an_older_store_are_kept(store: Store, store_url: str, tmp_path: Path) -> None:
    """Schema 0014 had tables for DMARC alone."""
    content = counted(ROW, begin_ms=BEGIN_MS, end_ms=END_MS).rows[0].content
    policy = json.dumps(asdict(POLICY), separators=(",", ":"))
    with store._dialect.writer.begin() as conn:
        metadata.drop_all(conn)
        conn.execute(sa.text("DROP TABLE alembic_version"))
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = conn
        command.upgrade(config, "0014")
        conn.execute(
            sa.text(
                "INSERT INTO dmarc_seen_domain VALUES"
                " (:domain, :begin_ms, :end_ms, :policy, :report_to, 0, NULL, '')"
            ),
            {
                "domain": "north.test",
                "begin_ms": BEGIN_MS,
                "end_ms": END_MS,
                "policy": policy,
                "report_to": '["mailto:a@north.test"]',
            },
        )
        conn.execute(
            sa.text("INSERT INTO dmarc_seen_row VALUES ('north.test', :begin_ms, 'd', :row, 3)"),
            {"begin_ms": BEGIN_MS, "row": content},
        )
    store._dialect.close()
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    (only,) = again.read_now(lambda conn: list_due(conn, DMARC, END_MS, END_MS, 9))
    found = again.read_now(lambda conn: load_interval(conn, only))
    again.close_now()
    assert only == DUE
    assert found is not None
    assert decode_details(found.details) == (POLICY, ("mailto:a@north.test",))
    assert counted_rows(found) == (ROW,)
