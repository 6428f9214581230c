"""Messages of a mailbox: read them, and follow their changes.

The units that change them are in ``message_changes``.

Laws:
- What a reader sees as the message is ``prefix`` + blob, byte for byte.
- Who follows a mailbox remembers one MODSEQ: every change has a larger one, in the order of
  commits (the mailbox row is locked while it is given).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId, MailId, ModSeq, ThreadId, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.rows import execute_text, mark_of
from zajil.store.mail.access import readable
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.mail.blobs import Blobs
from zajil.store.mail.flags import unpack_flags
from zajil.store.schema import expunged, mailbox, message

CHANGES = 1000
"""Changes of a mailbox that are told at a time."""
_AT_ONCE = 1000
"""Rows named in one statement: below SQLite's 32,766 parameters."""


@value_class(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a mailbox, without its bytes."""

    uid: Uid
    modseq: ModSeq
    flags: frozenset[str]
    received_at_ms: int
    """INTERNALDATE."""
    saved_at_ms: int
    """SAVEDATE."""
    size: int
    """Prefix and blob together, in bytes: RFC822.SIZE."""
    blob_id: BlobId
    mail_id: MailId | None
    """``None``: a client put it there."""
    prefix: bytes
    """Return-Path and Delivered-To."""
    thread_id: ThreadId | None = None
    """``None``: the indexer has not looked at it yet (``store.mail.summaries``)."""
    indexed: int = 0
    """``store.mail.text_index.Indexed``."""


@value_class(frozen=True, slots=True)
class MessageFlags:
    """The flags of one message, after a change."""

    uid: Uid
    modseq: ModSeq
    flags: frozenset[str]


@value_class(frozen=True, slots=True, kw_only=True)
class MailboxChanges:
    """What happened to a mailbox since a MODSEQ."""

    modseq: ModSeq
    """Where to go on from."""
    uid_next: Uid
    recent_from: Uid
    """UIDs from here on are recent to no session yet (``store.mail.recent``)."""
    changed: tuple[MessageFlags, ...]
    """New flags, ascending by UID; behind them new messages, unless there is ``more``."""
    expunged: tuple[Uid, ...]
    """Ascending; may name messages that came and went meanwhile."""
    more: bool = False
    """There are later changes: ask again from ``modseq`` on."""
    present: Sequence[Uid] | None = None
    """All messages there are, where it is forgotten what was expunged (``store.mail.vanished``)."""


class MessageReader:
    """Random access to the bytes of one message, as its reader sees them."""

    def __init__(self, prefix: bytes, blob: BlobReader) -> None:
        self._prefix = prefix
        self._blob = blob
        self.size = len(prefix) + blob.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end. May wait on the disk.

        Raises:
            StoreUnavailable: the file of the message cannot be read.
        """
        begin = len(self._prefix)
        if offset >= begin:
            return self._blob.read_at(offset - begin, size)
        head = self._prefix[offset : offset + size]
        return head + self._blob.read_at(0, size - len(head)) if len(head) < size else head

    def close(self) -> None:
        """Let go of the file."""
        self._blob.close()

    def __enter__(self) -> MessageReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_message(conn: Connection, blobs: Blobs, found: Message) -> MessageReader:
    """Open the bytes of a message; the caller closes it, also after the snapshot has ended.

    Raises:
        NoSuchBlob: the message was expunged since.
        StoreUnavailable: its file cannot be read.
    """
    return MessageReader(found.prefix, blobs.open(conn, found.blob_id))


def read_message(conn: Connection, blobs: Blobs, found: Message) -> bytes:
    """Return all bytes of a message.

    Raises:
        NoSuchBlob: the message was expunged since.
        StoreUnavailable: its file cannot be read.
    """
    return found.prefix + blobs.read(conn, found.blob_id)


def open_messages(
    conn: Connection, blobs: Blobs, found: Sequence[Message]
) -> Iterator[tuple[Message, MessageReader | None]]:
    """Open messages in their order, with one statement; ``None`` stands for one that is gone.

    The caller closes each reader. What is small enough to lie in the database is in memory, of all
    of them, so their sizes together are the caller's to bound.

    Raises:
        StoreUnavailable: a file cannot be read.
    """
    opened = blobs.open_all(conn, [one.blob_id for one in found])
    for one in found:
        open_blob = opened.get(one.blob_id)
        yield one, None if open_blob is None else MessageReader(one.prefix, open_blob())


def list_uids(conn: Connection, mailbox_id: MailboxId) -> list[Uid]:
    """Return the UIDs of all messages, ascending."""
    return list(conn.scalars(_UIDS, {"mailbox_": mailbox_id}))


def get_messages(conn: Connection, mailbox_id: MailboxId, uids: Sequence[Uid]) -> list[Message]:
    """Return those of the messages that are still there, ascending."""
    found: list[Message] = []
    for wanted in _portions(sorted(uids)):
        rows = conn.execute(_MESSAGES, {"mailbox_": mailbox_id, "uids_": wanted}).all()
        found += [read_message_row(row) for row in rows]
    return found


def own_modseq(conn: Connection, account_id: AccountId, mailbox_id: MailboxId) -> ModSeq | None:
    """Return the MODSEQ of a mailbox; ``None``: it is gone, or another account's."""
    mark = mark_of(conn)
    # The names are constants.
    query = f"SELECT modseq FROM mailbox WHERE id = {mark} AND account_id = {mark}"  # noqa: S608
    rows = execute_text(conn, query, (mailbox_id, account_id))
    return ModSeq(rows[0][0]) if rows else None


def changes_since(
    conn: Connection,
    account_id: AccountId,
    mailbox_id: MailboxId,
    modseq: ModSeq,
    uid_next: Uid,
    most: int = CHANGES,
) -> MailboxChanges | None:
    """Return what happened since; ``None``: it is gone, or the account may not read it.

    Args:
        conn: a snapshot.
        account_id: who reads.
        mailbox_id: the mailbox.
        modseq: as far as the caller knows it.
        uid_next: messages from this UID on are new to the caller; they come with the last changes.
        most: changes at a time; what one commit changed comes together.
    """
    box = conn.execute(_POSITION, {"mailbox_": mailbox_id, "account_": account_id}).one_or_none()
    if box is None:
        return None
    if box.modseq == modseq:
        return MailboxChanges(
            modseq=modseq,
            uid_next=box.uid_next,
            recent_from=box.recent_from,
            changed=(),
            expunged=(),
        )
    given = {"mailbox_": mailbox_id, "modseq_": modseq, "most_": most}
    over = [found for query in _OVER if (found := conn.scalar(query, given)) is not None]
    until = max(modseq + 1, min(over) - 1) if over else box.modseq
    more = until < box.modseq
    since = {**given, "until_": until, "uid_next_": uid_next}
    changed = [_flags(row) for row in conn.execute(_CHANGED, since)]
    if not more:
        changed += [_flags(row) for row in conn.execute(_ARRIVED, since)]
    expunged_uids = tuple(conn.scalars(_EXPUNGED, since))
    present = list_uids(conn, mailbox_id) if modseq < box.forgotten_modseq else None
    return MailboxChanges(
        modseq=ModSeq(until),
        uid_next=uid_next if more else box.uid_next,
        recent_from=box.recent_from,
        changed=tuple(changed),
        expunged=expunged_uids,
        more=more,
        present=present,
    )


# ---- inside -------------------------------------------------------------------------------------

_MAILBOX = message.c.mailbox_id == sa.bindparam("mailbox_")
_WANTED = message.c.uid.in_(sa.bindparam("uids_", expanding=True))
_FLAG_COLUMNS = (message.c.uid, message.c.modseq, message.c.flags, message.c.keywords)

_UIDS = sa.select(message.c.uid).where(_MAILBOX).order_by(message.c.uid)
_MESSAGES = sa.select(message).where(_MAILBOX, _WANTED).order_by(message.c.uid)
_POSITION = sa.select(
    mailbox.c.modseq, mailbox.c.uid_next, mailbox.c.recent_from, mailbox.c.forgotten_modseq
).where(mailbox.c.id == sa.bindparam("mailbox_"), readable())
_SINCE = message.c.modseq > sa.bindparam("modseq_")
_GONE = expunged.c.mailbox_id == sa.bindparam("mailbox_")
_GONE_SINCE = expunged.c.modseq > sa.bindparam("modseq_")
_CHANGED = (
    sa.select(*_FLAG_COLUMNS)
    .where(_MAILBOX, _SINCE, message.c.modseq <= sa.bindparam("until_"))
    .where(message.c.uid < sa.bindparam("uid_next_"))
    .order_by(message.c.uid)
)
# Of any MODSEQ: the portions of changes before this one have passed most of theirs.
_ARRIVED = (
    sa.select(*_FLAG_COLUMNS)
    .where(_MAILBOX, message.c.uid >= sa.bindparam("uid_next_"))
    .order_by(message.c.uid)
)
_EXPUNGED = (
    sa.select(expunged.c.uid)
    .where(_GONE, _GONE_SINCE, expunged.c.modseq <= sa.bindparam("until_"))
    .order_by(expunged.c.uid)
)
_OVER = tuple(
    query.limit(1).offset(sa.bindparam("most_"))
    for query in (
        sa.select(message.c.modseq).where(_MAILBOX, _SINCE).order_by(message.c.modseq),
        sa.select(expunged.c.modseq).where(_GONE, _GONE_SINCE).order_by(expunged.c.modseq),
    )
)
"""The MODSEQ of the first change that is one too many."""


def _portions(uids: Sequence[Uid]) -> Iterator[Sequence[Uid]]:
    return (uids[start : start + _AT_ONCE] for start in range(0, len(uids), _AT_ONCE))


def read_message_row(row: Any) -> Message:
    """Return the message of a row of table ``message``."""
    return Message(
        uid=row.uid,
        modseq=row.modseq,
        flags=unpack_flags(row.flags, row.keywords),
        received_at_ms=row.received_at_ms,
        # It is not known of messages that are older than the column.
        saved_at_ms=row.received_at_ms if row.saved_at_ms is None else row.saved_at_ms,
        size=row.size,
        blob_id=row.blob_id,
        mail_id=row.mail_id,
        prefix=row.prefix.encode("utf-8"),
        thread_id=row.thread_id,
        indexed=row.indexed,
    )


def _flags(row: Any) -> MessageFlags:
    return MessageFlags(row.uid, row.modseq, unpack_flags(row.flags, row.keywords))
