"""Reports that came by mail become data: of DMARC (RFC 9990, RFC 9991) and of TLS (RFC 8460).

Laws:
- A report is read after its mail was accepted, in a thread, within limits: a mail with a bomb in it
  is a mail like any other in the postmaster's mailbox.
- The store records what was examined, so nothing is missed when a worker dies, and nothing is read
  twice.
- A report about a domain that is not ours is not kept.
- The sender is kept, and whether its mail passed DMARC here, by our own field on top.
"""

from __future__ import annotations

import asyncio

from zajil.config.options_check import DmarcOptions
from zajil.core.address import Address
from zajil.core.clock import Clock
from zajil.core.directory import REPORTS_LOCAL_PART, TLS_REPORTS_LOCAL_PART
from zajil.core.domain import BadDomain, to_ascii
from zajil.mailauth.authres_read import read_results
from zajil.message.fields import find_fields, read_fields, split_message
from zajil.reports.codec import to_store
from zajil.reports.dmarc.failure import FailureReport
from zajil.reports.dmarc.report import AggregateReport
from zajil.reports.incoming import AnyReport, read_report_mail
from zajil.reports.packing import BadReport
from zajil.store.engine.open import Store
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.people.directory import load_domains
from zajil.store.reports.received import (
    ExaminedMail,
    ReportInMail,
    forget_reports,
    list_report_mails,
    record_examined,
)

LOOK_BACK_MS = 7 * 86_400_000
"""A server that was down for so long reads what came before; older mail can be imported."""
MAX_MAIL = 25 * 1024 * 1024
"""Octets of a mail that is looked into."""
_BATCH = 20
_ADDRESSES = (REPORTS_LOCAL_PART, TLS_REPORTS_LOCAL_PART)


class ReportCollector:
    """Reads the reports in the mail of one store."""

    def __init__(self, store: Store, options: DmarcOptions, clock: Clock, hostname: str) -> None:
        """Read nothing yet.

        Args:
            store: with the mails, and for the reports.
            options: ``[check.dmarc]``.
            clock: the time.
            hostname: ours, as in Authentication-Results.
        """
        self._store = store
        self._options = options
        self._clock = clock
        self._hostname = hostname

    async def look(self) -> None:
        """Read the reports that are there, and forget old ones.

        Raises:
            StoreUnavailable: as ``collect``.
        """
        await self.collect()
        before_ms = self._clock.now_ms() - self._options.keep_reports_ms
        await self._store.write(forget_reports, before_ms)

    async def collect(self) -> int:
        """Read all that is there; gives how many reports are new.

        Raises:
            StoreUnavailable: what was read is kept.
        """
        domains = await self._store.read(load_domains)
        keys = [Address(one, domain).key for domain in sorted(domains) for one in _ADDRESSES]
        new = 0
        while keys:
            mails = await self._store.read(
                lambda conn: list_report_mails(
                    conn, keys, self._clock.now_ms() - LOOK_BACK_MS, _BATCH
                )
            )
            for mail in mails:
                examined = await self._examine(mail, domains)
                new += await self._store.write(record_examined, examined) is not None
            if len(mails) < _BATCH:
                break
        return new

    async def _examine(self, mail: ReportInMail, domains: frozenset[str]) -> ExaminedMail:
        now_ms, blobs = self._clock.now_ms(), self._store.blobs
        try:
            content = await self._store.read(lambda c: _read_start(blobs.open(c, mail.blob_id)))
        except NoSuchBlob:
            return ExaminedMail(mail.mail_id, mail.at_ms, "The mail is gone.")
        try:
            report = await asyncio.to_thread(_read, content)
        except BadReport as error:
            return ExaminedMail(mail.mail_id, mail.at_ms, f"No report: {error}.")
        about = reported_domain(report)
        if not is_ours(about, domains):
            return ExaminedMail(
                mail.mail_id, mail.at_ms, f"It is about {about}, which is not ours."
            )
        sender, is_proven = who_sent(content, self._hostname)
        new = to_store(
            report,
            sender=sender,
            is_proven=is_proven,
            received_ms=now_ms,
            mail_id=mail.mail_id,
        )
        return ExaminedMail(mail.mail_id, mail.at_ms, f"A report about {about}.", new)


def _read_start(blob: BlobReader) -> bytes:
    with blob:
        return blob.read_at(0, MAX_MAIL + 1)


def _read(content: bytes) -> AnyReport:
    if len(content) > MAX_MAIL:
        raise BadReport("the report is too large")
    return read_report_mail(content)


def reported_domain(report: AnyReport) -> str:
    """Return the domain that a report is about."""
    if isinstance(report, AggregateReport):
        return report.policy.domain
    return report.reported_domain if isinstance(report, FailureReport) else report.domain


def is_ours(domain: str, domains: frozenset[str]) -> bool:
    """Whether a report is about a domain of ours, or a name below one."""
    labels = domain.split(".")
    return any(".".join(labels[start:]) in domains for start in range(len(labels)))


def who_sent(message: bytes, authserv_id: str) -> tuple[str, bool]:
    """Return the domain in From of a mail of ours, and whether it passed DMARC when it came.

    Args:
        message: as it is kept, with our fields on top.
        authserv_id: our name; fields that claimed it were cut out when the mail came.
    """
    end, _ = split_message(message)
    for field in find_fields(read_fields(message[:end]), b"authentication-results"):
        read = read_results(field.value)
        if read is None or read.authserv_id != authserv_id:
            continue
        for result in read.results_of("dmarc"):
            author = dict(result.properties).get("header.from", "")
            try:
                return to_ascii(author.rpartition("@")[2]), result.result == "pass"
            except BadDomain:
                continue
    return "", False
