"""TLS reports as JSON: written for others, and read from others (RFC 8460 section 4.4).

Laws:
- What ``write_tls_report`` writes, ``read_tls_report`` reads back.
- Reading takes whatever JSON comes: it raises ``BadReport`` and nothing else, and keeps at most
  ``MAX_POLICIES`` policies, ``MAX_FAILURES`` kinds of failures and ``MAX_TEXT`` letters of a text.
- A report is about one domain: policies of another one are left out.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from zajil.core.domain import BadDomain, to_ascii
from zajil.reports.packing import BadReport
from zajil.reports.tls.report import FailureDetails, PolicyResult, TlsReport

MAX_SIZE = 2 * 1024 * 1024
"""Bytes. Attack: JSON of empty lists takes thirty times its size in memory."""
MAX_POLICIES = 100
MAX_FAILURES = 1000
"""Of one policy."""
MAX_TEXT = 500
_MAX_LINES = 100
_MOST = 2**53


def write_tls_report(report: TlsReport) -> bytes:
    """Write a report; the same report gives the same bytes."""
    value = {
        "organization-name": report.organization,
        "date-range": {
            "start-datetime": _spell_time(report.begin_s),
            "end-datetime": _spell_time(report.end_s),
        },
        "contact-info": report.contact,
        "report-id": report.report_id,
        "policies": [_write_policy(one) for one in report.policies],
    }
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def _write_policy(one: PolicyResult) -> dict[str, Any]:
    policy: dict[str, Any] = {"policy-type": one.type, "policy-domain": one.domain}
    if one.text:
        policy["policy-string"] = list(one.text)
    if one.hosts:
        policy["mx-host"] = list(one.hosts)
    value: dict[str, Any] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": one.succeeded,
            "total-failure-session-count": one.failed,
        },
    }
    if one.failures:
        value["failure-details"] = [_write_failure(failure) for failure in one.failures]
    return value


def _write_failure(one: FailureDetails) -> dict[str, Any]:
    texts = {
        "result-type": one.result_type,
        "sending-mta-ip": one.sending_ip,
        "receiving-mx-hostname": one.mx_host,
        "receiving-ip": one.receiving_ip,
        "failure-reason-code": one.reason,
    }
    known = {name: text for name, text in texts.items() if text}
    return {**known, "failed-session-count": one.count}


def _spell_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_tls_report(data: bytes) -> TlsReport:
    """Read the JSON of a report.

    Raises:
        BadReport: it is none.
    """
    if len(data) > MAX_SIZE:
        raise BadReport("the report is too large")
    try:
        value = json.loads(data.decode("utf-8-sig", "strict"))
    except RecursionError:
        raise BadReport("it is nested too deeply") from None
    except ValueError:  # of the decoding, too
        raise BadReport("it is not JSON") from None
    if not isinstance(value, dict):
        raise BadReport("it is not a TLS report")
    policies = [_read_policy(one) for one in _list(value, "policies")[:MAX_POLICIES]]
    known = [one for one in policies if one is not None]
    if not known:
        raise BadReport("it names no policy domain")
    period = _dict(value, "date-range")
    return TlsReport(
        organization=_text(value, "organization-name"),
        contact=_text(value, "contact-info"),
        report_id=_text(value, "report-id"),
        begin_s=_read_time(period, "start-datetime"),
        end_s=_read_time(period, "end-datetime"),
        policies=tuple([one for one in known if one.domain == known[0].domain]),
    )


def _read_policy(value: object) -> PolicyResult | None:
    if not isinstance(value, dict):
        return None
    policy, summary = _dict(value, "policy"), _dict(value, "summary")
    try:
        domain = to_ascii(_text(policy, "policy-domain").rstrip(".")).lower()
    except BadDomain:
        return None
    failures = [_read_failure(one) for one in _list(value, "failure-details")[:MAX_FAILURES]]
    return PolicyResult(
        type=_text(policy, "policy-type"),
        domain=domain,
        text=_texts(policy, "policy-string"),
        hosts=_texts(policy, "mx-host"),
        succeeded=_count(summary, "total-successful-session-count"),
        failed=_count(summary, "total-failure-session-count"),
        failures=tuple([one for one in failures if one is not None]),
    )


def _read_failure(value: object) -> FailureDetails | None:
    if not isinstance(value, dict):
        return None
    return FailureDetails(
        result_type=_text(value, "result-type"),
        count=_count(value, "failed-session-count"),
        mx_host=_text(value, "receiving-mx-hostname"),
        receiving_ip=_text(value, "receiving-ip"),
        sending_ip=_text(value, "sending-mta-ip"),
        reason=_text(value, "failure-reason-code"),
    )


def _read_time(value: dict[str, Any], name: str) -> int:
    text = _text(value, name)
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        seconds = int(found.timestamp())
    except (ValueError, OverflowError):
        raise BadReport(f"{name} is not a time") from None
    if not 0 <= seconds < _MOST // 1000:
        raise BadReport(f"{name} is not a time")
    return seconds


def _dict(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _list(value: dict[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    return found if isinstance(found, list) else []


def _text(value: dict[str, Any], name: str) -> str:
    """Return a text; surrogates and NUL cannot be stored."""
    found = value.get(name)
    if not isinstance(found, str):
        return ""
    return found[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8", "strict").replace("\0", "?")


def _texts(value: dict[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of texts; some reporters write one text where a list belongs."""
    found = value.get(name)
    several = found if isinstance(found, list) else [found]
    texts = [_text({name: one}, name) for one in several[:_MAX_LINES]]
    return tuple([one for one in texts if one])


def _count(value: dict[str, Any], name: str) -> int:
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, int):
        return 0
    return min(max(found, 0), _MOST)
