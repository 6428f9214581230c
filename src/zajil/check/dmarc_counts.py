"""Counts of received mail for DMARC reports, in memory until they are written (RFC 9990).

Laws:
- ``note`` costs the way of a mail a few microseconds: a lookup and an addition. What a report
  needs of it is spelled out when it is written.
- A worker that is killed loses what it counted within ``FLUSH_SECONDS``. Reports are statistics:
  no mail waits for them, and none is written twice for them.
- Bounded: past ``MAX_KEPT`` only what is known already is counted, until the next writing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from zajil.check.facts import MessageFacts
from zajil.check.sender.sender import SenderFindings
from zajil.check.verdict.verdict import Action
from zajil.core.address import Address
from zajil.core.directory import REPORTS_LOCAL_PART
from zajil.mailauth.dmarc_record import DmarcRecord
from zajil.mailauth.dmarc_report import (
    DkimResult,
    PolicyOverride,
    PublishedPolicy,
    ReportRow,
    SpfResult,
)
from zajil.net.peer import LOCAL
from zajil.store.reports.dmarc_seen import SeenDomain

FLUSH_SECONDS = 10
MAX_KEPT = 20_000
"""Kinds of mail between two writings; about 20 MB."""
MAX_SIGNATURES = 20
"""Of one row; RFC 9990 section 3.1.3 allows 100."""


class _Kind(NamedTuple):
    """What mails have in common that are counted as one."""

    interval: int
    policy_domain: str
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


class DmarcCounts:
    """The counts of one worker."""

    def __init__(self, write: Callable[[tuple[SeenDomain, ...]], object], interval_ms: int) -> None:
        """Begin with nothing.

        Args:
            write: takes what was counted to ``store.reports.dmarc_seen.count_seen``; nobody waits.
            interval_ms: of reports; 0: nothing is counted.
        """
        self._write = write
        self._interval_ms = interval_ms
        self._counts: dict[_Kind, int] = {}
        self._records: dict[str, DmarcRecord] = {}
        """As seen last, by domain."""

    def note(self, found: SenderFindings, facts: MessageFacts, action: Action) -> None:
        """Count a mail whose end was seen, whatever became of it.

        Args:
            found: what ``check_sender`` found.
            facts: the mail.
            action: the verdict, or what was said to the peer.
        """
        dmarc, peer = found.dmarc, facts.peer
        if not self._interval_ms or dmarc is None or peer is None or peer.host == LOCAL:
            return
        record, domain = dmarc.record, dmarc.record_domain
        if record is None or domain is None or not record.report_to:
            return
        to, override = facts.recipients, found.override
        if _is_report(to):
            return
        kind = _Kind(
            facts.now_ms // self._interval_ms,
            domain,
            peer.host,
            dmarc.domain,
            facts.reverse_path.domain if facts.reverse_path is not None else "",
            to[0].domain if to else "",
            action,
            dmarc.result,
            dmarc.alignment,
            dmarc.policy,
            (override.kind, override.comment) if override is not None else None,
            (found.spf.domain, found.spf.result) if found.spf is not None else None,
            tuple([(one.domain, one.selector, one.result) for one in found.dkim]),
        )
        count = self._counts.get(kind, 0)
        if count or len(self._counts) < MAX_KEPT:
            self._counts[kind] = count + 1
            self._records[domain] = record

    async def run(self) -> None:
        """Write now and then, until cancelled; then what is left."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                self.flush()
        finally:
            self.flush()

    def flush(self) -> None:
        """Hand the counts to the writer; nobody waits, and a failure loses them."""
        seen = self.take()
        if seen:
            self._write(seen)

    def take(self) -> tuple[SeenDomain, ...]:
        """Give what was counted, and begin anew."""
        counts, records = self._counts, self._records
        self._counts, self._records = {}, {}
        rows: dict[tuple[int, str], list[ReportRow]] = {}
        for kind, count in counts.items():
            is_testing = records[kind.policy_domain].is_testing
            row = _row(kind, count, is_testing=is_testing)
            rows.setdefault((kind.interval, kind.policy_domain), []).append(row)
        return tuple(
            [
                SeenDomain(
                    _published(domain, records[domain]),
                    records[domain].report_to,
                    interval * self._interval_ms,
                    (interval + 1) * self._interval_ms,
                    tuple(found),
                )
                for (interval, domain), found in rows.items()
            ]
        )


def _is_report(recipients: Sequence[Address]) -> bool:
    """Whether it is a report itself: two servers would report on their reports for ever."""
    return len(recipients) == 1 and recipients[0].local_part.lower() == REPORTS_LOCAL_PART


def _row(kind: _Kind, count: int, *, is_testing: bool) -> ReportRow:
    disposition, overrides = _disposition(kind, is_testing=is_testing)
    return ReportRow(
        source_ip=kind.ip,
        count=count,
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
    """Say what DMARC did to a mail, and why not what the record asks for.

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
    """Give the signatures, the most telling first (RFC 9990 section 3.1.3)."""

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
