"""Put messages at the end of mailboxes: for new mail and APPEND; places for COPY and MOVE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count as count_from

from sqlalchemy.engine import Connection

from zajil.core.errors import NotFound
from zajil.core.ids import BlobId, MailboxId, MailId, ModSeq, ThreadId, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.batch import NEW_MESSAGES, mailbox_topic, touch
from zajil.store.engine.rows import execute_text, insert_rows, number_array, values
from zajil.store.schema import message


class NoSuchMailbox(NotFound):
    """The mailbox was deleted between routing and delivery; route again."""


@value_class(frozen=True, slots=True, kw_only=True)
class Append:
    """One message for one mailbox."""

    mailbox_id: MailboxId
    blob_id: BlobId
    """Written in this transaction, or held by ``blobs.keep_blobs``."""
    size: int
    """Prefix and blob together, in bytes."""
    received_at_ms: int
    """INTERNALDATE."""
    flags: int = 0
    """Bits of ``store.mail.flags``."""
    keywords: str = ""
    mail_id: MailId | None = None
    """``None``: it did not come by mail, a client put it there."""
    prefix: str = ""
    """Header fields in front of the blob, each with its CRLF."""
    thread_id: ThreadId | None = None
    """``None``: the indexer finds one."""
    indexed: int = 0
    """``store.mail.text_index.Indexed``."""
    saved_at_ms: int | None = None
    """SAVEDATE (RFC 8514 section 3); ``None``: ``received_at_ms``."""


@value_class(frozen=True, slots=True)
class Appended:
    """The place a message got."""

    uid: Uid
    """RFC 9051 section 2.3.1.1: never reused within one UIDVALIDITY."""
    modseq: ModSeq
    """RFC 7162 section 3.1: larger than any MODSEQ of the mailbox before."""


_COLUMNS = (
    message.c.mailbox_id,
    message.c.uid,
    message.c.modseq,
    message.c.flags,
    message.c.keywords,
    message.c.received_at_ms,
    message.c.size,
    message.c.blob_id,
    message.c.mail_id,
    message.c.prefix,
    message.c.thread_id,
    message.c.indexed,
    message.c.saved_at_ms,
)


def append_messages(tx: Connection, appends: Sequence[Append]) -> list[Appended]:
    """Put each message at the end of its mailbox.

    Unit of work: not idempotent; locks the mailboxes in the order of their ids until the commit;
    touches their topics.

    Returns:
        One result per item, in the order of the items.

    Raises:
        NoSuchMailbox: nothing of this batch will be committed.
    """
    if not appends:
        return []
    taken = _take_uids(tx, appends)
    results = [next(taken[append.mailbox_id]) for append in appends]
    insert_rows(
        tx,
        _COLUMNS,
        [
            (
                append.mailbox_id,
                result.uid,
                result.modseq,
                append.flags,
                append.keywords,
                append.received_at_ms,
                append.size,
                append.blob_id,
                append.mail_id,
                append.prefix,
                append.thread_id,
                append.indexed,
                append.saved_at_ms,
            )
            for append, result in zip(appends, results, strict=True)
        ],
    )
    touch(tx, NEW_MESSAGES, *map(mailbox_topic, taken))
    return results


def lock_mailboxes(tx: Connection, mailbox_ids: Sequence[MailboxId]) -> None:
    """Lock mailbox rows until the commit, in the one order that cannot deadlock.

    Every unit that gives a mailbox a new MODSEQ locks it first, so nobody sees UID 6 before UID 5.
    SQLite has one writer at a time, and nothing to lock.
    """
    if tx.dialect.name == "postgresql":
        lock = "SELECT id FROM mailbox WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE"
        execute_text(tx, lock, (number_array(mailbox_ids),))


def _take_uids(tx: Connection, appends: Sequence[Append]) -> dict[MailboxId, Iterator[Appended]]:
    """Give each mailbox the UIDs that it needs, and count what it gets."""
    counts: Counter[MailboxId] = Counter()
    sizes: Counter[MailboxId] = Counter()
    for append in appends:
        counts[append.mailbox_id] += 1
        sizes[append.mailbox_id] += append.size
    taken: dict[MailboxId, Iterator[Appended]] = {}
    needs = [(mailbox_id, count, sizes[mailbox_id]) for mailbox_id, count in counts.items()]
    for mailbox_id, first in take_places(tx, needs).items():
        uids, modseqs = map(Uid, count_from(first.uid)), map(ModSeq, count_from(first.modseq))
        taken[mailbox_id] = map(Appended, uids, modseqs)
    return taken


def take_places(
    tx: Connection, needs: Sequence[tuple[MailboxId, int, int]]
) -> dict[MailboxId, Appended]:
    """Take places at the end of mailboxes, and count what comes there.

    Locks the mailboxes, as ``lock_mailboxes`` does.

    Args:
        tx: the transaction.
        needs: each mailbox once, with the number of messages and their bytes.

    Returns:
        The first place in each; UIDs and MODSEQs of the others follow one by one.

    Raises:
        NoSuchMailbox: one of them is gone.
    """
    counts = {mailbox_id: count for mailbox_id, count, _ in needs}
    if tx.dialect.name == "postgresql":
        ids, numbers, sizes = map(number_array, zip(*needs, strict=True))
        rows = execute_text(tx, _TAKE_LOCKED, (ids, ids, numbers, sizes))
    else:
        wanted, parameters = values(tx, needs)
        rows = execute_text(tx, _TAKE.format(f"({wanted}) AS wanted"), parameters)
    taken: dict[MailboxId, Appended] = {}
    for mailbox_id, uid_next, modseq in rows:
        count = counts[mailbox_id]
        taken[mailbox_id] = Appended(Uid(uid_next - count), ModSeq(modseq - count + 1))
    for mailbox_id in counts:
        if mailbox_id not in taken:
            raise NoSuchMailbox(mailbox_id)
    return taken


# One statement for all mailboxes. A row is locked before it is changed, in the order of the ids.
_TAKE = (
    "UPDATE mailbox SET uid_next = uid_next + wanted.column2,"
    " modseq = modseq + wanted.column2, messages = messages + wanted.column2,"
    " size = size + wanted.column3 FROM {}"
    " WHERE mailbox.id = wanted.column1 RETURNING mailbox.id, uid_next, modseq"
)
_LOCKED = (
    "WITH locked AS (SELECT id AS locked_id FROM mailbox WHERE id = ANY(%s::bigint[])"
    " ORDER BY id FOR UPDATE)"
)
_WANTED = (
    "locked JOIN unnest(%s::bigint[], %s::bigint[], %s::bigint[])"
    " AS wanted(column1, column2, column3) ON locked_id = column1"
)
_TAKE_LOCKED = f"{_LOCKED} {_TAKE.format(_WANTED)}"
