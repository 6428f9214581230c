"""DMARC reports of others about our domains, summed up for the administration pages."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.reports.codec import from_store
from zajil.reports.dmarc.failure import FailureReport
from zajil.reports.dmarc.report import AggregateReport
from zajil.reports.tls.report import TlsReport
from zajil.store.engine.reader import Snapshot
from zajil.store.reports.received import (
    NoSuchReport,
    ReportQuery,
    SourceSummary,
    StoredReport,
    list_reports,
    load_report,
    summarize_sources,
)

DAY_MS = 86_400_000
_MOST_REPORTS = 10_000
_MOST_SOURCES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DmarcOverview:
    """What the reports of a period say."""

    begin_ms: int
    """Of the first day."""
    passed: tuple[int, ...]
    """Messages that passed DMARC, for each day."""
    failed: tuple[int, ...]
    sources: tuple[SourceSummary, ...]
    """Those that fail most first."""
    reports: tuple[StoredReport, ...]
    """Newest first."""


def load_dmarc(
    conn: Snapshot, domain: str | None, days: int, now_ms: int, *, proven_only: bool
) -> DmarcOverview:
    """Return what the reports that were received in the last days say.

    Args:
        conn: a read of the store.
        domain: ASCII; ``None``: all.
        days: how many.
        now_ms: the time.
        proven_only: leave out reports whose mail was not proven to be from its sender.
    """
    begin_ms = now_ms - days * DAY_MS
    reports = list_reports(conn, ReportQuery(domain, begin_ms, proven_only, _MOST_REPORTS))
    passed, failed = [0] * (days + 1), [0] * (days + 1)
    for one in reports:
        day = min(days, max(0, (one.begin_ms - begin_ms) // DAY_MS))
        passed[day] += one.passed
        failed[day] += one.messages - one.passed
    sources = summarize_sources(conn, ReportQuery(domain, begin_ms, proven_only, _MOST_SOURCES))
    return DmarcOverview(
        begin_ms=begin_ms,
        passed=tuple(passed),
        failed=tuple(failed),
        sources=tuple(sources),
        reports=tuple(reports),
    )


def load_one(conn: Snapshot, number: int) -> tuple[StoredReport, AggregateReport | FailureReport]:
    """Return one report with everything in it.

    Raises:
        NoSuchReport: there is none of this number.
    """
    loaded = load_report(conn, number)
    report = from_store(loaded)
    if isinstance(report, TlsReport):
        raise NoSuchReport(f"report {number} is not a DMARC report")
    return loaded.stored, report
