"""Tell domains what mail in their name came here: DMARC aggregate reports (RFC 9990 section 3).

Laws:
- One report for a domain and an interval, whoever of the workers and nodes makes it: the mail
  enters the store in the commit that ends the interval (``store.reports.dmarc_seen``).
- Only to who wants it: the record's own organization, or one that consents in DNS.
- A report that finds nobody is lost. It asks for no DSN, and nobody is told.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from zajil.accept.own_mail import OwnMail, OwnMailer
from zajil.config.options_check import DmarcOptions
from zajil.core.address import Address
from zajil.core.directory import REPORTS_LOCAL_PART
from zajil.core.envelope import Notify, RecipientOptions
from zajil.dns.flow import Resolve, run_flow
from zajil.mailauth.dmarc_report import AggregateReport
from zajil.mailauth.report_consent import Consent, find_consent
from zajil.mailauth.report_mail import ReportMail, build_report_mail
from zajil.route.copies import Addressed
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.intake import Intake
from zajil.store.people.directory import load_domains
from zajil.store.reports.dmarc_seen import (
    DueReport,
    FinishedReport,
    ReportLease,
    SeenInterval,
    finish_report,
    forget_seen,
    lease_report,
    list_due,
    load_seen,
)

GENERATOR = "Zajil"
GRACE_MS = 120_000
"""After its end an interval gets what workers counted and did not write yet."""
LEASE_MS = 1_800_000
"""Then another worker may try; a report takes a second, DNS some more."""
GIVE_UP_MS = 86_400_000
"""After its end: a domain whose DNS gives no answer for a day gets no report."""
KEEP_DONE_MS = 7 * 86_400_000
MAX_PER_HOST = 1000
"""Reports to one destination in one turn: services take reports for many domains, but a flood of
made-up domains that all name one of them must stay small."""
_BATCH = 100
_NEVER_TELL = RecipientOptions(notify=Notify.NEVER)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one interval."""

    domain: str
    begin_ms: int
    outcome: str
    """A sentence for a person."""
    recipients: tuple[Address, ...] = ()


