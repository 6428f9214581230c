"""Counts received mail for aggregate reports (RFC 9990)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zajil.check.facts import MessageFacts
from zajil.check.sender.findings import SenderFindings
from zajil.check.verdict.verdict import Action
from zajil.core.address import Address
from zajil.core.directory import REPORTS_LOCAL_PART
from zajil.mailauth.dmarc_record import DmarcRecord
from zajil.net.peer import LOCAL
from zajil.reports.counts import Counts
from zajil.reports.dmarc.codec import encode_details, encode_row
from zajil.reports.dmarc.report import (
    DMARC,
    DkimResult,
    PolicyOverride,
    PublishedPolicy,
    ReportRow,
    SpfResult,
)

MAX_SIGNATURES = 20
"""Of one row; RFC 9990 section 3.1.3 allows 100."""


class _Kind(NamedTuple):
    """What mails have in common that are counted as one."""

    ip: str
    header_from: str
    envelope_from: str
    envelope_to: str
    action: Action
    result: str
    alignment: tuple[str, ...]
    policy: str
    vouched: tuple[str, str] | None
    """Kind and comment of ``check.sender.forwarding.PolicyOverride``."""
    spf: tuple[str, str] | None
    """Domain and result."""
    dkim: tuple[tuple[str, str, str], ...]
    """Domain, selector and result of each signature."""


class DmarcCounts(Counts[_Kind, DmarcRecord]):
    """The counts of one worker."""

    kind = DMARC

    def note(self, found: SenderFindings, facts: MessageFacts, action: Action) -> None:
        """Count a mail whose end was seen, whatever became of it.

        Args:
            found: what ``check_sender`` found.
            facts: the mail.
            action: the verdict, or what the peer was told.
        """
        dmarc, peer = found.dmarc, facts.peer
        if dmarc is None or peer is None or peer.host == LOCAL:
            return
        record, domain = dmarc.record, dmarc.record_domain
        if record is None or domain is None or not record.report_to:
            return
        to, override = facts.recipients, found.override
        if _is_report(to):
            return
        kind = _Kind(
            ip=peer.host,
            header_from=dmarc.domain,
            envelope_from=facts.reverse_path.domain if facts.reverse_path is not None else "",
            envelope_to=to[0].domain if to else "",
            action=action,
            result=dmarc.result,
            alignment=dmarc.alignment,
            policy=dmarc.policy,
            vouched=(override.kind, override.comment) if override is not None else None,
            spf=(found.spf.domain, found.spf.result) if found.spf is not None else None,
            dkim=tuple([(one.domain, one.selector, one.result) for one in found.dkim]),
        )
        self.add(facts.now_ms, domain, kind, record)

    def _row(self, row: _Kind, details: DmarcRecord) -> str:
        return encode_row(_report_row(row, is_testing=details.is_testing))

    def _about(self, domain: str, details: DmarcRecord) -> str:
        return encode_details(_published(domain, details), details.report_to)


def _is_report(recipients: Sequence[Address]) -> bool:
    """Whether it is a report itself: two servers would report on their reports for ever."""
    return len(recipients) == 1 and recipients[0].local_part.lower() == REPORTS_LOCAL_PART


def _report_row(kind: _Kind, *, is_testing: bool) -> ReportRow:
    disposition, overrides = _disposition(kind, is_testing=is_testing)
    return ReportRow(
        source_ip=kind.ip,
        count=0,  # it stands beside the row
        disposition=disposition,
        dkim="pass" if "dkim" in kind.alignment else "fail",
        spf="pass" if "spf" in kind.alignment else "fail",
        header_from=kind.header_from,
        envelope_from=kind.envelope_from,
        envelope_to=kind.envelope_to,
        overrides=overrides,
        dkim_results=_signatures(kind),
        spf_results=() if kind.spf is None else (SpfResult(*kind.spf),),
    )


def _disposition(kind: _Kind, *, is_testing: bool) -> tuple[str, tuple[PolicyOverride, ...]]:
    """Return what DMARC did to a mail, and why not what the record asks for.

    Security: what else we thought of it (words, reputation) is nobody's business: a mail that is
    junk for other reasons too is told of as DMARC alone would have it (RFC 9990 section 7.3).
    """
    if kind.result == "pass":
        return ("none" if kind.policy == "none" else "pass"), ()
    if kind.policy == "none" or kind.result != "fail":
        return "none", ()
    done = _DONE[kind.action]
    if kind.policy == "quarantine" and done == "reject":
        done = "quarantine"
    if done == kind.policy:
        return done, ()
    if kind.vouched is not None:
        return done, (PolicyOverride(*kind.vouched),)
    if is_testing:
        return done, (PolicyOverride("policy_test_mode"),)
    return done, (PolicyOverride("local_policy"),)


_DONE = {
    Action.ACCEPT: "none",
    Action.DEFER: "none",
    Action.JUNK: "quarantine",
    Action.REJECT: "reject",
}


def _signatures(kind: _Kind) -> tuple[DkimResult, ...]:
    """Return the signatures, the most telling first (RFC 9990 section 3.1.3)."""

    def rank(one: tuple[str, str, str]) -> int:
        domain, _, result = one
        if result != "pass":
            return 3
        if domain == kind.header_from:
            return 0
        return 1 if kind.header_from.endswith(f".{domain}") else 2

    named = [one for one in kind.dkim if one[0] and one[1]]
    return tuple([DkimResult(*one) for one in sorted(named, key=rank)[:MAX_SIGNATURES]])


def _published(domain: str, record: DmarcRecord) -> PublishedPolicy:
    return PublishedPolicy(
        domain=domain,
        policy=record.policy,
        subdomain_policy=record.subdomain_policy,
        absent_policy=record.absent_policy,
        dkim_alignment="s" if record.strict_dkim else "r",
        spf_alignment="s" if record.strict_spf else "r",
        failure_options=":".join(sorted(record.failure_options)),
        testing="y" if record.is_testing else "n",
        discovery_method="treewalk",
    )
