"""A mailbox as a list of conversations: one row for each thread, by its newest message.

A message without a thread (the indexer has not looked at it yet) is a conversation of its own.
All queries walk the index of ``message`` by mailbox and thread, so a page of a list costs what the
page holds, however large the mailbox is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId, ThreadId, Uid
from zajil.core.value_class import value_class
from zajil.message.header_view import Person
from zajil.message.summary import Summary
from zajil.store.engine.rows import execute_text, mark_of, marks_of, portions
from zajil.store.mail.flags import FLAG_BITS
from zajil.store.mail.messages import Message, get_messages
from zajil.store.mail.summaries import find_summaries
from zajil.store.schema import mailbox

MOST_NAMED = 20
"""Messages of one conversation whose authors are named, the newest ones."""
_UNSHOWN = ("trash", "junk")


@value_class(frozen=True, slots=True)
class ConversationFacts:
    """What a row of the list says of all messages of a conversation."""

    count: int
    """Messages in all mailboxes that count (``find_facts``); copies count once."""
    unseen: int
    """Of those in the mailbox that is listed."""
    is_flagged: bool
    """Whether one in the mailbox that is listed is flagged."""
    people: tuple[Person, ...]
    """Authors, in the order in which they wrote first, each once by address."""
    keywords: frozenset[str]
    """Of the messages in the mailbox that is listed, in lower case."""


def newest_conversations(
    conn: Connection,
    mailbox_id: MailboxId,
    limit: int,
    *,
    before: Uid | None = None,
    after: Uid | None = None,
) -> list[tuple[Message, Summary | None]]:
    """Return the newest message of each conversation of a mailbox, the newest first.

    Args:
        conn: a snapshot.
        mailbox_id: of a mailbox that the caller found under its account.
        limit: most that are returned.
        before: only those whose newest message has a smaller UID; ``None``: from the end.
        after: the oldest of those with a larger UID, instead of the newest.
    """
    mark = mark_of(conn)
    given: list[int] = [mailbox_id, mailbox_id]
    where, order = "", "DESC"
    if before is not None:
        where, given = f" AND message.uid < {mark}", [*given, before]
    if after is not None:
        where, order, given = f"{where} AND message.uid > {mark}", "ASC", [*given, after]
    # The names are constants.
    query = (
        f"SELECT uid FROM message WHERE mailbox_id = {mark} AND NOT EXISTS (SELECT 1"  # noqa: S608
        f" FROM message AS newer{by_thread(conn)} WHERE newer.mailbox_id = {mark}"
        " AND newer.thread_id = message.thread_id AND newer.uid > message.uid)"
        f"{where} ORDER BY uid {order} LIMIT {limit}"
    )
    uids = [Uid(uid) for (uid,) in execute_text(conn, query, given)]
    rows = get_messages(conn, mailbox_id, uids)[::-1]
    summaries = find_summaries(conn, [row.blob_id for row in rows])
    return [(row, summaries.get(row.blob_id)) for row in rows]


def count_conversations(conn: Connection, mailbox_id: MailboxId) -> int:
    """Count the conversations of a mailbox: goes through the whole index of it.

    Args:
        conn: a snapshot.
        mailbox_id: of a mailbox that the caller found under its account.
    """
    mark = mark_of(conn)
    # The names are constants.
    here = f"FROM message WHERE mailbox_id = {mark} AND thread_id"
    # A mailbox is large, and few of its messages wait.
    waiting = f"SELECT uid FROM message WHERE mailbox_id = {mark} AND indexed <> 1"  # noqa: S608
    query = (
        f"SELECT (SELECT count(*) FROM (SELECT DISTINCT thread_id {here} IS NOT NULL) AS known)"  # noqa: S608
        f" + (SELECT count(*) {here} IS NULL AND uid IN ({waiting}))"
    )
    ((count,),) = execute_text(conn, query, (mailbox_id, mailbox_id, mailbox_id))
    return int(count)


def find_facts(
    conn: Connection,
    account_id: AccountId | None,
    mailbox_id: MailboxId,
    thread_ids: Sequence[ThreadId],
) -> dict[ThreadId, ConversationFacts]:
    """Return what is to be said of conversations.

    Args:
        conn: a snapshot.
        account_id: whose mailboxes are looked through, but Trash and Junk; ``None``: only the one
            that is listed is.
        mailbox_id: the mailbox that is listed; the caller may read it, whatever it is.
        thread_ids: of conversations with a message in it.
    """
    counted = [] if account_id is None else _counted_boxes(conn, account_id)
    boxes = sorted({*counted, mailbox_id})
    counts = _count_messages(conn, boxes, thread_ids)
    here = _count_here(conn, mailbox_id, thread_ids)
    people = _find_people(conn, boxes, thread_ids)
    return {
        one: ConversationFacts(
            counts.get(one, 0),
            here[one][0],
            here[one][1],
            tuple(people.get(one, ())),
            here[one][2],
        )
        for one in thread_ids
        if one in here
    }


def expand_conversations(
    conn: Connection, mailbox_id: MailboxId, uids: Sequence[Uid]
) -> tuple[Uid, ...]:
    """Return the messages of the conversations that some messages belong to, ascending.

    Only those in the same mailbox that are not newer than the one that is named: what came since
    was not seen by whoever named it.
    """
    mark = mark_of(conn)
    found = set(uids)
    for some in portions(sorted(found)):
        # The names are constants.
        query = (
            "SELECT DISTINCT other.uid FROM message AS named JOIN message AS other"  # noqa: S608
            f"{by_thread(conn)} ON other.mailbox_id = named.mailbox_id"
            " AND other.thread_id = named.thread_id"
            f" AND other.uid < named.uid WHERE named.mailbox_id = {mark}"
            f" AND named.uid IN {marks_of(conn, some)}"
        )
        found.update(Uid(uid) for (uid,) in execute_text(conn, query, (mailbox_id, *some)))
    return tuple(sorted(found))


def by_thread(conn: Connection) -> str:
    """Return what makes SQLite find rows of ``message`` by mailbox and thread.

    Without it the planner goes through the mailbox: it does not know how few a thread has.
    """
    return " INDEXED BY ix_message_thread" if conn.dialect.name == "sqlite" else ""


# ---- inside -------------------------------------------------------------------------------------


def _counted_boxes(conn: Connection, account_id: AccountId) -> list[MailboxId]:
    query = sa.select(mailbox.c.id).where(
        mailbox.c.account_id == account_id,
        sa.or_(mailbox.c.role.is_(None), mailbox.c.role.not_in(_UNSHOWN)),
    )
    return list(conn.scalars(query))


def _from(
    conn: Connection, boxes: Sequence[MailboxId], thread_ids: Sequence[ThreadId]
) -> tuple[str, tuple[int | str, ...]]:
    text = (
        f"FROM message{by_thread(conn)} WHERE mailbox_id IN {marks_of(conn, boxes)}"
        f" AND thread_id IN {marks_of(conn, thread_ids)}"
    )
    return text, (*boxes, *thread_ids)


def _count_messages(
    conn: Connection, boxes: Sequence[MailboxId], thread_ids: Sequence[ThreadId]
) -> dict[ThreadId, int]:
    found: dict[ThreadId, int] = defaultdict(int)
    for some in portions(boxes):
        source, given = _from(conn, some, thread_ids)
        query = f"SELECT thread_id, count(DISTINCT blob_id) {source} GROUP BY thread_id"
        for thread_id, count in execute_text(conn, query, given):
            found[ThreadId(thread_id)] += count
    return found


def _count_here(
    conn: Connection, mailbox_id: MailboxId, thread_ids: Sequence[ThreadId]
) -> dict[ThreadId, tuple[int, bool, frozenset[str]]]:
    """Return how many are unread, whether one is flagged, and the keywords."""
    source, given = _from(conn, [mailbox_id], thread_ids)
    query = (
        f"SELECT thread_id, flags, keywords, count(*) {source} GROUP BY thread_id, flags, keywords"
    )
    found: dict[ThreadId, tuple[int, bool, frozenset[str]]] = {}
    for name, flags, keywords, count in execute_text(conn, query, given):
        thread_id = ThreadId(name)
        unseen, is_flagged, words = found.get(thread_id, (0, False, frozenset()))
        found[thread_id] = (
            unseen + (0 if flags & FLAG_BITS["\\Seen"] else count),
            is_flagged or bool(flags & FLAG_BITS["\\Flagged"]),
            words | frozenset(keywords.lower().split()),
        )
    return found


def _find_people(
    conn: Connection, boxes: Sequence[MailboxId], thread_ids: Sequence[ThreadId]
) -> dict[ThreadId, list[Person]]:
    newest: dict[ThreadId, list[tuple[int, BlobId]]] = defaultdict(list)
    for some in portions(boxes):
        source, given = _from(conn, some, thread_ids)
        query = (
            "SELECT message.thread_id, message.received_at_ms, message.blob_id FROM (SELECT"  # noqa: S608
            " mailbox_id, uid, row_number() OVER (PARTITION BY mailbox_id, thread_id"
            f" ORDER BY uid DESC) AS number {source}) AS ranked JOIN message"
            " ON message.mailbox_id = ranked.mailbox_id AND message.uid = ranked.uid"
            f" WHERE number <= {MOST_NAMED}"
        )
        for thread_id, at_ms, blob_id in execute_text(conn, query, given):
            newest[ThreadId(thread_id)].append((at_ms, BlobId(blob_id)))
    named = {one: sorted(set(places))[-MOST_NAMED:] for one, places in newest.items()}
    blobs = {blob_id for places in named.values() for _, blob_id in places}
    summaries = find_summaries(conn, sorted(blobs))
    people: dict[ThreadId, list[Person]] = {}
    for thread_id, places in named.items():
        once: dict[str, Person] = {}
        for _, blob_id in places:
            for one in summaries[blob_id].senders if blob_id in summaries else ():
                once.setdefault(one.address.casefold(), one)
        people[thread_id] = list(once.values())
    return people
