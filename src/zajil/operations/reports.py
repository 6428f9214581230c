"""Reports on DMARC and TLS: collect, import, send."""

from __future__ import annotations

from typing import Literal

from zajil.accept.own_mail import OwnMailer
from zajil.config.options import Configuration
from zajil.core.actor import Actor
from zajil.core.errors import Refused
from zajil.keys.keyring import Keyring
from zajil.keys.sign import Signer
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.reports.codec import to_store
from zajil.reports.collector import ReportCollector, is_ours, reported_domain
from zajil.reports.dmarc.sending import DmarcReports
from zajil.reports.incoming import looks_like_report, read_packed_report, read_report_mail
from zajil.reports.packing import BadReport
from zajil.reports.sending import ReportSender, Sent
from zajil.reports.tls.report import TLS, TLS_INTERVAL_MS
from zajil.reports.tls.sending import TlsReports
from zajil.resolver.client import Resolver
from zajil.store.engine.writer import Transaction
from zajil.store.people.directory import load_domains
from zajil.store.reports.received import add_reports
from zajil.tracking.audit import ReportImported


class NotOurReport(Refused):
    """The report cannot be read, or is about a domain of another server."""


async def collect_reports(
    context: OperationContext, actor: Actor, configuration: Configuration
) -> int:
    """Read the reports that arrived since the server last did; returns how many are new.

    A running server does the same by itself, so it is not in the audit trail.

    Raises:
        NotAllowed: the actor is not an administrator.
    """
    require_admin(actor)
    collector = ReportCollector(
        context.store, configuration.check.dmarc, context.clock, configuration.server.hostname
    )
    return await collector.collect()


async def import_report(context: OperationContext, actor: Actor, content: bytes) -> int | None:
    """Store a report from a file; returns its number, or ``None`` if it is stored already.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        content: XML, JSON, gzip, zip, or a whole mail.

    Raises:
        NotAllowed: the actor is not an administrator.
        NotOurReport: it cannot be read, or is about another domain.
    """
    require_admin(actor)
    try:
        is_file = looks_like_report(content)
        report = read_packed_report(content) if is_file else read_report_mail(content)
    except BadReport as error:
        raise NotOurReport(f"this is not a report: {error}") from None
    about = reported_domain(report)
    if not is_ours(about, await context.read(load_domains)):
        raise NotOurReport(f"it is about {about}, which is not a domain of this server")
    by, now_ms = context.stamp(actor), context.clock.now_ms()
    new = to_store(report, sender="", is_proven=True, received_ms=now_ms)

    def work(tx: Transaction) -> Recorded[int | None]:
        (number,) = add_reports(tx, [new])
        events = [ReportImported(*by, None, about, getattr(report, "organization", ""))]
        return number, events if number is not None else []

    return await context.change(work)


async def send_reports(
    context: OperationContext,
    actor: Actor,
    configuration: Configuration,
    kind: Literal["dmarc", "tls"],
    *,
    at_once: bool,
) -> list[Sent]:
    """Send the reports that are due, as a running server does by itself.

    The mails have journeys of their own; the audit trail has nothing to add.

    Args:
        context: with a store that was started.
        actor: must be an administrator.
        configuration: of the server.
        kind: of the reports.
        at_once: also report on the intervals that are still open.

    Raises:
        NotAllowed: the actor is not an administrator.
    """
    require_admin(actor)
    store, clock = context.store, context.clock
    await store.directory.load()
    dmarc = configuration.check.dmarc
    reports = TlsReports() if kind == TLS else DmarcReports(dmarc.report_contact)
    resolver = Resolver(configuration.dns, clock, context.random)
    mailer = OwnMailer(
        store=store,
        clock=clock,
        random=context.random,
        lifetime_ms=configuration.queue.lifetime_ms,
        signer=Signer(Keyring(store), clock) if configuration.keys.sign else None,
    )
    reporter = ReportSender(
        reports,
        mailer,
        resolver.resolve,
        hostname=configuration.server.hostname,
    )
    try:
        interval_ms = TLS_INTERVAL_MS if kind == TLS else dmarc.report_interval_ms
        ahead_ms = interval_ms if at_once else 0
        return await reporter.send_due(clock.now_ms() + ahead_ms)
    finally:
        await resolver.close()
