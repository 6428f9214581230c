"""What FETCH needs of many messages beside their table: rows, and bytes, a statement for many.

Not by SQLAlchemy, whose rows take longer than the statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy.engine import Connection

from zajil.core.ids import BlobId, MailboxId, Uid
from zajil.store.engine.rows import execute_text, mark_of, marks_of
from zajil.store.mail.blobs import Blobs
from zajil.store.mail.messages import MessageReader
from zajil.store.mail.summaries import VERSION

_ROWS = 100
"""Rows that are read at a time."""
HEAD = 8192
"""Bytes of ``RowItem.HEAD``: the header section of most messages."""
BEGIN = 16_384
"""Bytes of what ``read_begins`` returns of a message."""
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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

    Raises:
        StoreUnavailable: a file cannot be read.
    """
    content = "blob.content" if head is None else f"substr(blob.content, 1, {int(head)})"
    where, parameters = _among(conn, mailbox_id, uids)
    # The names are constants.
    query = (
        f"SELECT message.uid, message.prefix, blob.id, blob.size, {content}, blob.location"  # noqa: S608
        " FROM message JOIN blob ON blob.id = message.blob_id"
        f" WHERE {where} ORDER BY message.uid"
    )
    for uid, prefix, blob_id, size, data, location in execute_text(conn, query, parameters):
        reader = blobs.open_row(conn, blob_id, size, data, location)
        before = prefix.encode("utf-8")
        yield OpenMessage(uid, blob_id, before, MessageReader(before, reader))


def read_contents(
    conn: Connection, blobs: Blobs, mailbox_id: MailboxId, uids: Sequence[Uid]
) -> list[tuple[Uid, bytes, bytes]]:
    """Return UID, prefix and blob of messages, ascending; those that are gone are passed over.

    All of them are in memory, so their sizes together are the caller's to bound.

    Args:
        conn: a snapshot.
        blobs: of the store.
        mailbox_id: of a mailbox that the caller found under its account.
        uids: ascending; at most ``rows.AT_ONCE``.

    Raises:
        StoreUnavailable: a file cannot be read.
    """
    where, parameters = _among(conn, mailbox_id, uids)
    # The names are constants.
    query = (
        "SELECT message.uid, message.prefix, blob.content, blob.size, blob.location"  # noqa: S608
        " FROM message JOIN blob ON blob.id = message.blob_id"
        f" WHERE {where} ORDER BY message.uid"
    )
    found = []
    for uid, prefix, content, size, location in execute_text(conn, query, parameters):
        data = content
        if content is None:
            with blobs.open_file(size, location) as reader:
                data = reader.read_at(0, size)
        found.append((uid, prefix.encode("utf-8"), data))
    return found


def read_begins(
    conn: Connection, blobs: Blobs, mailbox_id: MailboxId, uids: Sequence[Uid]
) -> dict[Uid, tuple[bytes, bool]]:
    """Return the beginnings of messages whose ``RowItem.HEAD`` does not do.

    Args:
        conn: a snapshot.
        blobs: of the store.
        mailbox_id: of a mailbox that the caller found under its account.
        uids: ascending; at most ``FILES``.

    Returns:
        For each message that is there ``BEGIN`` bytes, and whether these are all.

    Raises:
        StoreUnavailable: a file cannot be read.
    """
    found: dict[Uid, tuple[bytes, bool]] = {}
    if uids:
        for one in open_contents(conn, blobs, mailbox_id, uids, BEGIN):
            with one.reader:
                found[one.uid] = one.reader.read_at(0, BEGIN), one.reader.size <= BEGIN
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
