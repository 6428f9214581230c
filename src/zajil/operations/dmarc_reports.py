"""Reports of DMARC from the operator's hand: list, show, import, send (``zajil dmarc reports``)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from zajil.accept.own_mail import OwnMailer
from zajil.config.options import Configuration
from zajil.core.clock import Clock, Random
from zajil.core.errors import Refused
from zajil.keys.keyring import Keyring
from zajil.keys.sign import Signer
from zajil.reports.dmarc.codec import to_store
from zajil.reports.dmarc.collector import ReportCollector, is_ours, reported_domain
from zajil.reports.dmarc.mail import looks_like_report, read_packed_report, read_report_mail
from zajil.reports.dmarc.sending import DmarcReports
from zajil.reports.packing import BadReport
from zajil.reports.sending import ReportSender, Sent
from zajil.resolver.client import Resolver
from zajil.store.engine.open import Store
from zajil.store.people.directory import load_domains
from zajil.store.reports.received import add_reports

T = TypeVar("T")


class NotOurReport(Refused):
    """The report cannot be read, or is about a domain that is not ours."""


@dataclass(frozen=True, slots=True)
class ReportSurroundings:
    """What the server has while it runs, for the time of one command."""

    configuration: Configuration
    clock: Clock
    random: Random


def collect_reports(store: Store, around: ReportSurroundings) -> int:
    """Read the reports that came since the server looked last; gives how many are new."""
    configuration = around.configuration
    collector = ReportCollector(
        store, configuration.check.dmarc, around.clock, configuration.server.hostname
    )
    return _with_started(store, collector.collect)


def import_report(store: Store, content: bytes, now_ms: int) -> int | None:
    """Keep a report that an operator brings; gives its number, ``None``: it is there already.

    Args:
        store: of the server.
        content: XML, gzip, zip, or a whole mail.
        now_ms: the time.

    Raises:
        NotOurReport: with a sentence.
    """
    try:
        is_file = looks_like_report(content)
        report = read_packed_report(content) if is_file else read_report_mail(content)
    except BadReport as error:
        raise NotOurReport(f"this is no report: {error}") from None
    about = reported_domain(report)
    if not is_ours(about, store.read_now(load_domains)):
        raise NotOurReport(f"it is about {about}, which is not a domain of this server")
    new = to_store(report, sender="", is_proven=True, received_ms=now_ms)
    return store.write_now(add_reports, new)


def send_reports(store: Store, around: ReportSurroundings, *, at_once: bool) -> list[Sent]:
    """Send the reports that are due, as a running server does by itself.

    Args:
        store: of the server.
        around: clock, DNS and options.
        at_once: those of the intervals that are still open too.
    """
    configuration, clock = around.configuration, around.clock

    async def send() -> list[Sent]:
        await store.directory.load()
        resolver = Resolver(configuration.dns, clock, around.random)
        signer = Signer(Keyring(store), clock) if configuration.keys.sign else None
        mailer = OwnMailer(
            store=store,
            clock=clock,
            random=around.random,
            lifetime_ms=configuration.queue.lifetime_ms,
            signer=signer,
        )
        reporter = ReportSender(
            DmarcReports(configuration.check.dmarc.report_contact),
            mailer,
            resolver.resolve,
            hostname=configuration.server.hostname,
        )
        try:
            now_ms = clock.now_ms()
            ahead_ms = configuration.check.dmarc.report_interval_ms if at_once else 0
            return await reporter.send_due(now_ms + ahead_ms)
        finally:
            await resolver.close()

    return _with_started(store, send)


def _with_started(store: Store, work: Callable[[], Awaitable[T]]) -> T:
    async def run() -> T:
        store.start(asyncio.get_running_loop())
        try:
            return await work()
        finally:
            await store.close()

    return asyncio.run(run())
