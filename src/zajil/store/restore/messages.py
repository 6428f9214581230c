"""Put messages of a backup back into mailboxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId, MailId, ThreadId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import require_space, time_of
from zajil.store.engine.rows import AT_ONCE, insert_rows, portions
from zajil.store.mail.append import Append, append_messages
from zajil.store.mail.blob_rows import keep_blobs, write_blobs
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.deleted import Chosen, take_deleted
from zajil.store.mail.flags import FLAG_BITS
from zajil.store.mail.room import require_room
from zajil.store.people.push_subscriptions import skip_push
from zajil.store.restore.plan import missing_blobs
from zajil.store.restore.source import AccountSource, Choice, blobs_of, messages_with
from zajil.store.schema import blob, deleted_message, thread_link

BATCH_MESSAGES = 200
"""Messages of one commit."""
BATCH_BYTES = 8 << 20
"""A commit has no more bytes, but for a message that is larger."""


@value_class(frozen=True, slots=True)
class RestoreMessages:
    """What ``restore_messages`` takes: all copies of some blobs."""

    account_id: AccountId
    """Whose they become."""
    rows: tuple[Any, ...]
    """Of table ``message`` in the backup."""
    places: Mapping[MailboxId, MailboxId]
    """Mailboxes of the backup to those of the store."""
    staged: tuple[StagedBlob, ...]
    """Blobs that the store did not have."""
    links: tuple[tuple[int, str], ...] = ()
    """Key and thread of what connects the messages with others (``store.mail.threads``)."""
    ignores_quota: bool = False


def restore_messages(tx: Connection, items: Sequence[RestoreMessages]) -> list[int]:
    """Put messages at the end of mailboxes, as new messages with their flags and dates.

    Those whose blob the account has meanwhile are left out. ``\\Deleted`` is taken off. No browser
    is told of them. What was kept of them as deleted is forgotten.

    Unit of work: idempotent; locks the mailboxes and the account; touches the mailboxes' topics.

    Returns:
        How many messages each item put back.

    Raises:
        NoSuchBlob: a blob that was there is gone: stage it, and try again.
        NoSuchMailbox: a mailbox was removed meanwhile.
        OverQuota: the account has no room for them.
        ReserveReached: the disk is nearly full.
    """
    return [_restore(tx, item) for item in items]


def _restore(tx: Connection, item: RestoreMessages) -> int:
    require_space(tx)
    missing = set(missing_blobs(tx, item.account_id, [row.blob_id for row in item.rows]))
    rows = [row for row in item.rows if row.blob_id in missing]
    if not rows:
        return 0
    there = present_blobs(tx, missing)
    new = [one for one in item.staged if one.blob_id in missing and one.blob_id not in there]
    write_blobs(tx, new)
    keep_blobs(tx, missing)
    appends = [_append(tx, row, item.places) for row in rows]
    placed = append_messages(tx, appends)
    uids: dict[MailboxId, list[int]] = {}
    for one, at in zip(appends, placed, strict=True):
        uids.setdefault(one.mailbox_id, []).append(at.uid)
    for mailbox_id, given in uids.items():
        skip_push(tx, mailbox_id, given[0], given[-1] + 1)
    _forget_deleted(tx, item.account_id, missing)
    if not item.ignores_quota:
        require_room(tx, [one.mailbox_id for one in appends])
    columns = (thread_link.c.account_id, thread_link.c.key, thread_link.c.thread_id)
    links = [(item.account_id, key, thread) for key, thread in item.links]
    insert_rows(tx, columns, links, keep_old=True)
    return len(rows)


def _forget_deleted(tx: Connection, account_id: AccountId, blob_ids: set[BlobId]) -> None:
    """Remove restored messages from those that can be taken back: that would double them."""
    for some in portions(sorted(blob_ids)):
        kept = sa.select(deleted_message.c.id).where(
            deleted_message.c.account_id == account_id, deleted_message.c.blob_id.in_(some)
        )
        ids = tuple(tx.scalars(kept))
        if ids:
            take_deleted(tx, Chosen(account_id, ids), release=False)


def _append(tx: Connection, row: Any, places: Mapping[MailboxId, MailboxId]) -> Append:
    return Append(
        mailbox_id=places[row.mailbox_id],
        blob_id=BlobId(row.blob_id),
        size=row.size,
        received_at_ms=row.received_at_ms,
        flags=row.flags & ~FLAG_BITS["\\Deleted"],
        keywords=row.keywords,
        mail_id=None if row.mail_id is None else MailId(row.mail_id),
        prefix=row.prefix,
        thread_id=None if row.thread_id is None else ThreadId(row.thread_id),
        saved_at_ms=time_of(tx),
    )


def present_blobs(conn: Connection, blob_ids: set[BlobId]) -> set[BlobId]:
    """Return those of the blobs that the store has."""
    found: set[BlobId] = set()
    for some in portions(sorted(blob_ids)):
        there = conn.scalars(sa.select(blob.c.id).where(blob.c.id.in_(some)))
        found.update(map(BlobId, there))
    return found


def missing_batches(
    source: AccountSource,
    mailbox_ids: Sequence[MailboxId],
    choice: Choice,
    find_missing: Callable[[Sequence[BlobId]], list[BlobId]],
) -> Iterator[list[Any]]:
    """Yield what is missing, in portions for one commit each: rows of table ``message``.

    All copies of a message are in one portion: after a crash, a message that is there has all its
    copies.

    Args:
        source: the account in the backup.
        mailbox_ids: of the backup.
        choice: which messages are meant.
        find_missing: returns those of some blobs that the account does not have.
    """
    done: set[BlobId] = set()
    batch: list[Any] = []
    size = 0
    for mailbox_id in mailbox_ids:
        for portion in blobs_of(source, mailbox_id, choice, AT_ONCE):
            missing = [
                one for one in find_missing([row.blob_id for row in portion]) if one not in done
            ]
            done.update(missing)
            copies: dict[str, list[Any]] = {}
            for row in messages_with(source, list(mailbox_ids), choice, missing):
                copies.setdefault(row.blob_id, []).append(row)
            for blob_id in missing:
                group = copies[blob_id]
                if batch and (len(batch) >= BATCH_MESSAGES or size + group[0].size > BATCH_BYTES):
                    yield batch
                    batch, size = [], 0
                batch += group
                size += group[0].size
    if batch:
        yield batch


def links_of(source: AccountSource, rows: Sequence[Any]) -> tuple[tuple[int, str], ...]:
    """Return what connects the threads of some messages with others, as the backup has it."""
    threads = {row.thread_id for row in rows if row.thread_id is not None}
    mine = sa.select(thread_link.c.key, thread_link.c.thread_id).where(
        thread_link.c.account_id == source.account_id, thread_link.c.thread_id.in_(threads)
    )
    return tuple((row.key, row.thread_id) for row in source.conn.execute(mine))
