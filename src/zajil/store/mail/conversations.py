"""The messages of one conversation, in all mailboxes of an account."""

from __future__ import annotations

from collections import defaultdict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId, ThreadId, Uid
from zajil.core.value_class import value_class
from zajil.message.summary import Summary
from zajil.store.engine.rows import execute_text, mark_of, marks_of, portions
from zajil.store.mail.conversation_list import by_thread
from zajil.store.mail.messages import Message, get_messages
from zajil.store.mail.summaries import find_summaries
from zajil.store.schema import mailbox

MOST_MESSAGES = 100
"""Of one conversation that are returned, the newest ones."""
_UNSHOWN = ("trash", "junk")


@value_class(frozen=True, slots=True)
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
        beside: a mailbox that the caller may read; it is not left out, whatever it is; of a message
            that lies in several, the copy in this one is returned.
    """
    boxes = sa.select(mailbox.c.id).where(
        mailbox.c.account_id == account_id,
        sa.or_(mailbox.c.role.is_(None), mailbox.c.role.not_in(_UNSHOWN)),
    )
    places: list[tuple[int, MailboxId, Uid]] = []
    for some in portions(sorted({*conn.scalars(boxes), beside})):
        # The names are constants.
        query = (
            f"SELECT received_at_ms, mailbox_id, uid FROM message{by_thread(conn)}"  # noqa: S608
            f" WHERE mailbox_id IN {marks_of(conn, some)} AND thread_id = {mark_of(conn)}"
            f" ORDER BY received_at_ms DESC, uid DESC LIMIT {MOST_MESSAGES}"
        )
        places += [tuple(row) for row in execute_text(conn, query, (*some, thread_id))]
    wanted: dict[MailboxId, list[Uid]] = defaultdict(list)
    for _, mailbox_id, uid in sorted(places, reverse=True)[:MOST_MESSAGES]:
        wanted[mailbox_id].append(uid)
    rows = [(box, row) for box, uids in wanted.items() for row in get_messages(conn, box, uids)]
    # A copy in the mailbox that is looked at stands for those elsewhere.
    rows.sort(key=lambda one: one[0] == beside)
    once = {one.blob_id: (place, one) for place, one in rows}
    summaries = find_summaries(conn, list(once))
    found = [
        ThreadMessage(place, one, summaries.get(blob_id)) for blob_id, (place, one) in once.items()
    ]
    return sorted(found, key=lambda one: (one.message.received_at_ms, one.message.uid))
