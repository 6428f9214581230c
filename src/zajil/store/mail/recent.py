r"""Which messages of a mailbox are recent. (RFC 3501 section 2.3.2)

Law: ``mailbox.recent_from`` is the first UID that was told to no session which may change the
mailbox. Such a session takes what is between that mark and the UIDs it knows, and moves the mark,
so that ``\Recent`` is shown by one session for one message. The mark is no change that anybody is
told of: no MODSEQ, no topic.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.core.value_class import value_class
from zajil.store.mail.append import lock_mailboxes
from zajil.store.schema import mailbox, message

_AT_ONCE = 1000
"""Rows named in one statement: below SQLite's 32,766 parameters."""


@value_class(frozen=True, slots=True)
class TakeRecent:
    """What ``take_recent`` takes."""

    account_id: AccountId
    mailbox_id: MailboxId
    until: Uid
    """The first UID that the session does not know yet."""


def take_recent(tx: Connection, items: Sequence[TakeRecent]) -> list[Uid]:
    """Take the messages that are recent to nobody yet.

    Unit of work: idempotent, but what it gave is gone if its answer is lost; locks the mailboxes;
    touches nothing.

    Returns:
        For each item the first UID that is recent to it; ``until`` where none is, or where the
        mailbox is gone.
    """
    lock_mailboxes(tx, sorted({item.mailbox_id for item in items}))
    taken: list[Uid] = []
    for item in items:
        mine = (mailbox.c.id == item.mailbox_id, mailbox.c.account_id == item.account_id)
        mark = tx.scalar(sa.select(mailbox.c.recent_from).where(*mine))
        if mark is None or mark >= item.until:
            taken.append(item.until)
            continue
        tx.execute(sa.update(mailbox).where(*mine).values(recent_from=item.until))
        taken.append(Uid(mark))
    return taken


def count_recent(conn: Connection, mailbox_ids: Sequence[MailboxId]) -> dict[MailboxId, int]:
    """Count the messages that are recent to nobody yet; every id asked for has an answer."""
    counts = dict.fromkeys(mailbox_ids, 0)
    for start in range(0, len(mailbox_ids), _AT_ONCE):
        query = (
            sa.select(message.c.mailbox_id, sa.func.count())
            .join(mailbox, mailbox.c.id == message.c.mailbox_id)
            .where(mailbox.c.id.in_(mailbox_ids[start : start + _AT_ONCE]))
            .where(message.c.uid >= mailbox.c.recent_from)
            .group_by(message.c.mailbox_id)
        )
        counts |= {mailbox_id: count for mailbox_id, count in conn.execute(query)}
    return counts
