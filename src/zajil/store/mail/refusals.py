"""What was refused, so that an operator can find it: mails, recipients, sessions without a mail.

Laws:
- A refused mail has a row like any other, and each of its recipients one in the state ``refused``,
  so a search for mails finds it. Its bytes are not kept.
- It belongs to no account: its sender got a reply with its id, and can ask an operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address
from zajil.core.ids import MailId, SessionId
from zajil.core.service import RecipientState
from zajil.core.value_class import value_class
from zajil.store.engine.rows import insert_rows
from zajil.store.mail.intake import MAIL_FACTS, RECIPIENT_FACTS, mail_facts, recipient_facts
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.schema import event
from zajil.tracking.codec import decode_events
from zajil.tracking.events import FaultHappened, TrackingEvent


@value_class(frozen=True, slots=True, kw_only=True)
class RefusedMail:
    """A mail that was not accepted: refused after its data, or without a valid recipient."""

    mail_id: MailId
    session_id: SessionId
    at_ms: int
    reverse_path: Address | None
    header_from: str
    """``""`` if its header section was not read."""
    message_id: str
    subject: str = ""
    size: int
    recipients: tuple[tuple[Address, str], ...]
    """Address and reply, each address once."""
    events: tuple[TrackingEvent, ...]


def record_refused(tx: Connection, items: Sequence[RefusedMail]) -> list[None]:
    """Keep refused mails with their recipients and events.

    Unit of work: locks nothing. A mail that is there already (its commit seemed to fail and had
    not) keeps its rows, and gets the events.
    """
    insert_rows(tx, MAIL_FACTS, [_mail_row(item) for item in items], keep_old=True)
    rows = [
        recipient_facts(item.mail_id, at, who, RecipientState.REFUSED, reply, item.at_ms)
        for item in items
        for at, (who, reply) in enumerate(item.recipients)
    ]
    insert_rows(tx, RECIPIENT_FACTS, rows, keep_old=True)
    return record_events(
        tx, [EventBatch(item.session_id, item.mail_id, item.at_ms, item.events) for item in items]
    )


def _mail_row(item: RefusedMail) -> tuple[Any, ...]:
    sender = item.reverse_path
    return mail_facts(
        item.mail_id,
        item.session_id,
        item.at_ms,
        sender,
        header_from=item.header_from or ("" if sender is None else str(sender)),
        message_id=item.message_id,
        subject=item.subject,
        size=item.size,
        needs_smtputf8=False,
    )


# ---- sessions without a mail ----------------------------------------------------------------


@value_class(frozen=True, slots=True)
class FoundSession:
    """What was recorded about a connection, without a mail."""

    session_id: SessionId | None
    at_ms: int
    events: tuple[TrackingEvent, ...]


def find_sessions(conn: Connection, since_ms: int, limit: int) -> list[FoundSession]:
    """Return what was recorded without a mail, newest first: failed log-ins, refused connections.

    Args:
        conn: a read of the store.
        since_ms: not older than this.
        limit: maximum number of rows read.
    """
    rows = conn.execute(_SESSIONS, {"since_ms_": since_ms, "limit_": limit})
    return [FoundSession(row.session_id, row.at_ms, tuple(decode_events(row.body))) for row in rows]


@value_class(frozen=True, slots=True)
class FoundFault:
    """An internal error, and the mail that it happened to."""

    mail_id: MailId | None
    fault: FaultHappened


def find_faults(conn: Connection, since_ms: int, limit: int) -> list[FoundFault]:
    """Return internal errors, newest first.

    Those of the checks of a mail that was accepted are in its journey alone.

    Args:
        conn: a read of the store; it looks through all events since then.
        since_ms: not older than this.
        limit: maximum number of rows read.
    """
    rows = conn.execute(_FAULTS, {"since_ms_": since_ms, "limit_": limit})
    return [
        FoundFault(row.mail_id, one)
        for row in rows
        for one in reversed(decode_events(row.body))
        if isinstance(one, FaultHappened)
    ]


_FAULTS = (
    sa.select(event.c.mail_id, event.c.body)
    .where(
        event.c.at_ms >= sa.bindparam("since_ms_"),
        event.c.body.contains(f'["{FaultHappened.name}",'),
    )
    .order_by(event.c.id.desc())
    .limit(sa.bindparam("limit_"))
)
_SESSIONS = (
    sa.select(event)
    .where(event.c.mail_id.is_(None), event.c.at_ms >= sa.bindparam("since_ms_"))
    .order_by(event.c.at_ms.desc(), event.c.id.desc())
    .limit(sa.bindparam("limit_"))
)
