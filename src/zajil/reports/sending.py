"""Make the reports on the intervals that have ended, and send them.

Laws:
- One report for a domain and an interval, whichever worker or node makes it: the mail enters the
  store in the commit that ends the interval (``store.reports.intervals``).
- Reports go only to those who ask for them, as the kind of report finds out.
- A report that cannot be delivered is lost: it asks for no DSN.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from zajil.accept.own_mail import OwnMail, OwnMailer
from zajil.accept.plan import Addressed
from zajil.core.address import Address
from zajil.core.mail_options import Notify, RecipientOptions
from zajil.dns.flow import Resolve, run_flow
from zajil.net.logger import get_logger
from zajil.reports.kind import Destinations, ReportKind, ReportOrder, WrittenReport
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.intake import Intake
from zajil.store.people.directory import load_domains
from zajil.store.reports.intervals import (
    DueInterval,
    FinishedInterval,
    IntervalLease,
    LoadedInterval,
    finish_interval,
    forget_intervals,
    lease_interval,
    list_due,
    load_interval,
)

GRACE_MS = 120_000
"""Workers may write counts of an interval this long after its end."""
LEASE_MS = 1_800_000
"""Then another worker may try; a report takes a second, DNS some more."""
GIVE_UP_MS = 86_400_000
"""After the end of an interval: a domain whose DNS gives no answer for a day gets no report."""
KEEP_DONE_MS = 7 * 86_400_000
MAX_PER_HOST = 1000
"""Reports to one destination in one turn: services take reports for many domains, but a flood of
made-up domains that all name one of them must stay small."""
_BATCH = 100
_NEVER = RecipientOptions(notify=Notify.NEVER)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one interval."""

    domain: str
    begin_ms: int
    outcome: str
    """A sentence for a person."""
    recipients: tuple[Address, ...] = ()


