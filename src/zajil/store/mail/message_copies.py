"""Units of work that copy and move messages: their rows stay in the database.

The laws are those of ``store.mail.message_changes``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId, ModSeq, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.batch import NEW_MESSAGES, mailbox_topic, require_space, time_of, touch
from zajil.store.engine.rows import each_among, execute_text, mark_of, marks_of, replaced
from zajil.store.feedback.feedback import said_by_move
from zajil.store.feedback.training_queue import record_feedback
from zajil.store.mail.access import OWNER
from zajil.store.mail.append import Appended, take_places
from zajil.store.mail.blob_rows import keep_blobs
from zajil.store.mail.flag_changes import TEXTS
from zajil.store.mail.flags import pack_flags, unpack_flags
from zajil.store.mail.message_changes import Fate, remove_messages
from zajil.store.mail.open_mailboxes import OpenMailbox, open_mailboxes
from zajil.store.mail.origins import REMEMBERING
from zajil.store.mail.room import require_room


@value_class(frozen=True, slots=True)
class CopyMessages:
    """What ``copy_messages`` and ``move_messages`` take."""

    account_id: AccountId
    mailbox_id: MailboxId
    uids: tuple[Uid, ...]
    target_id: MailboxId
    teaches: bool = True
    """Whether it says something to the filter of the account (``core.feedback``)."""
    is_undo: bool = False
    """It takes a move back, and what that move said."""


@value_class(frozen=True, slots=True)
class Copied:
    """Where the copies lie: what COPYUID says. (RFC 4315 section 3)"""

    uid_validity: int
    """Of the target."""
    sources: array[int]
    """UIDs of what was copied, ascending."""
    first: Uid
    """UID of the first copy; the others follow one by one."""

    @property
    def targets(self) -> range:
        """UIDs of the copies."""
        return range(self.first, self.first + len(self.sources))

    @property
    def uids(self) -> tuple[tuple[Uid, Uid], ...]:
        """Pairs of source and target, ascending by both."""
        pairs = zip(map(Uid, self.sources), map(Uid, self.targets), strict=True)
        return tuple(pairs)


def copy_messages(tx: Connection, items: Sequence[CopyMessages]) -> list[Copied]:
    """Copy messages with flags and INTERNALDATE; those that are gone are passed over.

    Unit of work: not idempotent; locks both mailboxes; touches the target's topic.

    Raises:
        NoSuchMailbox: one of the two is gone, or the account may not do this with it.
        NoSuchBlob: the bytes of a message are gone.
        StoreFull: less space is free than the reserve.
        OverQuota: the account would have more than it may.
    """
    require_space(tx)
    boxes = open_mailboxes(tx, _both(items, "r"))
    copied = [_copy(tx, item, _find(tx, item), boxes) for item in items]
    require_room(tx, [item.target_id for item in items])
    return copied


def move_messages(tx: Connection, items: Sequence[CopyMessages]) -> list[Copied]:
    """Copy messages and expunge the originals, in one commit. (RFC 6851 section 3.3)

    Unit of work: not idempotent; locks both mailboxes; touches both topics. Space is not asked
    for: moving to the trash is how people make some.

    Raises:
        NoSuchMailbox: one of the two is gone, or the account may not do this with it.
        NoSuchBlob: the bytes of a message are gone.
    """
    # RFC 6851 section 4.2: what COPY, STORE of \\Deleted and EXPUNGE require.
    boxes = open_mailboxes(tx, _both(items, "rte"))
    results = []
    for item in items:
        found = _find(tx, item)
        results.append(_copy(tx, item, found, boxes))
        owner_id = boxes[item.account_id, item.mailbox_id].owner_id
        left = [(uid, size) for uid, size, _ in found]
        remove_messages(tx, item.mailbox_id, left, Fate.MOVED, owner_id)
    return results


# ---- inside -------------------------------------------------------------------------------------

_Found: TypeAlias = Sequence[tuple[Uid, int, BlobId]]
"""UID, size and blob of messages, ascending."""


def _both(
    items: Sequence[CopyMessages], of_source: str
) -> Iterator[tuple[AccountId, MailboxId, str]]:
    for item in items:
        yield item.account_id, item.mailbox_id, of_source
        yield item.account_id, item.target_id, "i"


def _find(tx: Connection, item: CopyMessages) -> _Found:
    found: list[tuple[Uid, int, BlobId]] = []
    # The names are constants.
    query = f"SELECT uid, size, blob_id FROM message WHERE mailbox_id = {mark_of(tx)}"  # noqa: S608
    for which, numbers in each_among(tx, "uid", sorted(set(item.uids))):
        found += execute_text(tx, f"{query} AND {which} ORDER BY uid", (item.mailbox_id, *numbers))
    return found


def _copy(
    tx: Connection,
    item: CopyMessages,
    found: _Found,
    boxes: dict[tuple[AccountId, MailboxId], OpenMailbox],
) -> Copied:
    source, target = (boxes[item.account_id, one] for one in (item.mailbox_id, item.target_id))
    uids = array("I", [uid for uid, _, _ in found])
    if not found:
        return Copied(target.uid_validity, uids, Uid(0))
    if tx.dialect.name == "postgresql":
        # SQLite has one writer: what a message refers to is there until this transaction ends.
        keep_blobs(tx, [blob_id for _, _, blob_id in found])
    size = sum([size for _, size, _ in found])
    first = take_places(tx, [(item.target_id, len(found), size)])[item.target_id]
    # Threads and the index of words belong to one account.
    kept = "thread_id, indexed" if source.owner_id == target.owner_id else "NULL, 0"
    is_remembered = target.role in REMEMBERING and source.owner_id == target.owner_id
    origin = item.mailbox_id if is_remembered else None
    for which, numbers in each_among(tx, "uid", uids):
        chosen = _Chosen(f"mailbox_id = {mark_of(tx)} AND {which}", (item.mailbox_id, *numbers))
        before = bisect_left(uids, numbers[0])
        place = Appended(Uid(first.uid + before), ModSeq(first.modseq + before))
        for flags in _flags_there(tx, chosen, target):
            _insert(tx, chosen, flags, kept, (item.target_id, origin), place)
    touch(tx, NEW_MESSAGES, mailbox_topic(item.target_id))
    if item.teaches and source.owner_id == target.owner_id == item.account_id:
        roles = source.role, target.role
        said = said_by_move(tx, item.account_id, roles, item.mailbox_id, uids, is_undo=item.is_undo)
        record_feedback(tx, said)
    return Copied(target.uid_validity, uids, first.uid)


@value_class(frozen=True, slots=True)
class _Chosen:
    """A condition on table ``message``, and its parameters."""

    text: str
    parameters: Sequence[Any]


@value_class(frozen=True, slots=True)
class _Flags:
    """Flags of copies: expressions with their parameters, and of which messages."""

    bits: tuple[str, Sequence[Any]] = ("flags", ())
    keywords: tuple[str, Sequence[Any]] = ("keywords", ())
    of: _Chosen = _Chosen("TRUE", ())


def _flags_there(tx: Connection, chosen: _Chosen, target: OpenMailbox) -> Iterator[_Flags]:
    """Yield the flags that copies of the chosen messages get: those that the account may set."""
    if target.rights == OWNER:
        yield _Flags()
        return
    # The names are constants.
    query = f"SELECT DISTINCT flags, keywords FROM message WHERE {chosen.text}"  # noqa: S608
    pairs = execute_text(tx, query, chosen.parameters)
    texts = sorted({keywords for _, keywords in pairs})
    for start in range(0, len(texts), TEXTS):
        some = texts[start : start + TEXTS]
        after = {
            pair: pack_flags(target.settable(unpack_flags(*pair)))
            for pair in pairs
            if pair[1] in some
        }
        yield _Flags(
            replaced(tx, "flags", {pair[0]: new[0] for pair, new in after.items()}),
            replaced(tx, "keywords", {pair[1]: new[1] for pair, new in after.items()}),
            _Chosen(f"keywords IN {marks_of(tx, some)}", some),
        )


def _insert(
    tx: Connection,
    chosen: _Chosen,
    flags: _Flags,
    kept: str,
    target: tuple[MailboxId, MailboxId | None],
    place: Appended,
) -> None:
    """Copy rows of chosen messages, the first of them to a place.

    ``target`` is the mailbox, and the one that the copies remember as their origin.
    """
    (bits, of_bits), (keywords, of_keywords) = flags.bits, flags.keywords
    mark, origin = mark_of(tx), "NULL" if target[1] is None else str(int(target[1]))
    execute_text(
        tx,
        # The names are constants. The numbers count all that were chosen, whatever their flags.
        "INSERT INTO message (mailbox_id, uid, modseq, saved_at_ms, flags, keywords,"  # noqa: S608
        " received_at_ms, size, blob_id, mail_id, prefix, thread_id, indexed, origin_id)"
        f" SELECT {mark}, {mark} + number, {mark} + number, {mark}, {bits}, {keywords},"
        f" received_at_ms, size, blob_id, mail_id, prefix, {kept}, {origin}"
        " FROM (SELECT message.*, row_number() OVER (ORDER BY uid) - 1 AS number"
        f" FROM message WHERE {chosen.text}) AS chosen WHERE {flags.of.text}",
        (
            *(target[0], place.uid, place.modseq, time_of(tx)),
            *(*of_bits, *of_keywords, *chosen.parameters, *flags.of.parameters),
        ),
    )
