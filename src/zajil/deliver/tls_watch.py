"""Counts how the TLS of outgoing connections went, for reports to the other domain (RFC 8460).

Only connections to the mail servers of a domain count, not those to smarthosts and fixed servers.

Security: the other domain decides what a row holds, and how many rows differ. So what a peer says
is not in it, and policies and records are cut (``store.reports.intervals`` bounds the rows).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from zajil.core.clock import Clock
from zajil.core.directory import REPORTS_LOCAL_PART, TLS_REPORTS_LOCAL_PART
from zajil.deliver.client_channel import Channel, ChannelTarget
from zajil.mailauth.mta_sts import StsPolicy
from zajil.mailauth.tls_session import (
    NO_POLICY,
    NoteTlsSession,
    TlsFailure,
    TlsPolicy,
    TlsProblem,
    TlsSession,
)
from zajil.store.queue.queue import LeasedRecipient

_LINES = 10
"""Mail servers of a policy, or TLSA records, that a report names."""
_MOST = 200
"""Letters of a TLSA record."""
_MX_MISMATCH = TlsProblem(TlsFailure.OTHER, "the MTA-STS policy does not permit this mail server")


@dataclass(slots=True)
class TlsWatch:
    """The connections of one attempt; ``note`` is ``None`` if nobody counts."""

    note: NoteTlsSession | None
    clock: Clock
    domain: str
    policy: StsPolicy | None = field(default=None, init=False)
    """Of the domain, in the modes ``enforce`` and ``testing``."""

    def opened(self, link: Channel) -> None:
        """Count a connection that was made."""
        target = link.target
        if link.tls is None and link.tls_problem is None:
            return  # we use no TLS: that says nothing about the other domain
        policy = self._policy_for(target)
        if policy is NO_POLICY:
            # Nothing was demanded: a certificate that nobody can verify encrypts, too.
            self._add(target, policy, link.tls_problem if link.tls is None else None)
        elif self.policy is not None and policy.type == "sts" and not self._permits(target.host):
            self._add(target, policy, _MX_MISMATCH)
        elif policy.type == "tlsa" and not target.tlsa:
            unusable = TlsProblem(TlsFailure.TLSA_INVALID, "no TLSA record is usable")
            self._add(target, policy, unusable)
        elif link.verified:
            self._add(target, policy, None)
        else:
            self._add(target, policy, link.tls_problem or TlsProblem(TlsFailure.OTHER))

    def refused(self, target: ChannelTarget, problem: TlsProblem | None) -> None:
        """Count a connection that was given up; ``problem`` is ``None`` if TLS was not why."""
        if problem is not None:
            self._add(target, self._policy_for(target), problem)

    def none_permitted(self, hosts: tuple[str, ...]) -> None:
        """Count that the MTA-STS policy permits none of the mail servers."""
        if self.policy is not None and hosts:
            self._add(ChannelTarget(hosts[0], "", 0), _sts(self.policy), _MX_MISMATCH)

    def dnssec_failed(self, host: str) -> None:
        """Count that the TLSA records of a host could not be looked up."""
        problem = TlsProblem(TlsFailure.DNSSEC_INVALID, "the lookup of the TLSA records failed")
        self._add(ChannelTarget(host, "", 0), TlsPolicy("tlsa"), problem)

    def _policy_for(self, target: ChannelTarget) -> TlsPolicy:
        if target.tlsa is not None:
            return TlsPolicy("tlsa", tuple([str(one)[:_MOST] for one in target.tlsa[:_LINES]]))
        return NO_POLICY if self.policy is None else _sts(self.policy)

    def _permits(self, host: str) -> bool:
        return self.policy is None or self.policy.permits(host)

    def _add(self, target: ChannelTarget, policy: TlsPolicy, problem: TlsProblem | None) -> None:
        if self.note is None or target.relay is not None:
            return
        session = TlsSession(policy)
        if problem is not None:
            session = TlsSession(policy, problem, target.host, target.address)
        self.note(self.clock.now_ms(), self.domain, session)


def watch_tls(
    note: NoteTlsSession | None, clock: Clock, domain: str, mail: LeasedRecipient
) -> TlsWatch:
    """Return what counts the connections of one attempt.

    Connections for reports do not count: two servers would report on their reports for ever.
    """
    sender = mail.reverse_path
    is_report = sender is not None and sender.local_part in _REPORTERS
    is_counted = not is_report and not domain.startswith("[")
    return TlsWatch(note if is_counted else None, clock, domain)


_REPORTERS = (REPORTS_LOCAL_PART, TLS_REPORTS_LOCAL_PART)


def _sts(policy: StsPolicy) -> TlsPolicy:
    hosts = policy.mx[:_LINES]
    lines = ("version: STSv1", f"mode: {policy.mode}", *[f"mx: {host}" for host in hosts])
    return TlsPolicy("sts", lines, hosts)
