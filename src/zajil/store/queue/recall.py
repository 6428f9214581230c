"""Mail that its author takes back before it is released, or that waits for its time.

Laws:
- A mail is taken back whole or not at all: not after one of its recipients was tried.
- The copy of it in the mailbox of sent mail goes in the same commit.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import Refused
from zajil.core.ids import AccountId, MailboxId, MailId, Uid
from zajil.core.service import QUEUED, RecipientState
from zajil.core.value_class import value_class
from zajil.store.engine.batch import QUEUE, touch
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.queue.settlement import release_bodies
from zajil.store.schema import mail, mailbox, message, recipient, summary
from zajil.tracking.events import OperatorActed

RECALL = "recall"
"""Action of the event in the journey."""
_OVER = frozenset({RecipientState.DELIVERED, RecipientState.BOUNCED, RecipientState.EXPIRED})


class TooLate(Refused):
    """The mail is on its way, or was taken back already, or is another account's."""


@value_class(frozen=True, slots=True)
class Recall:
    """What ``recall_mails`` takes."""

    account_id: AccountId
    """Who sent it."""
    who: str
    """Login name, for the journey."""
    mail_id: MailId
    now_ms: int


@value_class(frozen=True, slots=True)
class SentCopy:
    """The author's own copy of a mail."""

    mailbox_id: MailboxId
    uid: Uid


@value_class(frozen=True, slots=True)
class ScheduledMail:
    """A mail that waits for the time that its author chose."""

    mail_id: MailId
    release_ms: int
    recipients: tuple[str, ...]
    """Wire forms."""
    subject: str
    """``""``: none, or its copy is gone."""


def recall_mails(tx: Connection, items: Sequence[Recall]) -> list[None]:
    """Take mails back: nobody gets them.

    Unit of work: not idempotent; locks the recipients and the mailbox of the copy; touches both.

    Raises:
        TooLate: a recipient was tried, or nobody waits for the mail.
    """
    for item in items:
        _recall(tx, item)
    return [None] * len(items)


def _recall(tx: Connection, item: Recall) -> None:
    # Security: only whoever sent it.
    of = sa.select(mail.c.id).where(mail.c.id == item.mail_id, mail.c.account_id == item.account_id)
    if tx.execute(of).one_or_none() is None:
        raise TooLate("no such message")
    query = (
        sa.select(
            recipient.c.address, recipient.c.state, recipient.c.tries, recipient.c.lease_token
        )
        .where(recipient.c.mail_id == item.mail_id)
        .order_by(recipient.c.position)
    )
    rows = tx.execute(query.with_for_update() if tx.dialect.name == "postgresql" else query).all()
    waiting = [row for row in rows if row.state in QUEUED]
    is_tried = any([row.tries or row.lease_token is not None for row in waiting])
    if not waiting or is_tried or any([row.state in _OVER for row in rows]):
        raise TooLate("the message is on its way")
    tx.execute(
        sa.update(recipient)
        .where(recipient.c.mail_id == item.mail_id, recipient.c.state.in_(QUEUED))
        .values(state=RecipientState.DISCARDED, reason="")
    )
    whom = tuple(sorted([row.address for row in waiting]))
    event = OperatorActed(item.now_ms, RECALL, item.who, "", whom)
    record_events(tx, [EventBatch(None, item.mail_id, item.now_ms, (event,))])
    copy = find_sent_copy(tx, item.account_id, item.mail_id)
    if copy is not None:
        gone = ExpungeMessages(
            item.account_id, copy.mailbox_id, (copy.uid,), deleted_only=False, for_good=True
        )
        expunge_messages(tx, [gone])
    release_bodies(tx, [item.mail_id])
    touch(tx, QUEUE)


def find_sent_copy(conn: Connection, account_id: AccountId, mail_id: MailId) -> SentCopy | None:
    """Return an author's own copy of a mail; ``None``: it was moved or deleted."""
    row = conn.execute(
        sa.select(message.c.mailbox_id, message.c.uid)
        .join(mailbox, mailbox.c.id == message.c.mailbox_id)
        .where(
            mailbox.c.account_id == account_id,
            mailbox.c.role == "sent",
            message.c.mail_id == mail_id,
        )
        .order_by(message.c.uid.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else SentCopy(MailboxId(row.mailbox_id), Uid(row.uid))


def list_scheduled(
    conn: Connection, account_id: AccountId, now_ms: int, limit: int
) -> list[ScheduledMail]:
    """Return the mails of an account that wait for their time, the soonest first."""
    rows = conn.execute(
        sa.select(recipient.c.mail_id, recipient.c.address, recipient.c.next_try_ms)
        .join(mail, mail.c.id == recipient.c.mail_id)
        .where(
            recipient.c.state == sa.literal_column("'waiting'"),
            recipient.c.next_try_ms > now_ms,
            recipient.c.tries == 0,
            recipient.c.lease_token.is_(None),
            mail.c.account_id == account_id,
        )
        .order_by(recipient.c.next_try_ms, recipient.c.mail_id, recipient.c.position)
        .limit(limit * 20)
    )
    found: dict[MailId, tuple[int, list[str]]] = {}
    for row in rows:
        found.setdefault(MailId(row.mail_id), (row.next_try_ms, []))[1].append(row.address)
    ids = list(found)[:limit]
    subjects = _subjects(conn, account_id, ids)
    return [
        ScheduledMail(one, found[one][0], tuple(found[one][1]), subjects.get(one, ""))
        for one in ids
    ]


def _subjects(conn: Connection, account_id: AccountId, ids: Sequence[MailId]) -> dict[MailId, str]:
    rows = conn.execute(
        sa.select(message.c.mail_id, summary.c.subject)
        .join(mailbox, mailbox.c.id == message.c.mailbox_id)
        .join(summary, summary.c.blob_id == message.c.blob_id)
        .where(
            mailbox.c.account_id == account_id,
            mailbox.c.role == "sent",
            message.c.mail_id.in_(ids),
        )
    )
    return {MailId(row.mail_id): row.subject for row in rows}
