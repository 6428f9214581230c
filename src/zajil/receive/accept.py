"""End of data on port 25: check, file, write trace fields, hand over (RFC 5321 section 6.1).

Law: a 250 leaves here only as the result of ``hand_over``, after the commit.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Protocol

from zajil.check.facts import MessageFacts
from zajil.check.step import Checked, check_message
from zajil.check.verdict import Action
from zajil.core.address import Address
from zajil.core.ids import SessionId
from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, cut_ranges, find_value, read_fields
from zajil.net.peer import Peer
from zajil.receive import replies
from zajil.receive.copies import plan_copies
from zajil.receive.hand_over import Incoming, hand_over, record
from zajil.receive.services import ReceiveServices
from zajil.receive.trace_fields import protocol_keyword, received_field
from zajil.receive.transaction import Transaction
from zajil.smtp.command import BodyEnd
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection
from zajil.tracking.events import FaultHappened, MailRefused, MessageReceived, TrackingEvent

_DEFECTS = {
    "bare-lf": replies.BARE_LINE_END,
    "bare-cr": replies.BARE_LINE_END,
    "nul": replies.NUL_BYTE,
    "size": replies.TOO_LARGE,
}


class Connection(Protocol):
    """What acceptance needs to know of the session: ``ReceiveSession`` has it."""

    services: ReceiveServices
    session_id: SessionId
    peer: Peer
    conn: ServerConnection
    events: list[TrackingEvent]
    extended: bool
    claimed_name: str
    tls: str | None


async def accept_mail(session: Connection, transaction: Transaction, end: BodyEnd) -> Reply:
    """Decide about a whole mail; 250 means it is on disk."""
    refusal = body_refusal(transaction, end)
    if refusal is not None:
        return refuse(session, transaction, refusal)
    try:
        return await _check_and_hand_over(session, transaction)
    except Exception as error:
        # Unknown means temporary: our bug must not cost the peer its mail (style C8).
        at_ms = session.services.clock.now_ms()
        fault = FaultHappened(at_ms, repr(error), "".join(traceback.format_exception(error)))
        transaction.events.append(fault)
        return refuse(session, transaction, replies.UNAVAILABLE)


def body_refusal(transaction: Transaction, end: BodyEnd) -> Reply | None:
    """Say what is wrong with the bytes themselves; ``None``: nothing."""
    if end.defect is not None:
        return _DEFECTS.get(end.defect, replies.MALFORMED)
    return replies.TOO_LARGE if transaction.spool.too_large else None


def refuse(session: Connection, transaction: Transaction, reply: Reply) -> Reply:
    """Leave the trace of a mail that was read and not taken; give the reply."""
    now_ms = session.services.clock.now_ms()
    events = (*session.events, *transaction.events, MailRefused(now_ms, str(reply)))
    session.events.clear()
    record(session.services.store, session.session_id, transaction.mail_id, now_ms, events)
    return reply


async def _check_and_hand_over(session: Connection, transaction: Transaction) -> Reply:
    services = session.services
    now_ms = services.clock.now_ms()
    facts = await _facts(session, transaction, now_ms)
    received = received_event(facts)
    checked = await check_message(facts)
    transaction.events += (received, *checked.events)
    match checked.verdict.action:
        case Action.REJECT:
            return refuse(session, transaction, why_rejected(checked))
        case Action.DEFER:
            return refuse(session, transaction, replies.LATER)
    copies = plan_copies(
        transaction.reverse_path,
        transaction.recipients,
        checked.verdict,
        now_ms,
        services.lifetime_ms,
    )
    incoming = Incoming(
        mail_id=transaction.mail_id,
        session_id=session.session_id,
        account_id=None,
        reverse_path=transaction.reverse_path,
        header_from=received.header_from,
        message_id=received.message_id,
        needs_smtputf8=needs_smtputf8(facts.header, transaction.reverse_path),
        parts=(
            _trace(session, transaction, now_ms),
            checked.field,
            cut_ranges(facts.header, checked.forged),
            facts.body,
        ),
        copies=copies,
        events=(*session.events, *transaction.events),
    )
    reply = await hand_over(services.store, incoming, now_ms)
    session.events.clear()  # they were recorded with the mail, whatever came of it
    return reply


async def _facts(session: Connection, transaction: Transaction, now_ms: int) -> MessageFacts:
    header, body = await transaction.spool.split()
    return MessageFacts(
        now_ms=now_ms,
        peer=session.peer,
        claimed_name=session.claimed_name,
        reverse_path=transaction.reverse_path,
        recipients=tuple([recipient.address for recipient in transaction.recipients]),
        header=header,
        fields=read_fields(header),
        size=transaction.spool.size,
        smtputf8=transaction.smtputf8,
        login=None,
        authserv_id=session.services.hostname,
        limits=session.services.limits,
        body=body,
    )


def _trace(session: Connection, transaction: Transaction, now_ms: int) -> bytes:
    protocol = protocol_keyword(
        extended=session.extended,
        utf8=transaction.smtputf8,
        encrypted=session.conn.encrypted,
        authenticated=False,
    )
    return received_field(
        claimed_name=session.claimed_name,
        peer=session.peer,
        hostname=session.services.hostname,
        protocol=protocol,
        tls=session.tls,
        mail_id=transaction.mail_id,
        at_ms=now_ms,
    )


def received_event(facts: MessageFacts) -> MessageReceived:
    """Tell that the message is here, and the two fields that people search by."""
    return MessageReceived(
        facts.now_ms,
        facts.size,
        header_text(facts.fields, b"from"),
        header_text(facts.fields, b"message-id"),
    )


def header_text(fields: Sequence[Field], name: bytes) -> str:
    """Give a field as text for people, cut to what a row should hold; ``""`` when absent."""
    value = find_value(fields, name)
    if value is None:
        return ""
    text = decode_words(value)[:500]
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def needs_smtputf8(header: bytes, reverse_path: Address | None) -> bool:
    """Whether no copy can travel without SMTPUTF8 (RFC 6531 section 3.2).

    Recipients do not count: whether one of them needs it concerns that one alone.
    """
    return not header.isascii() or (reverse_path is not None and not reverse_path.is_ascii)


def why_rejected(checked: Checked) -> Reply:
    """Give the reply that fits what demanded the rejection."""
    signals = {reason.signal for reason in checked.verdict.reasons}
    if "format.loop" in signals:
        return replies.LOOP
    if "format.header-size" in signals:
        return replies.TOO_LARGE
    return replies.NOT_WANTED
