"""Delivery status notifications to the sender (RFC 3461, RFC 3464): mails of their own.

Laws:
- Never for a null reverse path: a bounce is not bounced (RFC 5321 section 6.1).
- It carries the null reverse path itself.
- It enters the store in the commit that settles the recipients it reports on.
- It names what the sender named: the target that an alias of ours hides is told to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zajil.accept.own_mail import OwnMail, OwnMailer
from zajil.accept.plan import Addressed
from zajil.core.address import Address
from zajil.core.mail_options import PLAIN_MAIL, MailOptions
from zajil.deliver.attempt_result import Notice, Pair
from zajil.deliver.outgoing_mail import AttemptOutcome, RecipientResult
from zajil.message.dsn import (
    Action,
    DeliveryReport,
    RecipientReport,
    build_delivery_report,
    detect_language,
)
from zajil.route.recipient import Local
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.intake import Intake
from zajil.store.queue.queue import LeasedRecipient
from zajil.tracking.events import DsnSent, DsnSuppressed, TrackingEvent

MAX_WHOLE = 262_144
"""Bytes of a message that is returned whole."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """What the sender is told, or why not."""

    dsn: Intake | None
    events: tuple[TrackingEvent, ...]
    """For the journey of the mail it reports on."""


@dataclass(frozen=True, slots=True)
class Bouncer:
    """Makes DSNs."""

    mailer: OwnMailer
    hostname: str

    async def tell(self, notice: Notice, pairs: Sequence[Pair]) -> Bounce:
        """Make one DSN for recipients of one mail.

        Waits for the store. Cancelling leaves nothing behind.

        Raises:
            StoreUnavailable: the mail or the directory cannot be read; try to settle later.
        """
        mail = pairs[0][0]
        now_ms = self.mailer.clock.now_ms()
        sender = mail.reverse_path
        if sender is None:
            return _suppressed(now_ms, "The sender is empty: no bounce is sent for a bounce.")
        route = await self.mailer.route(sender, postmaster=None)
        if route is None:
            return _suppressed(now_ms, "The sender does not exist on this server.")
        header, whole = await self._read(mail, whole=_wants_whole(notice, mail))
        dsn_id = self.mailer.new_mail_id(now_ms)
        reports = _recipient_reports(notice, pairs)
        # A person must be able to answer it: postmaster of a domain of ours, where we know one.
        domain = sender.domain if isinstance(route, Local) else self.hostname
        report = DeliveryReport(
            reporting_mta=self.hostname,
            arrival_date_ms=mail.at_ms,
            original_envelope_id=mail.mail_options.envelope_id or None,
            reverse_path=sender,
            recipients=reports,
            header_section=header,
            message_id=f"<{dsn_id}@{self.hostname}>",
            date_ms=now_ms,
            dsn_from=Address("postmaster", domain),
            language=detect_language(header, sender),
            retry_until_ms=min(claimed.expires_ms for claimed, _ in pairs),
            whole=whole,
        )
        dsn = await self.mailer.prepare(
            OwnMail(
                mail_id=dsn_id,
                at_ms=now_ms,
                message=build_delivery_report(report),
                header_from=report.dsn_from,
                message_id=report.message_id,
                recipients=(Addressed(sender, route),),
                parent_mail_id=mail.mail_id,
                options=_REQUIRE_TLS if mail.mail_options.require_tls else PLAIN_MAIL,
            )
        )
        told = tuple(str(one.address) for one in reports)
        return Bounce(dsn, (DsnSent(now_ms, dsn_id, told),))

    async def _read(self, mail: LeasedRecipient, *, whole: bool) -> tuple[bytes, bytes | None]:
        """Return the header section, and the whole message where it is wanted."""
        store = self.mailer.store
        blobs = store.blobs
        try:
            # All of the largest header section we take: the fields of its writer stand at the end.
            head = await store.read(
                lambda conn: _read_head(blobs.open(conn, mail.blob_id), MAX_WHOLE)
            )
        except NoSuchBlob:
            return b"", None
        section, found, _ = head.partition(b"\r\n\r\n")
        return section + b"\r\n" if found else head, head if whole else None


_REQUIRE_TLS = MailOptions(require_tls=True)


def _wants_whole(notice: Notice, mail: LeasedRecipient) -> bool:
    """Return whether the whole message goes back, which RET=FULL asks for.

    Only with failures (RFC 3461 section 4.3), and never with REQUIRETLS (RFC 8689 section 5).
    """
    # Deviation: RFC 3461 section 4.3 knows no limit for RET=FULL. A large mail that is returned
    # to a forged sender is a weapon; past MAX_WHOLE its header section must do.
    options = mail.mail_options
    wanted = notice is Notice.FAILURE and options.dsn_return == "FULL" and not options.require_tls
    return wanted and mail.size <= MAX_WHOLE


def _read_head(blob: BlobReader, size: int) -> bytes:
    with blob:
        return blob.read_at(0, size)


def _suppressed(now_ms: int, reason: str) -> Bounce:
    return Bounce(None, (DsnSuppressed(now_ms, reason),))


# ---- one recipient --------------------------------------------------------------------------


def _recipient_reports(notice: Notice, pairs: Sequence[Pair]) -> tuple[RecipientReport, ...]:
    """Report on each address that the sender named, once."""
    action = _action(notice, pairs)
    reports: dict[str, RecipientReport] = {}
    for claimed, result in pairs:
        reports.setdefault(claimed.told_as.key, _recipient_report(action, claimed, result))
    return tuple(reports.values())


def _action(notice: Notice, pairs: Sequence[Pair]) -> Action:
    match notice:
        case Notice.FAILURE:
            return "failed"
        case Notice.DELAY:
            return "delayed"
        case Notice.SUCCESS:
            ours = all(result.filed is not None for _, result in pairs)
            return "delivered" if ours else "relayed"


def _recipient_report(
    action: Action, claimed: LeasedRecipient, result: RecipientResult
) -> RecipientReport:
    hidden = claimed.addressed_as is not None
    answered = result.remote_mta is not None
    return RecipientReport(
        address=claimed.told_as,
        action=action,
        status=result.status,
        # Security: a host and its words ("no such user x@...") would tell the hidden target.
        remote_mta=None if hidden else result.remote_mta,
        diagnostic=result.diagnostic if answered and not hidden else "",
        reason=_hidden_sentence(action, result) if hidden else _sentence(action, claimed, result),
        original_recipient=claimed.options.original_recipient,
    )


def _sentence(action: Action, claimed: LeasedRecipient, result: RecipientResult) -> str:
    answered = result.remote_mta is not None
    server = f"The mail server of {claimed.next_hop}"
    if action in ("delivered", "relayed"):
        return f"{server} took it." if action == "relayed" else ""
    if result.outcome is AttemptOutcome.EXPIRED:
        return f"We tried for too long without success. The last trouble: {result.diagnostic}"
    if not answered:
        return result.diagnostic
    return f"{server} cannot take it yet." if action == "delayed" else f"{server} refused it."


def _hidden_sentence(action: Action, result: RecipientResult) -> str:
    """Return what happened behind an alias, without a word about where."""
    if action in ("delivered", "relayed"):
        return "It was forwarded."
    if result.outcome is AttemptOutcome.EXPIRED:
        return "We tried for too long to forward it, without success."
    return "It cannot be forwarded yet." if action == "delayed" else "It could not be forwarded."
