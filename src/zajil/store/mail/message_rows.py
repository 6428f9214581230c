"""What FETCH needs of many messages beside their table: rows, and bytes, a statement for many.

Not by SQLAlchemy, whose rows take longer than the statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any

from sqlalchemy.engine import Connection

from zajil.core.ids import BlobId, MailboxId, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.rows import execute_text, mark_of, marks_of
from zajil.store.mail.blobs import Blobs
from zajil.store.mail.messages import MessageReader
from zajil.store.mail.summaries import VERSION

_ROWS = 100
"""Rows that are read at a time."""
HEAD = 8192
"""Bytes of ``RowItem.HEAD``: the header section of most messages."""
BEGIN = 16_384
"""Bytes of a message that are read where its ``RowItem.HEAD`` does not do."""
FILES = 250
"""Messages whose beginnings are read in one turn: each may be a file."""


class RowItem(Enum):
    """A value of a message's row, or of its summary; bytes and text as the driver gives them."""

    BLOB_ID = "message.blob_id"
    PREFIX = "message.prefix"
    THREAD_ID = "message.thread_id"
    """NULL: the indexer has not looked at the message yet."""
    VERSION = "summary.version"
    """NULL: there is no summary, or none that can be used. What follows is NULL, too."""
    ENVELOPE = "summary.envelope"
    """NULL: it has to be read from the message."""
    BODY = "summary.body"
    BODY_STRUCTURE = "summary.body_structure"
    PREVIEW = "summary.preview"
    HEAD = f"substr(blob.content, 1, {HEAD})"
    """The beginning of what is behind the prefix; NULL: it is in a file."""


@value_class(frozen=True, slots=True)
class RowsRead:
    """What ``read_rows`` returns."""

    rows: list[tuple[Any, ...]]
    """UID, then the values that were asked for; ascending by UID."""
    looked_at: int
    """How many of the UIDs were looked up; those of them without a row are gone."""


def read_rows(
    conn: Connection,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    items: Sequence[RowItem],
    most_bytes: int,
) -> RowsRead:
    """Return values of messages, until they have so many bytes.

    Args:
        conn: a snapshot.
        mailbox_id: of a mailbox that the caller found under its account.
        uids: ascending.
        items: which values.
        most_bytes: of the values together; the last rows may pass it.
    """
    source = "message"
    if any(item.value.startswith("summary.") for item in items):
        source += (
            " LEFT JOIN summary ON summary.blob_id = message.blob_id"
            f" AND summary.version = {VERSION} AND summary.fault = ''"
        )
    if RowItem.HEAD in items:
        source += " JOIN blob ON blob.id = message.blob_id"
    names = ", ".join(["message.uid", *(item.value for item in items)])
    rows: list[tuple[Any, ...]] = []
    looked_at = size = 0
    while looked_at < len(uids) and size < most_bytes:
        some = uids[looked_at : looked_at + _ROWS]
        where, parameters = _among(conn, mailbox_id, some)
        # The names are constants.
        query = f"SELECT {names} FROM {source} WHERE {where} ORDER BY message.uid"  # noqa: S608
        found = execute_text(conn, query, parameters)
        rows += found
        looked_at += len(some)
        size += sum([len(value) for row in found for value in row if isinstance(value, bytes)])
    return RowsRead(rows, looked_at)


@value_class(frozen=True, slots=True)
class OpenMessage:
    """A message whose bytes can be read; whoever has it closes the reader."""

    uid: Uid
    blob_id: BlobId
    prefix: bytes
    reader: MessageReader


def open_contents(
    conn: Connection,
    blobs: Blobs,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    head: int | None = None,
    lost: list[str] | None = None,
) -> Iterator[OpenMessage]:
    """Open messages with one statement, ascending; those that are gone are passed over.

    What lies in the database is in memory, of all of them, so their sizes together are the
    caller's to bound.

    Args:
        conn: a snapshot.
        blobs: of the store.
        mailbox_id: of a mailbox that the caller found under its account.
        uids: ascending; at most ``rows.AT_ONCE``.
        head: so many bytes will probably do; more are read when they are asked for, as long as the
            snapshot lasts. ``None``: all are read.
        lost: takes the reason for each message whose bytes cannot be read; it is passed over.

    Raises:
        StoreUnavailable: without ``lost``: the bytes of a message cannot be read.
    """
    content = "blob.content" if head is None else f"substr(blob.content, 1, {int(head)})"
    where, parameters = _among(conn, mailbox_id, uids)
    # The names are constants.
    query = (
        f"SELECT message.uid, message.prefix, blob.id, blob.size, {content}, blob.location,"  # noqa: S608
        " blob.digest"
        " FROM message JOIN blob ON blob.id = message.blob_id"
        f" WHERE {where} ORDER BY message.uid"
    )
    for uid, prefix, blob_id, size, data, location, digest in execute_text(conn, query, parameters):
        try:
            reader = blobs.open_row(conn, blob_id, size, data, location, digest)
        except StoreUnavailable as error:
            if lost is None:
                raise
            lost.append(str(error))
            continue
        before = prefix.encode("utf-8")
        yield OpenMessage(uid, blob_id, before, MessageReader(before, reader))