class DmarcReporter:
    """Makes and sends the reports of one store."""

    def __init__(
        self,
        mailer: OwnMailer,
        resolve: Resolve,
        options: DmarcOptions,
        *,
        hostname: str,
    ) -> None:
        """Send nothing yet.

        Args:
            mailer: sends the reports; what was seen is in its store.
            resolve: asks DNS for consent.
            options: ``[check.dmarc]``.
            hostname: ours: the submitter.
        """
        self._mailer = mailer
        self._store = mailer.store
        self._clock = mailer.clock
        self._resolve = resolve
        self._options = options
        self._hostname = hostname
        self._log = structlog.get_logger("zajil")

    async def look(self) -> None:
        """Report on the intervals that have ended, and forget those that ended long ago.

        Raises:
            StoreUnavailable: as ``send_due``.
        """
        now_ms = self._clock.now_ms()
        for sent in await self.send_due(now_ms - GRACE_MS):
            self._log.info("DMARC report", domain=sent.domain, outcome=sent.outcome[:300])
        await self._store.write(forget_seen, now_ms - KEEP_DONE_MS)

    async def send_due(self, until_ms: int) -> list[Sent]:
        """Report on every interval that ends by a time.

        Args:
            until_ms: the time; one in the future ends the intervals that are open now.

        Raises:
            StoreUnavailable: what was sent is sent; the rest when their leases end.
        """
        sent: list[Sent] = []
        hosts: Counter[str] = Counter()
        while True:
            due = await self._store.read(
                lambda conn: list_due(conn, until_ms, self._clock.now_ms(), _BATCH)
            )
            for one in due:
                found = await self._report(one, hosts)
                if found is not None:
                    sent.append(found)
            if len(due) < _BATCH:
                return sent

    async def _report(self, due: DueReport, hosts: Counter[str]) -> Sent | None:
        now_ms = self._clock.now_ms()
        lease = ReportLease(due.domain, due.begin_ms, now_ms, now_ms + LEASE_MS)
        if not await self._store.write(lease_report, lease):
            return None
        seen = await self._store.read(lambda conn: load_seen(conn, due.domain, due.begin_ms))
        if seen is None or not seen.rows:
            return await self._finish(due, lease, "Nothing was seen.", ())
        consent = await run_flow(find_consent(due.domain, seen.report_to), self._resolve)
        if consent.is_unsure and now_ms < due.end_ms + GIVE_UP_MS:
            return None  # the lease ends, and DNS is asked again
        return await self._send(due, lease, seen, consent, hosts)

    async def _send(
        self,
        due: DueReport,
        lease: ReportLease,
        seen: SeenInterval,
        consent: Consent,
        hosts: Counter[str],
    ) -> Sent | None:
        sender = await self._sender()
        if sender is None:
            return await self._finish(due, lease, "No domain of ours could send it.", ())
        report = self._make_report(due, seen, sender)
        reasons = list(consent.refused)
        recipients = []
        for one in consent.destinations:
            host = one.domain
            if hosts[host] >= MAX_PER_HOST:
                reasons.append(f"{host} got {MAX_PER_HOST} reports already.")
            else:
                hosts[host] += 1
                recipients.append(one)
        if not recipients:
            return await self._finish(due, lease, " ".join(reasons), ())
        try:
            mail = await self._mail(report, sender, consent, recipients)
            named = ", ".join(map(str, recipients))
            outcome = " ".join([f"Sent to {named}: {report.messages} messages.", *reasons])
            return await self._finish(due, lease, outcome, recipients, mail)
        except NoSuchMailbox:
            return None  # a mailbox of ours that went meanwhile

    async def _finish(
        self,
        due: DueReport,
        lease: ReportLease,
        outcome: str,
        recipients: Sequence[Address],
        *mails: Intake,
    ) -> Sent | None:
        now_ms = self._clock.now_ms()
        finished = FinishedReport(lease, now_ms, outcome[:1000], mails)
        if not await self._store.write(finish_report, finished):
            return None
        return Sent(due.domain, due.begin_ms, outcome, tuple(recipients))

    async def _sender(self) -> Address | None:
        """Give an address of ours: at the domain of the host's name, or at the first of all."""
        domains = await self._store.read(load_domains)
        labels = self._hostname.split(".")
        above = [".".join(labels[start:]) for start in range(len(labels))]
        chosen = next((name for name in above if name in domains), None)
        chosen = chosen or min(domains, default=None)
        return None if chosen is None else Address(REPORTS_LOCAL_PART, chosen)

    def _make_report(self, due: DueReport, seen: SeenInterval, sender: Address) -> AggregateReport:
        begin_s = due.begin_ms // 1000
        end_s = max(begin_s, min(due.end_ms, self._clock.now_ms()) // 1000 - 1)
        # The same interval has the same id, whoever makes the report (RFC 9990 section 3.5.1).
        what = f"{self._hostname} {due.domain} {due.begin_ms}"
        unique = hashlib.sha256(what.encode()).hexdigest()[:20]
        return AggregateReport(
            organization=self._hostname,
            email=str(sender),
            report_id=f"{unique}@{self._hostname}",
            begin_s=begin_s,
            end_s=end_s,
            policy=seen.policy,
            rows=seen.rows,
            contact=self._options.report_contact,
            generator=GENERATOR,
        )

    async def _mail(
        self,
        report: AggregateReport,
        sender: Address,
        consent: Consent,
        recipients: Sequence[Address],
    ) -> Intake:
        now_ms, message_id = self._clock.now_ms(), f"<{report.report_id}>"
        mail = ReportMail(report, self._hostname, sender, consent.destinations, message_id, now_ms)
        postmaster = self._store.directory.postmaster
        routes = [(one, await self._mailer.route(one, postmaster)) for one in recipients]
        return await self._mailer.prepare(
            OwnMail(
                mail_id=self._mailer.new_mail_id(now_ms),
                at_ms=now_ms,
                message=await asyncio.to_thread(build_report_mail, mail),
                header_from=sender,
                message_id=message_id,
                recipients=[
                    Addressed(one, route, _NEVER_TELL) for one, route in routes if route is not None
                ],
                reverse_path=sender,
            )
        )
