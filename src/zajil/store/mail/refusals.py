"""What was refused, so that an operator can find it: mails, recipients, sessions without a mail.

Laws:
- A refused mail has a row like any other, and each of its recipients one in the state ``refused``;
  it has no bytes. So whoever searches mails finds it.
- It belongs to no account: its sender got a reply that names it, and asks an admin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address
from zajil.core.ids import MailId, SessionId
from zajil.store.engine.rows import insert_rows
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.schema import event, mail, recipient
from zajil.tracking.codec import decode_events
from zajil.tracking.events import TrackingEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedMail:
    """A mail that was not accepted: after its end, or for want of a recipient."""

    mail_id: MailId
    session_id: SessionId
    at_ms: int
    reverse_path: Address | None
    header_from: str
    """``""`` if its header section was not read."""
    message_id: str
    size: int
    recipients: tuple[tuple[Address, str], ...]
    """Address and reply, each address once."""
    events: tuple[TrackingEvent, ...]


def record_refused(tx: Connection, items: Sequence[RefusedMail]) -> list[None]:
    """Keep refused mails with their recipients and events.

    Unit of work: locks nothing. A mail that is there already (its commit seemed to fail and had
    not) keeps its rows, and gets the events.
    """
    insert_rows(tx, _MAIL, [_mail_row(item) for item in items], keep_old=True)
    rows = [
        (item.mail_id, place, str(who), who.key, "refused", reply, item.at_ms, 0)
        for item in items
        for place, (who, reply) in enumerate(item.recipients)
    ]
    insert_rows(tx, _RECIPIENT, rows, keep_old=True)
    return record_events(
        tx, [EventBatch(item.session_id, item.mail_id, item.at_ms, item.events) for item in items]
    )


_MAIL = (
    mail.c.id,
    mail.c.session_id,
    mail.c.at_ms,
    mail.c.reverse_path,
    mail.c.from_key,
    mail.c.header_from,
    mail.c.message_id,
    mail.c.size,
    mail.c.needs_smtputf8,
)
_RECIPIENT = (
    recipient.c.mail_id,
    recipient.c.position,
    recipient.c.address,
    recipient.c.address_key,
    recipient.c.state,
    recipient.c.reason,
    recipient.c.at_ms,
    recipient.c.tries,
)


def _mail_row(item: RefusedMail) -> tuple[object, ...]:
    sender = item.reverse_path
    return (
        item.mail_id,
        item.session_id,
        item.at_ms,
        None if sender is None else str(sender),
        None if sender is None else sender.key,
        # An encoded word may hide a NUL, which PostgreSQL takes in no text.
        (item.header_from or ("" if sender is None else str(sender))).replace("\0", ""),
        item.message_id.replace("\0", ""),
        item.size,
        False,
    )


# ---- sessions without a mail ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FoundSession:
    """What was recorded of a connection and of no mail."""

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


_SESSIONS = (
    sa.select(event)
    .where(event.c.mail_id.is_(None), event.c.at_ms >= sa.bindparam("since_ms_"))
    .order_by(event.c.at_ms.desc(), event.c.id.desc())
    .limit(sa.bindparam("limit_"))
)
