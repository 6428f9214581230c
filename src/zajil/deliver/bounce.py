"""Tell the sender that a mail was given up: a DSN (RFC 3464), a mail of its own.

Laws:
- Never for a null reverse path: a bounce is not bounced (RFC 5321 section 6.1).
- It carries the null reverse path itself.
- It enters the store in the commit that settles the recipients it reports on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zajil.core.address import Address
from zajil.core.clock import Clock, Random
from zajil.core.ids import ID_RANDOM_SIZE, MailId, new_mail_id
from zajil.deliver.outgoing import Outcome, Result
from zajil.message.dsn import (
    MAX_RETURNED,
    DeliveryReport,
    RecipientReport,
    build_delivery_report,
    detect_language,
)
from zajil.message.final_fields import write_final_fields
from zajil.route.directory_flow import ask_directory_and_wait
from zajil.route.filing import choose_mailbox
from zajil.route.recipient import Local, Remote, Suspended, route_recipient
from zajil.store.blobs import BlobReader, NoSuchBlob
from zajil.store.intake import Intake, LocalCopy, RemoteCopy
from zajil.store.open import Store
from zajil.store.queue import Claimed
from zajil.tracking.events import (
    DsnSent,
    DsnSuppressed,
    MailboxFiled,
    RecipientQueued,
    TrackingEvent,
)


@dataclass(frozen=True, slots=True)
class Bounce:
    """What the sender is told, or why not."""

    dsn: Intake | None
    events: tuple[TrackingEvent, ...]
    """For the journey of the mail that was given up."""


@dataclass(frozen=True, slots=True)
class Bouncer:
    """Makes DSNs."""

    store: Store
    hostname: str
    lifetime_ms: int
    """How long a DSN to elsewhere is tried (``queue.lifetime``)."""
    clock: Clock
    random: Random

    async def bounce(self, dead: Sequence[tuple[Claimed, Result]]) -> Bounce:
        """Make one DSN for recipients of one mail.

        Waits for the store. Cancelling leaves nothing behind.

        Raises:
            StoreUnavailable: the mail or the directory cannot be read; try to settle later.
        """
        mail = dead[0][0]
        now_ms = self.clock.now_ms()
        sender = mail.reverse_path
        if sender is None:
            return _suppressed(now_ms, "The sender is the null path: bounces are not bounced.")
        route = await ask_directory_and_wait(route_recipient(sender, None), self.store.directory)
        if isinstance(route, Suspended):
            return _suppressed(now_ms, "The sender's account is suspended.")
        if not isinstance(route, Local | Remote):
            return _suppressed(now_ms, "The sender does not exist here.")
        header = await self._read_header(mail)
        dsn_id = new_mail_id(now_ms, self.random(ID_RANDOM_SIZE))
        own = isinstance(route, Local)
        report = self._report(mail, sender, dead, header, now_ms, dsn_id, own=own)
        dsn = self._intake(mail, report, route, now_ms, dsn_id)
        told = tuple(str(claimed.recipient) for claimed, _ in dead)
        return Bounce(dsn, (DsnSent(now_ms, dsn.mail_id, told),))

    async def _read_header(self, mail: Claimed) -> bytes:
        blobs = self.store.blobs
        try:
            head = await self.store.read(lambda conn: _read_head(blobs.open(conn, mail.blob_id)))
        except NoSuchBlob:
            return b""
        section, found, _ = head.partition(b"\r\n\r\n")
        return section + b"\r\n" if found else head

    def _report(
        self,
        mail: Claimed,
        sender: Address,
        dead: Sequence[tuple[Claimed, Result]],
        header: bytes,
        now_ms: int,
        dsn_id: MailId,
        *,
        own: bool,
    ) -> DeliveryReport:
        # A person must be able to answer it: postmaster of a domain of ours, where we know one.
        domain = sender.domain if own else self.hostname
        return DeliveryReport(
            reporting_mta=self.hostname,
            arrival_date_ms=mail.at_ms,
            original_envelope_id=None,
            reverse_path=sender,
            recipients=tuple(_recipient_report(claimed, result) for claimed, result in dead),
            header_section=header,
            message_id=f"<{dsn_id}@{self.hostname}>",
            date_ms=now_ms,
            dsn_from=Address("postmaster", domain),
            language=detect_language(header, sender),
        )

    def _intake(
        self,
        mail: Claimed,
        report: DeliveryReport,
        route: Local | Remote,
        now_ms: int,
        dsn_id: MailId,
    ) -> Intake:
        message = build_delivery_report(report)
        sender = report.reverse_path
        entries = route.entries if isinstance(route, Local) else ()
        elsewhere = route.remote if isinstance(route, Local) else (route.address,)
        local: list[LocalCopy] = []
        events: list[TrackingEvent] = []
        for entry in entries:
            filing = choose_mailbox(entry, is_junk=False)
            local.append(
                LocalCopy(
                    sender,
                    entry.account_id,
                    filing.mailbox_id,
                    filing.mailbox_name,
                    prefix=write_final_fields(None, sender),
                )
            )
            events.append(
                MailboxFiled(
                    now_ms, str(sender), str(entry.address), filing.mailbox_name, filing.reason
                )
            )
        expires_ms = now_ms + self.lifetime_ms
        remote = tuple(RemoteCopy(to, to.domain, now_ms, expires_ms) for to in elsewhere)
        events += [RecipientQueued(now_ms, str(to), to.domain, now_ms) for to in elsewhere]
        content = self.store.blobs.stage((message,))
        return Intake(
            mail_id=dsn_id,
            parent_mail_id=mail.mail_id,
            session_id=None,
            received_at_ms=now_ms,
            account_id=None,
            reverse_path=None,
            header_from=str(report.dsn_from),
            message_id=report.message_id,
            content=content,
            size=content.size,
            needs_smtputf8=not sender.is_ascii,
            local=tuple(local),
            remote=remote,
            refused=(),
            events=tuple(events),
        )


def _read_head(blob: BlobReader) -> bytes:
    with blob:
        return blob.read_at(0, MAX_RETURNED)


def _suppressed(now_ms: int, reason: str) -> Bounce:
    return Bounce(None, (DsnSuppressed(now_ms, reason),))


def _recipient_report(claimed: Claimed, result: Result) -> RecipientReport:
    answered = result.remote_mta is not None
    return RecipientReport(
        address=claimed.recipient,
        action="failed",
        status=result.status,
        remote_mta=result.remote_mta,
        diagnostic=result.diagnostic if answered else "",
        reason=_sentence(claimed, result, answered=answered),
    )


def _sentence(claimed: Claimed, result: Result, *, answered: bool) -> str:
    if result.outcome is Outcome.EXPIRED:
        return f"We tried for too long without success. The last trouble: {result.diagnostic}"
    if not answered:
        return result.diagnostic
    return f"The mail server of {claimed.next_hop} refused it."
