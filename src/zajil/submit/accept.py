"""A submission becomes ours: sender rights in the header section, completion, then the store.

Law: a 250 leaves here only as the result of ``receive.hand_over``, after the commit.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from zajil.check.facts import MessageFacts
from zajil.check.step import check_message
from zajil.check.verdict import NOTHING_AGAINST, Action
from zajil.core.address import Address
from zajil.core.ids import ID_RANDOM_SIZE, MailId, SessionId, new_mail_id, new_session_id
from zajil.login.account import Account
from zajil.message.fields import cut_ranges, read_fields
from zajil.message.source import Source, size_of
from zajil.net.peer import Peer
from zajil.receive import replies
from zajil.receive.accept import (
    Connection,
    body_refusal,
    needs_smtputf8,
    received_event,
    refuse,
    why_rejected,
)
from zajil.receive.copies import plan_copies
from zajil.receive.hand_over import Incoming, hand_over
from zajil.receive.services import ReceiveServices
from zajil.receive.spool import Spool
from zajil.receive.trace_fields import protocol_keyword, received_field
from zajil.receive.transaction import Recipient, Transaction
from zajil.route.directory_flow import ask_directory_and_wait
from zajil.route.recipient import Local, Remote, Suspended, route_recipient
from zajil.smtp.command import BodyEnd
from zajil.smtp.reply import Reply
from zajil.submit.complete import complete_header, foreign_authors
from zajil.submit.permission import may_send_as
from zajil.tracking.events import (
    FaultHappened,
    HeaderCompleted,
    LoggedIn,
    RecipientNamed,
    SenderNamed,
    SessionOpened,
    TrackingEvent,
)


class SubmissionRefused(Exception):
    """Policy says no, or not now; ``reply`` is what an SMTP client would have been told."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Via:
    """How a submission came in: what Received says of it."""

    protocol: str
    """``ESMTPSA``, ``HTTP``."""
    claimed_name: str
    peer: Peer | None
    tls: str | None
    smtputf8: bool
    session_id: SessionId | None


async def accept_submission(
    session: Connection, account: Account, transaction: Transaction, end: BodyEnd
) -> Reply:
    """Decide about a whole mail of one of our users; 250 means it is on disk."""
    refusal = body_refusal(transaction, end)
    if refusal is not None:
        return refuse(session, transaction, refusal)
    protocol = protocol_keyword(
        extended=session.extended,
        utf8=transaction.smtputf8,
        encrypted=session.conn.encrypted,
        authenticated=True,
    )
    via = Via(
        protocol,
        session.claimed_name,
        session.peer,
        session.tls,
        transaction.smtputf8,
        session.session_id,
    )
    try:
        made = await _complete(session.services, account, transaction, via)
        if isinstance(made, Reply):
            return refuse(session, transaction, made)
        transaction.events[:0] = session.events
        session.events.clear()
        return await _hand_over(session.services, made, transaction)
    except Exception as error:
        # Unknown means temporary: our bug must not cost the user the mail (style C8).
        at_ms = session.services.clock.now_ms()
        fault = FaultHappened(at_ms, repr(error), "".join(traceback.format_exception(error)))
        transaction.events.append(fault)
        return refuse(session, transaction, replies.UNAVAILABLE)


async def hand_in(
    services: ReceiveServices,
    account: Account,
    reverse_path: Address | None,
    recipients: Sequence[Address],
    message: bytes,
    *,
    peer: str,
) -> MailId:
    """Submit a message of an account that logged in by other means: the web, the command line.

    Args:
        services: as a submission listener has them.
        account: the sender.
        reverse_path: one of its addresses.
        recipients: all of them, Bcc included.
        message: with CRLF line ends.
        peer: who is at the browser, for the journey.

    Raises:
        SubmissionRefused: a sender that is not its own, an unknown local recipient, too large,
            no space ...; nothing was kept.
    """
    now_ms = services.clock.now_ms()
    spool = Spool(services.limits, services.store.blobs)
    taken = spool.add(message)
    if taken is not None:
        await taken
    session_id = new_session_id(now_ms, services.random(ID_RANDOM_SIZE))
    transaction = Transaction(
        new_mail_id(now_ms, services.random(ID_RANDOM_SIZE)),
        now_ms,
        reverse_path,
        True,
        spool,
        events=[
            SessionOpened(now_ms, "web", peer, services.hostname),
            LoggedIn(now_ms, account.login, "web"),
            SenderNamed(now_ms, str(reverse_path) if reverse_path else "", ""),
        ],
    )
    if spool.too_large:
        raise SubmissionRefused(replies.TOO_LARGE)
    if reverse_path is not None and not may_send_as(account, reverse_path):
        raise SubmissionRefused(replies.NOT_YOUR_SENDER)
    for address in recipients:
        await _add_recipient(services, transaction, address)
    via = Via("HTTP", peer, None, None, True, session_id)
    made = await _complete(services, account, transaction, via)
    if isinstance(made, Reply):
        raise SubmissionRefused(made)
    reply = await _hand_over(services, made, transaction)
    if reply.code != 250:
        raise SubmissionRefused(reply)
    return transaction.mail_id