def read_contents(
    conn: Connection,
    blobs: Blobs,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    lost: list[str] | None = None,
) -> list[tuple[Uid, bytes, bytes]]:
    """Return UID, prefix and blob of messages, ascending; those that are gone are passed over.

    All of them are in memory, so their sizes together are the caller's to bound.

    Args:
        conn: a snapshot.
        blobs: of the store.
        mailbox_id: of a mailbox that the caller found under its account.
        uids: ascending; at most ``rows.AT_ONCE``.
        lost: takes the reason for each message whose bytes cannot be read; it is passed over.

    Raises:
        StoreUnavailable: without ``lost``: the bytes of a message cannot be read.
    """
    where, parameters = _among(conn, mailbox_id, uids)
    # The names are constants.
    query = (
        "SELECT message.uid, message.prefix, blob.content, blob.size, blob.location,"  # noqa: S608
        " blob.digest"
        " FROM message JOIN blob ON blob.id = message.blob_id"
        f" WHERE {where} ORDER BY message.uid"
    )
    found = []
    for uid, prefix, content, size, location, digest in execute_text(conn, query, parameters):
        data = content
        if content is None:
            try:
                with blobs.open_place(size, location, digest) as reader:
                    data = reader.read_at(0, size)
            except StoreUnavailable as error:
                if lost is None:
                    raise
                lost.append(str(error))
                continue
        found.append((uid, prefix.encode("utf-8"), data))
    return found


@value_class(frozen=True, slots=True)
class HeadRow:
    """What a row says of the beginning of a message."""

    uid: Uid
    prefix: str
    """``RowItem.PREFIX``."""
    head: bytes | None
    """``RowItem.HEAD``."""


def values_of_heads(
    conn: Connection,
    blobs: Blobs,
    mailbox_id: MailboxId,
    rows: Sequence[HeadRow],
    read: Callable[[bytes, bool], bytes | None],
) -> list[bytes | None]:
    """Return what is made of the header section of each message.

    Args:
        conn: the snapshot that the rows are from.
        blobs: of the store.
        mailbox_id: of a mailbox that the caller found under its account.
        rows: ascending by UID; at most ``FILES``.
        read: makes the value from the beginning of a message, and whether that is all of it;
            ``None``: more is needed.

    Returns:
        ``None``: more than ``BEGIN`` bytes have to be read, or the message is gone.

    Raises:
        StoreUnavailable: a file cannot be read.
    """
    found = [
        None if row.head is None else read(row.prefix.encode() + row.head, len(row.head) < HEAD)
        for row in rows
    ]
    # What is in a file, or has a longer header section.
    left = {row.uid: at for at, row in enumerate(rows) if found[at] is None}
    if left:
        for one in open_contents(conn, blobs, mailbox_id, list(left), BEGIN):
            with one.reader:
                begin, is_whole = one.reader.read_at(0, BEGIN), one.reader.size <= BEGIN
                found[left[one.uid]] = read(begin, is_whole)
    return found


def _among(
    conn: Connection, mailbox_id: MailboxId, uids: Sequence[Uid]
) -> tuple[str, tuple[int, ...]]:
    """Return the condition for these messages, and its parameters."""
    mark = mark_of(conn)
    if uids and uids[-1] - uids[0] < len(uids):
        where = f"message.mailbox_id = {mark} AND message.uid BETWEEN {mark} AND {mark}"
        return where, (mailbox_id, uids[0], uids[-1])
    where = f"message.mailbox_id = {mark} AND message.uid IN {marks_of(conn, uids)}"
    return where, (mailbox_id, *uids)
