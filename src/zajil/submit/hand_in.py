"""A mail from one of our users that did not come by SMTP: from the web."""

from __future__ import annotations

from collections.abc import Sequence

from zajil.accept.accept import accept, record_fault
from zajil.accept.context import AcceptanceContext, SessionFacts
from zajil.accept.outcome import Accepted, NotAccepted, RefusalReason
from zajil.accept.recipients import add_recipient, record_refused_recipient
from zajil.accept.refusals import record_refused_message
from zajil.accept.transaction import Transaction
from zajil.core.address import Address
from zajil.core.ids import MailboxId
from zajil.login.account import Account
from zajil.receive import replies
from zajil.route.directory_flow import ask_directory_and_wait
from zajil.route.recipient import route_recipient
from zajil.store.mail.intake import OwnCopy
from zajil.tracking.events import LoggedIn, SenderNamed, SessionOpened


async def hand_in(
    context: AcceptanceContext,
    account: Account,
    reverse_path: Address | None,
    recipients: Sequence[Address],
    message: bytes,
    *,
    peer: str,
    sent_mailbox: MailboxId | None = None,
) -> Accepted | NotAccepted:
    """Submit a message of an account that logged in by other means.

    Args:
        context: of the web.
        account: the sender.
        reverse_path: one of its addresses.
        recipients: all of them, Bcc included.
        message: with CRLF line ends.
        peer: address of the browser, for the journey.
        sent_mailbox: of the account; gets a copy in the same commit.

    Returns:
        What came of it. Of a mail that is not accepted only the trace is kept; the first refused
        recipient refuses the whole mail.
    """
    now_ms, service = context.clock.now_ms(), context.policy.service
    session = SessionFacts(
        session_id=context.new_session_id(now_ms),
        peer=None,
        claimed_name=peer,
        protocol="HTTP",
        account=account,
        events=(
            SessionOpened(now_ms, service, peer, context.hostname),
            LoggedIn(now_ms, account.login, service),
        ),
    )
    transaction = Transaction(
        mail_id=context.new_mail_id(now_ms),
        reverse_path=reverse_path,
        smtputf8=True,
        spool=context.make_spool(),
        own_copy=None if sent_mailbox is None else OwnCopy(sent_mailbox),
    )
    transaction.events.append(SenderNamed(now_ms, str(reverse_path) if reverse_path else "", ""))
    try:
        refusal = await _fill(context, account, transaction, recipients, message)
    except Exception as error:
        refusal = record_fault(context, transaction, error)
    outcome = refusal or await accept(context, session, transaction)
    if isinstance(outcome, NotAccepted):
        answer = str(replies.refusal(outcome))
        record_refused_message(
            context, session.session_id, peer, transaction, answer, session.events
        )
    return outcome


async def _fill(
    context: AcceptanceContext,
    account: Account,
    transaction: Transaction,
    recipients: Sequence[Address],
    message: bytes,
) -> NotAccepted | None:
    """Do what MAIL, RCPT and DATA do; the first refusal is that of the whole mail."""
    reverse_path, directory = transaction.reverse_path, context.store.directory
    if reverse_path is not None and not account.may_send_as(reverse_path):
        return NotAccepted(RefusalReason.NOT_YOUR_SENDER)
    for address in recipients:
        at_ms = context.clock.now_ms()
        if len(transaction.recipients) >= context.policy.max_recipients:
            why: NotAccepted | None = NotAccepted(
                RefusalReason.TOO_MANY_RECIPIENTS, recipient=address
            )
        else:
            flow = route_recipient(address, directory.postmaster)
            route = await ask_directory_and_wait(flow, directory)
            why = add_recipient(transaction, address, route, may_relay=True, at_ms=at_ms)
        if why is not None:
            record_refused_recipient(transaction, address, str(replies.refusal(why)), at_ms)
            return why
    taken = transaction.spool.add(message)
    if taken is not None:
        await taken
    return None
