"""A mail from one of our users that did not come by SMTP: from the web."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zajil.accept.accept import accept, record_fault
from zajil.accept.context import AcceptanceContext, SessionFacts
from zajil.accept.outcome import Accepted, NotAccepted, RefusalReason
from zajil.accept.recipients import add_recipient, record_refused_recipient
from zajil.accept.refusals import record_refused_message
from zajil.accept.spool import Spool
from zajil.accept.transaction import Transaction
from zajil.core.address import Address
from zajil.core.mail_options import PLAIN_MAIL, MailOptions
from zajil.login.account import Account
from zajil.message.entity import Pieces
from zajil.message.source import PIECE, Source, size_of
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
    message: bytes | Pieces,
    *,
    peer: str,
    own_copy: OwnCopy | None = None,
    release_ms: int | None = None,
) -> Accepted | NotAccepted:
    """Submit a message of an account that logged in by other means.

    Args:
        context: of the web.
        account: the sender.
        reverse_path: one of its addresses.
        recipients: all of them, Bcc included.
        message: with CRLF line ends; one of any size comes in pieces.
        peer: address of the browser, for the journey.
        own_copy: for a mailbox of the account, in the same commit.
        release_ms: when it may be delivered, to mailboxes here too; until then its author can take
            it back (``store.queue.recall``). ``None``: at once.

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
        own_copy=own_copy,
        options=PLAIN_MAIL if release_ms is None else MailOptions(hold_until_ms=release_ms),
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
    message: bytes | Pieces,
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
    for piece in (message,) if isinstance(message, bytes) else message:
        await _add(transaction.spool, piece)
    return None


async def _add(spool: Spool, piece: bytes | Source) -> None:
    """Put bytes that need not be in memory into the spool, some at a time."""
    for at in range(0, size_of(piece), PIECE):
        if isinstance(piece, bytes):
            some = piece[at : at + PIECE]
        else:
            some = await asyncio.to_thread(piece.read_at, at, PIECE)
        taken = spool.add(some)
        if taken is not None:
            await taken
