"""A mail from one of our users that did not come by SMTP: from the web, from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from zajil.accept import replies
from zajil.accept.commit import Incoming, take_in
from zajil.accept.context import ReceiveServices
from zajil.accept.recipients import refuse_recipient, take_recipient
from zajil.accept.transaction import Transaction
from zajil.core.address import Address
from zajil.core.errors import Refused
from zajil.core.ids import (
    ID_RANDOM_SIZE,
    MailboxId,
    MailId,
    SessionId,
    new_mail_id,
    new_session_id,
)
from zajil.core.service import Service
from zajil.login.account import Account
from zajil.route.directory_flow import ask_directory_and_wait
from zajil.route.recipient import route_recipient
from zajil.smtp.reply import Reply
from zajil.store.mail.intake import OwnCopy
from zajil.submit.accept import Via, decide_submission
from zajil.submit.permission import may_send_as
from zajil.tracking.events import (
    LoggedIn,
    RecipientRefused,
    SenderNamed,
    SessionOpened,
    TrackingEvent,
)


class SubmissionRefused(Refused):
    """Policy says no, or not now; ``reply`` is what an SMTP client would have been told.

    ``recipient`` is the address that was refused, in its wire form; ``""``: it is the whole mail.
    """

    def __init__(self, reply: Reply, recipient: str = "") -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.recipient = recipient


@dataclass(slots=True)
class _Page:
    """Where the mail comes from: what ``accept.commit`` needs to know of a session."""

    services: ReceiveServices
    session_id: SessionId
    host: str
    events: list[TrackingEvent] = field(default_factory=list)


async def hand_in(
    services: ReceiveServices,
    account: Account,
    reverse_path: Address | None,
    recipients: Sequence[Address],
    message: bytes,
    *,
    peer: str,
    sent_mailbox: MailboxId | None = None,
) -> MailId:
    """Submit a message of an account that logged in by other means.

    Args:
        services: as a submission listener has them.
        account: the sender.
        reverse_path: one of its addresses.
        recipients: all of them, Bcc included.
        message: with CRLF line ends.
        peer: who is at the browser, for the journey.
        sent_mailbox: of the account; gets a copy in the same commit.

    Raises:
        SubmissionRefused: a sender that is not its own, an unknown local recipient, too large,
            no space, a fault of ours ...; nothing was kept but the trace of it.
    """
    now_ms = services.clock.now_ms()
    page = _Page(services, new_session_id(now_ms, services.random(ID_RANDOM_SIZE)), peer)
    page.events += (
        SessionOpened(now_ms, Service.WEB, peer, services.hostname),
        LoggedIn(now_ms, account.login, Service.WEB),
    )
    transaction = Transaction(
        new_mail_id(now_ms, services.random(ID_RANDOM_SIZE)),
        now_ms,
        reverse_path,
        True,
        services.make_spool(),
    )
    transaction.events.append(SenderNamed(now_ms, str(reverse_path) if reverse_path else "", ""))

    async def decide() -> Incoming | Reply:
        refusal = await _fill(services, account, transaction, recipients, message)
        if refusal is not None:
            return refusal
        decided = await decide_submission(
            services, account, transaction, Via("HTTP", peer, None, None, True)
        )
        if sent_mailbox is None or isinstance(decided, Reply):
            return decided
        return replace(decided, own_copy=OwnCopy(sent_mailbox))

    reply = await take_in(page, transaction, decide())
    if not reply.accepts:
        refused = [one.recipient for one in transaction.events if isinstance(one, RecipientRefused)]
        raise SubmissionRefused(reply, refused[-1] if refused else "")
    return transaction.mail_id


async def _fill(
    services: ReceiveServices,
    account: Account,
    transaction: Transaction,
    recipients: Sequence[Address],
    message: bytes,
) -> Reply | None:
    """Do what MAIL, RCPT and DATA do; the first refusal is that of the whole mail."""
    reverse_path, directory = transaction.reverse_path, services.store.directory
    if reverse_path is not None and not may_send_as(account, reverse_path):
        return replies.NOT_YOUR_SENDER
    for address in recipients:
        at_ms = services.clock.now_ms()
        if len(transaction.recipients) >= services.most_recipients:
            return refuse_recipient(transaction, address, replies.TOO_MANY_RECIPIENTS, at_ms)
        flow = route_recipient(address, directory.postmaster)
        route = await ask_directory_and_wait(flow, directory)
        reply = take_recipient(transaction, address, route, may_relay=True, at_ms=at_ms)
        if not reply.accepts:
            return reply
    taken = transaction.spool.add(message)
    if taken is not None:
        await taken
    return replies.TOO_LARGE if transaction.spool.too_large else None
