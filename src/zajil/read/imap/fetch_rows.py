"""What rows of the store have of the items of a FETCH: summaries, ids, header sections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from zajil.core.ids import MailboxId, Uid
from zajil.imap.feature import Feature
from zajil.imap.fetch_item import Attribute, BodySection, FetchItem
from zajil.imap.response import string
from zajil.read.imap.content import is_in_head, write_fields
from zajil.read.imap.context import Context
from zajil.read.imap.fetch_kept import text_of
from zajil.read.imap.fetch_lines import (
    Column,
)
from zajil.read.imap.fetch_read import ANSWER
from zajil.read.imap.object_id import email_id_of
from zajil.read.indexer import index_now
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.message_rows import (
    FILES,
    HeadRow,
    RowItem,
    RowsRead,
    read_rows,
    values_of_heads,
)
from zajil.store.mail.message_table import MessageTable, pick
from zajil.store.mail.summaries import WaitingBlob

_GLOBAL = b'"MESSAGE" "GLOBAL"'

_ROWS_OF: dict[FetchItem, tuple[RowItem, ...]] = {
    Attribute.EMAILID: (RowItem.BLOB_ID, RowItem.PREFIX),
    Attribute.THREADID: (RowItem.BLOB_ID, RowItem.THREAD_ID),
    Attribute.ENVELOPE: (RowItem.VERSION, RowItem.ENVELOPE),
    Attribute.BODY: (RowItem.VERSION, RowItem.BODY),
    Attribute.BODYSTRUCTURE: (RowItem.VERSION, RowItem.BODY_STRUCTURE),
    Attribute.PREVIEW: (RowItem.VERSION, RowItem.PREVIEW),
    Attribute.PREVIEW_LAZY: (RowItem.VERSION, RowItem.PREVIEW),
}
"""What is read for an item that the table does not have."""


class ItemRows:
    """Reads rows of messages, and makes columns of them."""

    def __init__(self, context: Context, items: Sequence[FetchItem]) -> None:
        self._context = context
        self._items = items
        self._rows = tuple(dict.fromkeys(row for item in items for row in _ROWS_OF.get(item, ())))
        sections = [item for item in items if isinstance(item, BodySection)]
        self._heads = sections if all(map(is_in_head, sections)) else []
        """Header fields, where nothing else of the messages is asked for."""
        if self._heads:
            self._rows = (*self._rows, RowItem.PREFIX, RowItem.HEAD)
        self._has_global = Feature.IMAP4REV2 in context.engine.enabled

    @property
    def are_needed(self) -> bool:
        """Whether rows have anything that is asked for."""
        return bool(self._rows)

    async def read(
        self, table: MessageTable, places: Sequence[int]
    ) -> tuple[RowsRead, dict[FetchItem, Column]]:
        """Return rows of messages at these places, from the first on, and the columns of them.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        context = self._context
        box, uids = table.mailbox_id, cast("Sequence[Uid]", pick(table.uids, places))

        def read(conn: Snapshot) -> tuple[RowsRead, dict[FetchItem, Column]]:
            some = uids[:FILES] if self._heads else uids
            found = read_rows(conn, box, some, self._rows, ANSWER)
            return found, self._row_columns(conn, box, found.rows)

        found, columns = await context.read(read)
        if Attribute.THREADID in self._items:
            blob_ids = self._values(found.rows, RowItem.BLOB_ID)
            threads = self._values(found.rows, RowItem.THREAD_ID)
            sizes = pick(table.sizes, table.places_of([row[0] for row in found.rows]))
            waiting = [
                WaitingBlob(blob_id, size, 0)
                for blob_id, size, thread in zip(blob_ids, sizes, threads, strict=True)
                if thread is None
            ]
            if waiting:
                await index_now(context.store, context.account.account_id, waiting)
                found, columns = await context.read(read)
        return found, columns

    def versions(self, rows: Sequence[tuple[Any, ...]]) -> list[Any] | None:
        """Return what each row has as VERSION, where one of them lacks a summary."""
        return self._values(rows, RowItem.VERSION) if self.lack_summary(rows) else None

    def lack_summary(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Return whether a message has no summary, and one is asked for."""
        return RowItem.VERSION in self._rows and None in self._values(rows, RowItem.VERSION)

    def _row_columns(
        self, conn: Snapshot, box: MailboxId, rows: Sequence[tuple[Any, ...]]
    ) -> dict[FetchItem, Column]:
        """Return the columns of what rows have; runs in a reader thread."""
        found: dict[FetchItem, Column] = {
            item: self._row_column(item, rows) for item in self._items if item in _ROWS_OF
        }
        if not self._heads:
            return found
        blobs, prefixes = self._context.store.blobs, self._values(rows, RowItem.PREFIX)
        heads = self._values(rows, RowItem.HEAD)
        read = [
            HeadRow(row[0], prefix, head)
            for row, prefix, head in zip(rows, prefixes, heads, strict=True)
        ]
        for item in self._heads:

            def write(begin: bytes, is_whole: bool) -> bytes | None:
                return write_fields(item, begin, is_whole=is_whole)  # noqa: B023

            found[item] = Column(text_of(item), values_of_heads(conn, blobs, box, read, write))
        return found

    def _row_column(self, item: FetchItem, rows: Sequence[tuple[Any, ...]]) -> Column:
        """Return the column of an item that rows have."""
        values = [self._values(rows, one) for one in _ROWS_OF[item]]
        match item:
            case Attribute.EMAILID:
                pairs = zip(*values, strict=True)
                ids = [email_id_of(one, prefix.encode()).encode() for one, prefix in pairs]
                return Column(b"EMAILID (%b)", ids)
            case Attribute.THREADID:
                # Without one only where the message was expunged meanwhile.
                ids = [b"NIL" if one is None else b"(T%b)" % one.encode() for one in values[1]]
                return Column(b"THREADID %b", ids)
            case Attribute.PREVIEW | Attribute.PREVIEW_LAZY:
                none = b"NIL" if item is Attribute.PREVIEW_LAZY else None
                texts = [none if one is None else string(one.encode()) for one in values[1]]
                return Column(b"PREVIEW %b", texts)
            case Attribute.BODY | Attribute.BODYSTRUCTURE if self._has_global:
                # RFC 9051 section 7.5.2: summaries have these as RFC 3501 wants them.
                texts = [None if one and _GLOBAL in one else one for one in values[1]]
                return Column(item.value.encode("ascii") + b" %b", texts)
            case Attribute():
                return Column(item.value.encode("ascii") + b" %b", values[1])
        raise RuntimeError(f"no row has {item}")

    def _values(self, rows: Sequence[tuple[Any, ...]], item: RowItem) -> list[Any]:
        place = self._rows.index(item) + 1
        return [row[place] for row in rows]