class ReportSender:
    """Makes and sends the reports of one kind."""

    def __init__(
        self, kind: ReportKind, mailer: OwnMailer, resolve: Resolve, *, hostname: str
    ) -> None:
        """Send nothing yet.

        Args:
            kind: of reports.
            mailer: sends them; the counts are in its store.
            resolve: asks DNS where reports go.
            hostname: ours: the submitter.
        """
        self._kind = kind
        self._mailer = mailer
        self._store = mailer.store
        self._clock = mailer.clock
        self._resolve = resolve
        self._hostname = hostname
        self._log = get_logger()

    async def look(self) -> None:
        """Report on the intervals that have ended, and forget those that ended long ago.

        Raises:
            StoreUnavailable: as ``send_due``.
        """
        now_ms = self._clock.now_ms()
        for sent in await self.send_due(now_ms - GRACE_MS):
            self._log.info(self._kind.title, domain=sent.domain, outcome=sent.outcome[:300])
        await self._store.write(forget_intervals, now_ms - KEEP_DONE_MS)

    async def send_due(self, until_ms: int) -> list[Sent]:
        """Report on every interval that ends by a time.

        Args:
            until_ms: the time; one in the future ends the intervals that are open now.

        Raises:
            StoreUnavailable: what was sent is sent; the rest when their leases end.
        """
        sent: list[Sent] = []
        hosts: Counter[str] = Counter()
        kind = self._kind.name
        while True:
            due = await self._store.read(
                lambda conn: list_due(conn, kind, until_ms, self._clock.now_ms(), _BATCH)
            )
            for one in due:
                found = await self._report(one, hosts)
                if found is not None:
                    sent.append(found)
            if len(due) < _BATCH:
                return sent

    async def _report(self, due: DueInterval, hosts: Counter[str]) -> Sent | None:
        now_ms = self._clock.now_ms()
        lease = IntervalLease(due, now_ms, now_ms + LEASE_MS)
        if not await self._store.write(lease_interval, lease):
            return None
        counted = await self._store.read(lambda conn: load_interval(conn, due))
        if counted is None or not counted.rows:
            return await self._finish(lease, "Nothing was seen.", ())
        flow = self._kind.find_destinations(due.domain, counted.details)
        found = await run_flow(flow, self._resolve)
        if found.is_unsure and now_ms < due.end_ms + GIVE_UP_MS:
            return None  # the lease ends, and DNS is asked again
        return await self._send(lease, counted, found, hosts)

    async def _send(
        self,
        lease: IntervalLease,
        counted: LoadedInterval,
        found: Destinations,
        hosts: Counter[str],
    ) -> Sent | None:
        sender = await self._sender()
        if sender is None:
            return await self._finish(lease, "No domain of ours could send it.", ())
        reasons = list(found.refused)
        recipients = []
        for one in found.addresses:
            host = one.domain
            if hosts[host] >= MAX_PER_HOST:
                reasons.append(f"{host} got {MAX_PER_HOST} reports already.")
            else:
                hosts[host] += 1
                recipients.append(one)
        if not recipients:
            return await self._finish(lease, " ".join(reasons), ())
        order = self._order(lease.due, counted, sender, recipients)
        written = await asyncio.to_thread(self._kind.write, order)
        named = ", ".join(map(str, recipients))
        outcome = " ".join([f"Sent to {named}: {written.summary}.", *reasons])
        try:
            return await self._finish(lease, outcome, recipients, await self._mail(order, written))
        except NoSuchMailbox:
            return None  # a mailbox of ours was deleted meanwhile

    async def _finish(
        self, lease: IntervalLease, outcome: str, recipients: Sequence[Address], *mails: Intake
    ) -> Sent | None:
        finished = FinishedInterval(lease, self._clock.now_ms(), outcome[:1000], mails)
        if not await self._store.write(finish_interval, finished):
            return None
        return Sent(lease.due.domain, lease.due.begin_ms, outcome, tuple(recipients))

    async def _sender(self) -> Address | None:
        """Return an address of ours: at the domain of our host name, or at the first of all."""
        domains = await self._store.read(load_domains)
        labels = self._hostname.split(".")
        above = [".".join(labels[start:]) for start in range(len(labels))]
        chosen = next((name for name in above if name in domains), None)
        chosen = chosen or min(domains, default=None)
        return None if chosen is None else Address(self._kind.local_part, chosen)

    def _order(
        self,
        due: DueInterval,
        counted: LoadedInterval,
        sender: Address,
        recipients: Sequence[Address],
    ) -> ReportOrder:
        now_ms, begin_s = self._clock.now_ms(), due.begin_ms // 1000
        # The same interval has the same id, whoever makes the report (RFC 9990 section 3.5.1).
        what = f"{self._hostname} {due.kind} {due.domain} {due.begin_ms}"
        unique = hashlib.sha256(what.encode()).hexdigest()[:20]
        return ReportOrder(
            domain=due.domain,
            begin_s=begin_s,
            end_s=max(begin_s, min(due.end_ms, now_ms) // 1000 - 1),
            details=counted.details,
            rows=tuple([(row.content, row.count) for row in counted.rows]),
            submitter=self._hostname,
            sender=sender,
            recipients=tuple(recipients),
            report_id=f"{unique}@{self._hostname}",
            at_ms=now_ms,
        )

    async def _mail(self, order: ReportOrder, written: WrittenReport) -> Intake:
        postmaster = self._store.directory.postmaster
        routes = [(one, await self._mailer.route(one, postmaster)) for one in order.recipients]
        return await self._mailer.prepare(
            OwnMail(
                mail_id=self._mailer.new_mail_id(order.at_ms),
                at_ms=order.at_ms,
                message=written.message,
                header_from=order.sender,
                message_id=f"<{order.report_id}>",
                recipients=[
                    Addressed(one, route, _NEVER) for one, route in routes if route is not None
                ],
                reverse_path=order.sender,
            )
        )
