"""TLS reports as values: what one server saw when it sent to one domain (RFC 8460 section 4)."""

from __future__ import annotations

from dataclasses import dataclass

TLS = "tls"
"""Key of these reports in the store, and of what is counted for them."""
TLS_INTERVAL_MS = 86_400_000
"""RFC 8460 section 4.1: from midnight to midnight, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureDetails:
    """Connections that failed alike (RFC 8460 section 4.4)."""

    result_type: str
    """A word of RFC 8460 section 4.3: ``certificate-expired``."""
    count: int
    mx_host: str = ""
    receiving_ip: str = ""
    sending_ip: str = ""
    reason: str = ""
    """Of the reporter: a code or a sentence; empty if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """All connections under one policy of the domain."""

    type: str
    """``sts``, ``tlsa`` or ``no-policy-found``."""
    domain: str
    """Whose policy it is, ASCII, lower case."""
    text: tuple[str, ...] = ()
    """Lines of the MTA-STS policy, or TLSA records."""
    hosts: tuple[str, ...] = ()
    """Mail servers that the MTA-STS policy names."""
    succeeded: int = 0
    failed: int = 0
    failures: tuple[FailureDetails, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsReport:
    """One report."""

    organization: str
    contact: str
    report_id: str
    begin_s: int
    """Seconds since 1970 UTC."""
    end_s: int
    policies: tuple[PolicyResult, ...]

    @property
    def domain(self) -> str:
        """Return the domain that the report is about: that of its first policy."""
        return self.policies[0].domain

    @property
    def sessions(self) -> int:
        """Return how many connections it tells of."""
        return self.succeeded + sum(one.failed for one in self.policies)

    @property
    def succeeded(self) -> int:
        """Return how many of them were as secure as the domain demands."""
        return sum(one.succeeded for one in self.policies)
