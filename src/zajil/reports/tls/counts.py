"""Counts outgoing connections for TLS reports (RFC 8460)."""

from __future__ import annotations

import json

from zajil.mailauth.tls_session import TlsFailure, TlsPolicy, TlsProblem, TlsSession
from zajil.reports.counts import Counts
from zajil.reports.tls.report import TLS, FailureDetails, PolicyResult


class TlsCounts(Counts[TlsSession, None]):
    """The counts of one worker; ``add`` counts a connection to a domain."""

    kind = TLS

    def note(self, at_ms: int, domain: str, session: TlsSession) -> None:
        """Count a connection that was made to deliver mail to a domain, or failed."""
        self.add(at_ms, domain, session, None)

    def _row(self, row: TlsSession, details: None) -> str:
        return encode_session(row)

    def _about(self, domain: str, details: None) -> str:
        return ""


def encode_session(session: TlsSession) -> str:
    """Write what connections have in common; the same gives the same text."""
    value = [list(session.policy), session.problem, session.host, session.address]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def decode_session(text: str) -> TlsSession:
    """Read what ``encode_session`` wrote."""
    (kind, lines, hosts), problem, host, address = json.loads(text)
    found = None if problem is None else TlsProblem(TlsFailure(problem[0]), problem[1])
    return TlsSession(TlsPolicy(kind, tuple(lines), tuple(hosts)), found, host, address)


def sum_up(domain: str, rows: tuple[tuple[str, int], ...]) -> tuple[PolicyResult, ...]:
    """Turn counted rows into what a report says of each policy.

    Args:
        domain: that the connections were for.
        rows: texts of ``encode_session``, and how often each was counted.
    """
    by_policy: dict[TlsPolicy, list[tuple[TlsSession, int]]] = {}
    for text, count in rows:
        session = decode_session(text)
        by_policy.setdefault(session.policy, []).append((session, count))
    return tuple([_sum_up_one(domain, policy, found) for policy, found in by_policy.items()])


def _sum_up_one(
    domain: str, policy: TlsPolicy, found: list[tuple[TlsSession, int]]
) -> PolicyResult:
    failures = tuple(
        [
            FailureDetails(
                result_type=session.problem.failure.value,
                count=count,
                mx_host=session.host,
                receiving_ip=session.address,
                reason=session.problem.reason,
            )
            for session, count in found
            if session.problem is not None
        ]
    )
    return PolicyResult(
        type=policy.type,
        domain=domain,
        text=policy.text,
        hosts=policy.hosts,
        succeeded=sum(count for session, count in found if session.problem is None),
        failed=sum(one.count for one in failures),
        failures=failures,
    )
