"""Aggregate reports to XML (RFC 9990 section 3.1.1, Appendix A).

Law: whatever the values hold, the document is well-formed: markup is escaped, and characters that
no XML document may have are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from zajil.reports.dmarc.report import (
    NAMESPACE,
    AggregateReport,
    DkimResult,
    PolicyOverride,
    PublishedPolicy,
    ReportRow,
    SpfResult,
)

# XML 1.0 section 2.2: what is no character of a document, not even as a reference.
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#13;"}


def write_report(report: AggregateReport) -> bytes:
    """Write a report, in UTF-8."""
    metadata = [
        _leaf("org_name", report.organization),
        _leaf("email", report.email),
        _optional("extra_contact_info", report.contact),
        _leaf("report_id", report.report_id),
        _node("date_range", [_leaf("begin", str(report.begin_s)), _leaf("end", str(report.end_s))]),
        *[_leaf("error", error) for error in report.errors],
        _optional("generator", report.generator),
    ]
    body = [
        _leaf("version", "1.0"),
        _node("report_metadata", metadata),
        _node("policy_published", _policy(report.policy)),
        *[_node("record", _record(row)) for row in report.rows],
    ]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<feedback xmlns="{NAMESPACE}">\n',
        *body,
        "</feedback>\n",
    ]
    return "".join(lines).encode()


def _policy(policy: PublishedPolicy) -> list[str]:
    return [
        _leaf("domain", policy.domain),
        _optional("discovery_method", policy.discovery_method),
        _leaf("p", policy.policy),
        _optional("sp", policy.subdomain_policy),
        _optional("np", policy.absent_policy),
        _optional("fo", policy.failure_options),
        _optional("adkim", policy.dkim_alignment),
        _optional("aspf", policy.spf_alignment),
        _optional("testing", policy.testing),
    ]


def _record(row: ReportRow) -> list[str]:
    evaluated = [
        _leaf("disposition", row.disposition),
        _leaf("dkim", row.dkim),
        _leaf("spf", row.spf),
        *[_override(override) for override in row.overrides],
    ]
    identifiers = [
        "" if row.envelope_to is None else _leaf("envelope_to", row.envelope_to),
        "" if row.envelope_from is None else _leaf("envelope_from", row.envelope_from),
        _leaf("header_from", row.header_from),
    ]
    return [
        _node(
            "row",
            [
                _leaf("source_ip", row.source_ip),
                _leaf("count", str(row.count)),
                _node("policy_evaluated", evaluated),
            ],
        ),
        _node("identifiers", identifiers),
        _node("auth_results", [*map(_dkim, row.dkim_results), *map(_spf, row.spf_results)]),
    ]


def _override(override: PolicyOverride) -> str:
    return _node("reason", [_leaf("type", override.type), _optional("comment", override.comment)])


def _dkim(result: DkimResult) -> str:
    return _node(
        "dkim",
        [
            _leaf("domain", result.domain),
            _leaf("selector", result.selector),
            _leaf("result", result.result),
            _optional("human_result", result.human_result),
        ],
    )


def _spf(result: SpfResult) -> str:
    return _node(
        "spf",
        [
            _leaf("domain", result.domain),
            _optional("scope", result.scope),
            _leaf("result", result.result),
            _optional("human_result", result.human_result),
        ],
    )


def _node(name: str, children: Iterable[str]) -> str:
    return f"<{name}>\n{''.join(children)}</{name}>\n"


def _leaf(name: str, text: str) -> str:
    return f"<{name}>{_NO_CHARACTER.sub('', text).translate(_ESCAPES)}</{name}>\n"


def _optional(name: str, text: str) -> str:
    return _leaf(name, text) if text else ""