@dataclass(frozen=True, slots=True)
class _Made:
    """A submission that may go: everything but its copies."""

    account: Account
    session_id: SessionId | None
    parts: tuple[bytes | Source, ...]
    header_from: str
    message_id: str
    needs_smtputf8: bool
    now_ms: int


async def _complete(
    services: ReceiveServices, account: Account, transaction: Transaction, via: Via
) -> _Made | Reply:
    """Check the header section and complete it; a reply says what is wrong with it."""
    now_ms = services.clock.now_ms()
    header, body = await transaction.spool.split()
    fields = read_fields(header)
    foreign = foreign_authors(fields, lambda address: may_send_as(account, address))
    if foreign:
        return replies.NOT_YOUR_FROM
    completed = complete_header(
        header,
        fields,
        author=account.address,
        now_ms=now_ms,
        message_id=f"<{transaction.mail_id}@{account.address.domain}>",
        has_separator=size_of(body) > 0,
    )
    if completed.changes:
        transaction.events.append(HeaderCompleted(now_ms, ", ".join(completed.changes)))
    facts = MessageFacts(
        now_ms,
        via.peer,
        via.claimed_name,
        transaction.reverse_path,
        tuple([recipient.address for recipient in transaction.recipients]),
        completed.header,
        read_fields(completed.header) if completed.changes else fields,
        transaction.spool.size,
        via.smtputf8,
        account.login,
        services.hostname,
        services.limits,
        body,
    )
    received = received_event(facts)
    checked = await check_message(facts)
    transaction.events += (received, *checked.events)
    match checked.verdict.action:
        case Action.REJECT:
            return why_rejected(checked)
        case Action.DEFER:
            return replies.LATER
    trace = received_field(
        claimed_name=via.claimed_name,
        peer=via.peer,
        hostname=services.hostname,
        protocol=via.protocol,
        tls=via.tls,
        mail_id=transaction.mail_id,
        at_ms=now_ms,
    )
    header = cut_ranges(completed.header, checked.forged)
    return _Made(
        account,
        via.session_id,
        (trace, checked.field, header, body),
        received.header_from,
        received.message_id,
        needs_smtputf8(header, transaction.reverse_path),
        now_ms,
    )


async def _hand_over(services: ReceiveServices, made: _Made, transaction: Transaction) -> Reply:
    copies = plan_copies(
        transaction.reverse_path,
        transaction.recipients,
        NOTHING_AGAINST,  # what our own users write to each other is not judged as junk
        made.now_ms,
        services.lifetime_ms,
    )
    incoming = Incoming(
        transaction.mail_id,
        made.session_id,
        made.account.account_id,
        transaction.reverse_path,
        made.header_from,
        made.message_id,
        made.needs_smtputf8,
        made.parts,
        copies,
        tuple(transaction.events),
    )
    return await hand_over(services.store, incoming, made.now_ms)


async def _add_recipient(
    services: ReceiveServices, transaction: Transaction, address: Address
) -> None:
    if len(transaction.recipients) >= services.limits.recipients:
        raise SubmissionRefused(replies.TOO_MANY_RECIPIENTS)
    directory = services.store.directory
    route = await ask_directory_and_wait(route_recipient(address, directory.postmaster), directory)
    match route:
        case Local() | Remote():
            if address.key not in transaction.keys:
                transaction.keys.add(address.key)
                transaction.recipients.append(Recipient(address, route))
                kind = "local" if isinstance(route, Local) else "remote"
                named: TrackingEvent = RecipientNamed(transaction.started_ms, str(address), kind)
                transaction.events.append(named)
        case Suspended():
            raise SubmissionRefused(replies.SUSPENDED)
        case _:
            raise SubmissionRefused(replies.NO_SUCH_RECIPIENT)
