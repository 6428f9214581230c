"""Reports of others as the store keeps them: some columns, and JSON for what is never searched."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

from zajil.core.ids import MailId
from zajil.reports.dmarc.codec import decode_row, encode_row
from zajil.reports.dmarc.failure import FailureReport
from zajil.reports.dmarc.report import AggregateReport, PublishedPolicy, ReportRow
from zajil.reports.incoming import AnyReport
from zajil.reports.tls.report import TLS, FailureDetails, PolicyResult, TlsReport
from zajil.store.reports.received import LoadedReport, NewReport, NewReportRow


def to_store(
    report: AnyReport,
    *,
    sender: str,
    is_proven: bool,
    received_ms: int,
    mail_id: MailId | None = None,
) -> NewReport:
    """Turn a report of others into rows.

    Args:
        report: as it was read.
        sender: domain in From of its mail, ASCII; ``""``: it was read from a file.
        is_proven: its mail passed DMARC, or an operator brought it.
        received_ms: when it came.
        mail_id: of its mail.
    """
    origin: dict[str, Any] = {
        "sender": sender,
        "is_proven": is_proven,
        "received_ms": received_ms,
        "mail_id": mail_id,
    }
    if isinstance(report, FailureReport):
        return _failure_to_store(report, origin)
    origin |= {
        "report_id": report.report_id[:200],
        "organization": report.organization[:200],
        "begin_ms": report.begin_s * 1000,
        "end_ms": report.end_s * 1000,
    }
    if isinstance(report, TlsReport):
        return NewReport(
            kind=TLS,
            domain=report.domain,
            messages=report.sessions,
            passed=report.succeeded,
            content=_encode(report),
            **origin,
        )
    return NewReport(
        kind="aggregate",
        domain=report.policy.domain,
        messages=report.messages,
        passed=report.passed,
        content=_encode(replace(report, rows=())),
        rows=tuple([_to_row(row) for row in report.rows]),
        **origin,
    )


def _failure_to_store(report: FailureReport, origin: dict[str, Any]) -> NewReport:
    content = _encode(report)
    at_ms = report.arrival_ms if report.arrival_ms is not None else origin["received_ms"]
    return NewReport(
        kind="failure",
        domain=report.reported_domain,
        report_id=hashlib.sha256(content.encode()).hexdigest()[:32],
        organization=report.user_agent[:200],
        begin_ms=at_ms,
        end_ms=at_ms,
        messages=report.incidents,
        passed=0,
        content=content,
        **origin,
    )


def _to_row(row: ReportRow) -> NewReportRow:
    return NewReportRow(
        source_ip=row.source_ip,
        header_from=row.header_from,
        count=row.count,
        disposition=row.disposition,
        dkim=row.dkim,
        spf=row.spf,
        content=encode_row(row),
    )


def _encode(report: AnyReport) -> str:
    return json.dumps(asdict(report), ensure_ascii=False, separators=(",", ":"))


def from_store(loaded: LoadedReport) -> AnyReport:
    """Turn rows back into the report."""
    value = json.loads(loaded.content)
    if loaded.stored.kind == "failure":
        return FailureReport(**{**value, "recipients": tuple(value["recipients"])})
    if loaded.stored.kind == TLS:
        policies = tuple([_read_policy(one) for one in value["policies"]])
        return TlsReport(**{**value, "policies": policies})
    rows = tuple([decode_row(content, count) for content, count in loaded.rows])
    policy = PublishedPolicy(**value["policy"])
    return AggregateReport(
        **{**value, "policy": policy, "rows": rows, "errors": tuple(value["errors"])}
    )


def _read_policy(value: dict[str, Any]) -> PolicyResult:
    failures = tuple([FailureDetails(**one) for one in value["failures"]])
    lists = {name: tuple(value[name]) for name in ("text", "hosts")}
    return PolicyResult(**{**value, **lists, "failures": failures})
