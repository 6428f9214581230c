"""Parts of DMARC reports as JSON, for columns that are shown and never searched."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from zajil.mailauth.dmarc_report import (
    AggregateReport,
    DkimResult,
    PolicyOverride,
    PublishedPolicy,
    ReportRow,
    SpfResult,
)
from zajil.mailauth.failure_report import FailureReport


def encode_row(row: ReportRow) -> str:
    """Write a row; the same row gives the same text."""
    return json.dumps(asdict(row), ensure_ascii=False, separators=(",", ":"))


def decode_row(text: str, count: int) -> ReportRow:
    """Read a row, with a count of its own."""
    value = json.loads(text)
    value["count"] = count
    value["overrides"] = tuple([PolicyOverride(**one) for one in value["overrides"]])
    value["dkim_results"] = tuple([DkimResult(**one) for one in value["dkim_results"]])
    value["spf_results"] = tuple([SpfResult(**one) for one in value["spf_results"]])
    return ReportRow(**value)


def encode_policy(policy: PublishedPolicy) -> str:
    """Write what a record says."""
    return json.dumps(asdict(policy), ensure_ascii=False, separators=(",", ":"))


def decode_policy(text: str) -> PublishedPolicy:
    """Read what a record said."""
    return PublishedPolicy(**json.loads(text))


def encode_report(report: AggregateReport | FailureReport) -> str:
    """Write a report without its rows."""
    if isinstance(report, AggregateReport):
        report = replace(report, rows=())
    return json.dumps(asdict(report), ensure_ascii=False, separators=(",", ":"))


def decode_report(
    kind: str, text: str, rows: tuple[ReportRow, ...]
) -> AggregateReport | FailureReport:
    """Read a report.

    Args:
        kind: ``aggregate`` or ``failure``.
        text: as ``encode_report`` wrote it.
        rows: of an aggregate one.
    """
    value = json.loads(text)
    if kind == "failure":
        return FailureReport(**{**value, "recipients": tuple(value["recipients"])})
    policy = PublishedPolicy(**value["policy"])
    return AggregateReport(
        **{**value, "policy": policy, "rows": rows, "errors": tuple(value["errors"])}
    )
