"""The messages of one conversation, in all mailboxes of an account."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId, ThreadId
from zajil.message.summary import Summary
from zajil.store.mail.messages import Message, read_message_row
from zajil.store.mail.summaries import find_summaries
from zajil.store.schema import mailbox, message

MOST_MESSAGES = 100
"""Of one conversation that are returned, the newest ones."""
_UNSHOWN = ("trash", "junk")


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """One message of a conversation."""

    mailbox_id: MailboxId
    message: Message
    summary: Summary | None
    """``None``: the indexer has not read it yet."""


def find_conversation(
    conn: Connection, account_id: AccountId, thread_id: ThreadId, beside: MailboxId
) -> list[ThreadMessage]:
    """Return the messages of a conversation, the oldest first, each once.

    Args:
        conn: a snapshot.
        account_id: whose mailboxes are searched; what lies in Trash and Junk is left out.
        thread_id: of the conversation.
        beside: a mailbox that is not left out, whatever it is; of a message that lies in several,
            the copy in this one is returned.
    """
    query = (
        sa.select(message)
        .join(mailbox, mailbox.c.id == message.c.mailbox_id)
        .where(
            mailbox.c.account_id == account_id,
            message.c.thread_id == thread_id,
            sa.or_(
                mailbox.c.role.is_(None),
                mailbox.c.role.not_in(_UNSHOWN),
                mailbox.c.id == beside,
            ),
        )
        .order_by(message.c.received_at_ms.desc(), message.c.uid.desc())
        .limit(MOST_MESSAGES)
    )
    rows = [(MailboxId(row.mailbox_id), read_message_row(row)) for row in conn.execute(query)]
    # A copy in the mailbox that is looked at stands for those elsewhere.
    rows.sort(key=lambda one: one[0] == beside)
    once = {one.blob_id: (place, one) for place, one in rows}
    summaries = find_summaries(conn, list(once))
    found = [
        ThreadMessage(place, one, summaries.get(blob_id)) for blob_id, (place, one) in once.items()
    ]
    return sorted(found, key=lambda one: (one.message.received_at_ms, one.message.uid))
