"""Units of work on messages: put, expunge.

The others are in ``store.mail.flag_changes`` and ``store.mail.message_copies``.

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

from collections.abc import Sequence
from enum import Enum

from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId, MailId, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.batch import require_space, time_of
from zajil.store.engine.rows import each_among, execute_text, mark_of
from zajil.store.mail.append import Append, Appended, append_messages
from zajil.store.mail.blob_rows import release_blobs, write_blobs
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.deleted import count_deleted, keep_deleted, keeps_deleted
from zajil.store.mail.flags import FLAG_BITS, pack_flags
from zajil.store.mail.kept_blocks import forget_blocks
from zajil.store.mail.open_mailboxes import next_modseq, open_mailboxes
from zajil.store.mail.room import require_room

_DELETED = FLAG_BITS["\\Deleted"]


@value_class(frozen=True, slots=True)
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


@value_class(frozen=True, slots=True)
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
        found = _find(tx, item)
        keep = keeps_deleted(tx) and not item.for_good
        # Whose mailbox it is may take them back, whoever removed them.
        owner = boxes[item.account_id, item.mailbox_id].owner_id
        remove_messages(tx, item.mailbox_id, found, Fate.DELETED if keep else Fate.GONE, owner)
        removed.append(tuple([uid for uid, _ in found]))
    return removed


class Fate(Enum):
    """What becomes of messages that leave a mailbox."""

    DELETED = "deleted"
    """They can be taken back."""
    GONE = "gone"
    """Their blobs go as well, unless something else has them."""
    MOVED = "moved"
    """Copies of them have their blobs."""


def remove_messages(
    tx: Connection,
    mailbox_id: MailboxId,
    found: Sequence[tuple[Uid, int]],
    fate: Fate,
    owner_id: AccountId,
) -> None:
    """Remove messages that are there from a mailbox that is locked.

    Args:
        tx: the transaction.
        mailbox_id: the mailbox.
        found: UIDs and sizes, ascending.
        fate: what becomes of them.
        owner_id: whose mailbox it is.
    """
    if not found:
        return
    size = sum([size for _, size in found])
    modseq = next_modseq(tx, mailbox_id, messages=len(found), size=size)
    mark = mark_of(tx)
    for which, numbers in each_among(tx, "uid", [uid for uid, _ in found]):
        if fate is Fate.DELETED:
            keep_deleted(tx, mailbox_id, which, numbers)
        mine, chosen = f"mailbox_id = {mark} AND {which}", (mailbox_id, *numbers)
        # The names are constants.
        remember = (
            "INSERT INTO expunged (mailbox_id, modseq, uid, at_ms)"  # noqa: S608
            f" SELECT mailbox_id, {mark}, uid, {mark} FROM message WHERE {mine}"
        )
        execute_text(tx, remember, (modseq, time_of(tx), *chosen))
        remove = f"DELETE FROM message WHERE {mine}"  # noqa: S608
        if fate is Fate.GONE:
            gone = execute_text(tx, f"{remove} RETURNING blob_id", chosen)
            release_blobs(tx, [blob_id for (blob_id,) in gone])
        else:
            execute_text(tx, remove, chosen)
    forget_blocks(tx, mailbox_id, [uid for uid, _ in found])
    if fate is Fate.DELETED:
        count_deleted(tx, owner_id, len(found), size)


# ---- inside -------------------------------------------------------------------------------------


def _find(tx: Connection, item: ExpungeMessages) -> list[tuple[Uid, int]]:
    """Return UIDs and sizes of the messages that are to be removed, ascending."""
    # The names are constants.
    query = f"SELECT uid, size FROM message WHERE mailbox_id = {mark_of(tx)}"  # noqa: S608
    if item.deleted_only:
        query += f" AND flags & {_DELETED:d} <> 0"
    if item.uids is None:
        return list(execute_text(tx, f"{query} ORDER BY uid", (item.mailbox_id,)))
    found: list[tuple[Uid, int]] = []
    for which, numbers in each_among(tx, "uid", sorted(set(item.uids))):
        found += execute_text(tx, f"{query} AND {which} ORDER BY uid", (item.mailbox_id, *numbers))
    return found
