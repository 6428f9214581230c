"""What FETCH made of the rows of many messages, kept for the next FETCH of the same items."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from zajil.imap.feature import Feature
from zajil.imap.fetch_item import Attribute, BodySection, FetchItem
from zajil.read.imap.content import FORMS, is_in_head
from zajil.read.imap.context import Context
from zajil.read.imap.fetch_lines import (
    Column,
)
from zajil.read.imap.kept_values import find_kept_values, keep_values
from zajil.store.mail.message_table import MessageTable, pick
from zajil.store.mail.value_cache import BLOCK_BITS, FEWEST, MOST_OF_BLOCK, Value

_FROM_TABLE = (
    Attribute.UID,
    Attribute.FLAGS,
    Attribute.INTERNALDATE,
    Attribute.MODSEQ,
    Attribute.SAVEDATE,
    Attribute.SIZE,
)


class KeptColumns:
    """The columns of some messages that depend on their bytes alone.

    Law: all of them are kept, or the rows are read: what is asked for besides needs these anyway.
    """

    def __init__(
        self,
        context: Context,
        items: Sequence[FetchItem],
        table: MessageTable,
        places: Sequence[int],
    ) -> None:
        """Prepare for the messages at these places."""
        self._context = context
        self._table = table
        self._uids = pick(table.uids, places)
        has_global = Feature.IMAP4REV2 in context.engine.enabled
        self._kinds: dict[FetchItem, bytes] = {}
        for item in items:
            if item not in _FROM_TABLE:
                self._kinds[item] = _kind_of(item, has_global=has_global)
        self._is_on = len(self._uids) >= FEWEST and b"" not in self._kinds.values()
        self._new: dict[FetchItem, dict[int, Value]] = {item: {} for item in self._kinds}
        self._size = 0

    async def find(self) -> dict[FetchItem, Column] | None:
        """Return the columns; ``None``: they have to be read."""
        if not self._is_on:
            return None
        box, kinds = self._table.mailbox_id, self._kinds
        found = await find_kept_values(self._context, box, kinds.values(), self._uids)
        if found is None:
            return None
        return {item: Column(text_of(item), found[kind]) for item, kind in kinds.items()}

    def add(self, uids: Sequence[int], columns: dict[FetchItem, Column], *, is_final: bool) -> None:
        """Take what was read of some of the messages.

        Args:
            uids: of these.
            columns: of all items that the table does not have.
            is_final: reading them later gives the same; else nothing is kept.
        """
        self._is_on = self._is_on and is_final
        if not self._is_on:
            return
        for item, new in self._new.items():
            values = columns[item].values
            new.update(zip(uids, values, strict=True))
            self._size += sum([len(value) for value in values if value is not None])
        if self._size > MOST_OF_BLOCK:
            self._is_on = False
            self._new.clear()

    async def keep(self) -> None:
        """Keep what was taken."""
        if self._is_on:
            new = {kind: self._new[item] for item, kind in self._kinds.items()}
            await keep_values(self._context, self._table.mailbox_id, new, self._table.uids)


def end_of_blocks(uids: Sequence[int], start: int, stop: int) -> int:
    """Return a place up to ``stop`` where a block of kept values ends, if enough are before it."""
    begin = bisect_left(uids, uids[stop - 1] >> BLOCK_BITS << BLOCK_BITS, start, stop)
    return begin if begin - start >= FEWEST else stop


def text_of(item: FetchItem) -> bytes:
    """Return the text of the column of an item: with one place for a value."""
    if isinstance(item, BodySection):
        # A field name may have a percent sign in it.
        return item.label.replace(b"%", b"%%") + b" %b"
    name = Attribute.PREVIEW if item is Attribute.PREVIEW_LAZY else item
    return f"{name.value} %b".encode("ascii")


def _kind_of(item: FetchItem, *, has_global: bool) -> bytes:
    """Return what names the values of an item; ``b""``: these are not kept."""
    if isinstance(item, BodySection):
        return b"FETCH " + item.label if is_in_head(item) else b""
    if item in FORMS:
        form = "rev2" if has_global else "rev1"
        return f"FETCH {form} {item.value}".encode("ascii")
    return b""
