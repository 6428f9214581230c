"""Units of work on messages: put, copy, move, expunge. (Flags: ``store.mail.flag_changes``.)

Laws:
- Every item names the account that acts, and changes no mailbox of another one without a right of
  this account on it (``store.mail.access``). Flags that it may not change are left as they are.
- A change gives its mailbox one new MODSEQ, and what it changed the same one; the mailbox row is
  locked until the commit. What did not change keeps its MODSEQ.
- An expunged message leaves a row in ``expunged``, and can be taken back (``store.mail.deleted``).
- What is put or copied may not pass the quota of the account; what is moved may.
- What a change says of a mail (into Junk, out of it, answered) is noted in the same commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId, MailId, Uid
from zajil.store.engine.batch import require_space, time_of
from zajil.store.engine.rows import insert_rows, portions
from zajil.store.feedback.feedback import said_by_move
from zajil.store.feedback.training_queue import record_feedback
from zajil.store.mail.append import Append, Appended, append_messages
from zajil.store.mail.blobs import StagedBlob, keep_blobs, release_blobs, write_blobs
from zajil.store.mail.deleted import count_deleted, keep_deleted, keeps_deleted
from zajil.store.mail.flags import (
    pack_flags,
)
from zajil.store.mail.message_conditions import has_uid, is_deleted
from zajil.store.mail.messages import Message, get_messages
from zajil.store.mail.open_mailboxes import OpenMailbox, next_modseq, open_mailboxes
from zajil.store.mail.room import require_room
from zajil.store.schema import expunged, message


@dataclass(frozen=True, slots=True)
class PutMessage:
    """A message that a client brings (APPEND, the web's drafts and sent mail)."""

    account_id: AccountId
    mailbox_id: MailboxId
    content: StagedBlob
    flags: frozenset[str]
    received_at_ms: int
    """INTERNALDATE."""
    mail_id: MailId | None = None
    """Whose journey it shares: of a copy in Sent, the mail that went out."""


def put_messages(tx: Connection, items: Sequence[PutMessage]) -> list[Appended]:
    """Put messages at the end of their mailboxes.

    Unit of work: not idempotent; locks the mailboxes; touches their topics.

    Raises:
        NoSuchMailbox: it is gone, or the account may not do this with it.
        StoreFull: less space is free than the reserve.
        OverQuota: the account would have more than it may.
    """
    require_space(tx)
    boxes = open_mailboxes(tx, [(item.account_id, item.mailbox_id, "i") for item in items])
    write_blobs(tx, [item.content for item in items])
    appends = []
    for item in items:
        box = boxes[item.account_id, item.mailbox_id]
        bits, keywords = pack_flags(box.settable(item.flags))
        blob = item.content
        new = Append(
            mailbox_id=item.mailbox_id,
            blob_id=blob.blob_id,
            size=blob.size,
            received_at_ms=item.received_at_ms,
            flags=bits,
            keywords=keywords,
            mail_id=item.mail_id,
            saved_at_ms=time_of(tx),
        )
        appends.append(new)
    placed = append_messages(tx, appends)
    require_room(tx, [item.mailbox_id for item in items])
    return placed


@dataclass(frozen=True, slots=True)
class CopyMessages:
    """What ``copy_messages`` and ``move_messages`` take."""

    account_id: AccountId
    mailbox_id: MailboxId
    uids: tuple[Uid, ...]
    target_id: MailboxId


@dataclass(frozen=True, slots=True)
class Copied:
    """Where the copies lie: what COPYUID says. (RFC 4315 section 3)"""

    uid_validity: int
    """Of the target."""
    uids: tuple[tuple[Uid, Uid], ...]
    """Pairs of source and target, ascending by both."""


def copy_messages(tx: Connection, items: Sequence[CopyMessages]) -> list[Copied]:
    """Copy messages with flags and INTERNALDATE; those that are gone are passed over.

    Unit of work: not idempotent; locks both mailboxes; touches the target's topic.

    Raises:
        NoSuchMailbox: one of the two is gone, or the account may not do this with it.
        StoreFull: less space is free than the reserve.
        OverQuota: the account would have more than it may.
    """
    require_space(tx)
    boxes = open_mailboxes(tx, _both(items, "r"))
    copied = [
        _copy(tx, item, get_messages(tx, item.mailbox_id, item.uids), boxes) for item in items
    ]
    require_room(tx, [item.target_id for item in items])
    return copied


def move_messages(tx: Connection, items: Sequence[CopyMessages]) -> list[Copied]:
    """Copy messages and expunge the originals, in one commit. (RFC 6851 section 3.3)

    Unit of work: not idempotent; locks both mailboxes; touches both topics. Space is not asked
    for: moving to the trash is how people make some.

    Raises:
        NoSuchMailbox: one of the two is gone, or the account may not do this with it.
    """
    # RFC 6851 section 4.2: what COPY, STORE of \\Deleted and EXPUNGE require.
    boxes = open_mailboxes(tx, _both(items, "rte"))
    results = []
    for item in items:
        found = get_messages(tx, item.mailbox_id, item.uids)
        results.append(_copy(tx, item, found, boxes))
        _remove(tx, item.mailbox_id, [one.uid for one in found])
    return results


@dataclass(frozen=True, slots=True)
class ExpungeMessages:
    """What ``expunge_messages`` takes."""

    account_id: AccountId
    mailbox_id: MailboxId
    uids: tuple[Uid, ...] | None = None
    """Only these; ``None``: all."""
    deleted_only: bool = True
    """Only those with ``\\Deleted``."""
    for_good: bool = False
    """They cannot be taken back: nobody deleted them (a failed copy)."""
    right: str = "e"
    """What allows it: ``x`` before the mailbox is deleted, ``i`` to take copies back."""


def expunge_messages(tx: Connection, items: Sequence[ExpungeMessages]) -> list[tuple[Uid, ...]]:
    """Remove messages; ``store.mail.undelete`` takes them back.

    Unit of work: idempotent; locks the mailboxes; touches their topics.

    Returns:
        For each item what was removed, ascending.

    Raises:
        NoSuchMailbox: it is gone, or the account may not do this with it.
    """
    boxes = open_mailboxes(tx, [(item.account_id, item.mailbox_id, item.right) for item in items])
    removed = []
    for item in items:
        query = sa.select(message.c.uid).where(message.c.mailbox_id == item.mailbox_id)
        if item.deleted_only:
            query = query.where(is_deleted())
        chosen = (
            [query]
            if item.uids is None
            else [query.where(has_uid(some)) for some in portions(item.uids)]
        )
        removed.append(tuple([Uid(uid) for one in chosen for uid in sorted(tx.scalars(one))]))
        keep = keeps_deleted(tx) and not item.for_good
        # Whose mailbox it is may take them back, whoever removed them.
        owner = boxes[item.account_id, item.mailbox_id].owner_id
        _remove(tx, item.mailbox_id, removed[-1], keep_for=owner if keep else None)
    return removed


# ---- inside -------------------------------------------------------------------------------------


def _both(
    items: Sequence[CopyMessages], of_source: str
) -> Iterator[tuple[AccountId, MailboxId, str]]:
    for item in items:
        yield item.account_id, item.mailbox_id, of_source
        yield item.account_id, item.target_id, "i"


def _copy(
    tx: Connection,
    item: CopyMessages,
    found: Sequence[Message],
    boxes: dict[tuple[AccountId, MailboxId], OpenMailbox],
) -> Copied:
    source, target = (boxes[item.account_id, one] for one in (item.mailbox_id, item.target_id))
    for some in portions([one.blob_id for one in found]):
        keep_blobs(tx, some)
    # Threads and the index of words belong to one account.
    is_same = source.owner_id == target.owner_id
    packed = {flags: pack_flags(target.settable(flags)) for flags in {one.flags for one in found}}
    appends = []
    for one in found:
        bits, keywords = packed[one.flags]
        copy = Append(
            mailbox_id=item.target_id,
            blob_id=one.blob_id,
            size=one.size,
            received_at_ms=one.received_at_ms,
            flags=bits,
            keywords=keywords,
            mail_id=one.mail_id,
            prefix=one.prefix.decode("utf-8"),
            thread_id=one.thread_id if is_same else None,
            indexed=one.indexed if is_same else 0,
            saved_at_ms=time_of(tx),
        )
        appends.append(copy)
    placed = append_messages(tx, appends)
    pairs = zip([one.uid for one in found], [one.uid for one in placed], strict=True)
    if source.owner_id == target.owner_id == item.account_id:
        record_feedback(tx, said_by_move(item.account_id, source.role, target.role, found))
    return Copied(target.uid_validity, tuple(pairs))


def _remove(
    tx: Connection, mailbox_id: MailboxId, uids: Sequence[Uid], keep_for: AccountId | None = None
) -> None:
    """Remove messages; an account that is given may take them back."""
    if not uids:
        return
    messages = size = 0
    for portion in portions(uids):
        if keep_for is not None:
            keep_deleted(tx, mailbox_id, has_uid(portion))
        removed = sa.delete(message).where(message.c.mailbox_id == mailbox_id, has_uid(portion))
        gone = tx.execute(removed.returning(message.c.blob_id, message.c.size)).all()
        messages, size = messages + len(gone), size + sum([row.size for row in gone])
        if keep_for is None:
            release_blobs(tx, [row.blob_id for row in gone])
    modseq = next_modseq(tx, mailbox_id, messages=messages, size=size)
    if keep_for is not None:
        count_deleted(tx, keep_for, messages, size)
    at_ms, columns = time_of(tx), expunged.c
    rows = [(mailbox_id, modseq, uid, at_ms) for uid in uids]
    insert_rows(tx, (columns.mailbox_id, columns.modseq, columns.uid, columns.at_ms), rows)
