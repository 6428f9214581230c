"""What was not accepted leaves a trace: refused mails, and sessions without a mail.

Nobody waits for it: it shares the next commit.
"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.accept.context import AcceptanceContext
from zajil.accept.transaction import Transaction
from zajil.core.ids import SessionId
from zajil.net.floods import REFUSED_MAIL
from zajil.store.mail.refusals import RefusedMail, record_refused
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.tracking.events import MailRefused, MessageReceived, TrackingEvent


def record_refused_message(
    context: AcceptanceContext,
    session_id: SessionId,
    host: str,
    transaction: Transaction,
    answer: str,
    session_events: Sequence[TrackingEvent] = (),
) -> None:
    """Record a mail whose message was read and refused; see ``record_refused_mail``."""
    transaction.events.append(MailRefused(context.clock.now_ms(), answer))
    record_refused_mail(context, session_id, host, transaction, answer, session_events)


def record_refused_mail(
    context: AcceptanceContext,
    session_id: SessionId,
    host: str,
    transaction: Transaction,
    answer: str,
    session_events: Sequence[TrackingEvent] = (),
) -> None:
    """Record a mail that was not accepted, as far as the budget of its peer allows.

    Args:
        context: the store, the time, the budget.
        session_id: of the session that brought it.
        host: address of the peer, whose budget counts.
        transaction: what is known of the mail.
        answer: what its accepted recipients were refused with.
        session_events: about the session, not yet recorded.
    """
    if context.refusals is not None and not context.refusals.takes(host, REFUSED_MAIL):
        return
    events = (*session_events, *transaction.events)
    taken = {one.address.key: (one.address, answer) for one in transaction.recipients}
    refused = {address.key: (address, text) for address, text in transaction.refused}
    received = next((one for one in events if isinstance(one, MessageReceived)), None)
    item = RefusedMail(
        mail_id=transaction.mail_id,
        session_id=session_id,
        at_ms=context.clock.now_ms(),
        reverse_path=transaction.reverse_path,
        header_from="" if received is None else received.header_from,
        message_id="" if received is None else received.message_id,
        subject="" if received is None else received.subject,
        size=0 if received is None else received.size,
        recipients=tuple({**refused, **taken}.values()),
        events=events,
    )
    context.store.write_later(record_refused, item)


def record_session(
    context: AcceptanceContext, session_id: SessionId, events: Sequence[TrackingEvent]
) -> None:
    """Record events of a session that belong to no mail."""
    batch = EventBatch(session_id, None, context.clock.now_ms(), tuple(events))
    context.store.write_later(record_events, batch)
