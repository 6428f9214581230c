"""FETCH responses whose values are at hand, many at a time.

One message costs a fraction of a microsecond: a portion of the table becomes columns of values, and
one formatting of bytes writes all lines of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from zajil.core.value_class import value_class
from zajil.imap.date_time import format_date_times
from zajil.imap.fetch_item import Attribute, FetchItem
from zajil.imap.flag import RECENT
from zajil.imap.response import flag_list
from zajil.read.imap.selected_mailbox import SelectedMailbox
from zajil.store.mail.message_table import FlagSet, MessageTable, pick


@value_class(frozen=True, slots=True)
class Column:
    """One item of many messages."""

    text: bytes
    """With one place for a value: ``UID %d``."""
    values: Sequence[Any]
    """``None``: not at hand; the message has to be read."""

    def write(self, place: int) -> bytes | None:
        """Write the item of one message; ``None``: the message has to be read."""
        value = self.values[place]
        return None if value is None else self.text % value


def write_lines(head: bytes, numbers: Sequence[int], columns: Sequence[Column]) -> bytes:
    """Write a FETCH response for each message, all of whose values are at hand.

    Args:
        head: ``SelectedMailbox.fetch_head``.
        numbers: of the messages, in its place.
        columns: one for each item, in the order of the client.
    """
    line = head + b" ".join([column.text for column in columns]) + b")\r\n"
    values = zip(numbers, *[column.values for column in columns], strict=True)
    return (line * len(numbers)) % tuple(chain.from_iterable(values))


def numbers_of(view: SelectedMailbox, uids: array[int]) -> Sequence[int]:
    """Return what messages that the client counts are called; UIDs ascending."""
    if view.uid_only:
        return uids
    first = view.number_of(uids[0]) if uids else None
    if first is not None and view.uids[first - 1 : first - 1 + len(uids)] == uids:
        return range(first, first + len(uids))
    return [view.number_of(uid) or 0 for uid in uids]


def write_changes(
    view: SelectedMailbox,
    uids: array[int],
    modseqs: Sequence[int],
    flags: list[bytes] | None,
    *,
    uid: bool,
) -> bytes:
    """Write the FETCH responses of messages that were changed, and remember what they tell.

    Args:
        view: of the session; the client counts all these messages.
        uids: ascending, at least one.
        modseqs: of each.
        flags: of each, as they are written, without ``\\Recent``; ``None``: they are not told.
        uid: tell the UID, which MODSEQ never stands without (RFC 7162 section 3.2.4).
    """
    columns = []
    if not view.uid_only and (uid or view.tells_uid):
        columns.append(Column(b"UID %d", uids))
    if flags is not None:
        columns.append(Column(b"FLAGS %b", mark_recent(view, uids, flags)))
    if view.condstore:
        view.sent_modseq = max(view.sent_modseq, max(modseqs))
        columns.append(Column(b"MODSEQ (%d)", modseqs))
    return write_lines(view.fetch_head, numbers_of(view, uids), columns)


def mark_recent(view: SelectedMailbox, uids: array[int], flags: list[bytes]) -> list[bytes]:
    r"""Add ``\Recent`` to the flags, as they are written, of those messages that have it.

    Args:
        view: of the session.
        uids: ascending.
        flags: of each; changed in place, and returned.
    """
    if uids and view.recent and uids[-1] >= view.recent[0]:
        for place, uid in enumerate(uids):
            if view.is_recent(uid):
                shown = flags[place][1:-1].split()
                flags[place] = b"(" + b" ".join([*shown, RECENT.encode("ascii")]) + b")"
    return flags


@dataclass(slots=True)
class FlagWriter:
    """Writes the flags of messages as one session sees them; each flag set once."""

    view: SelectedMailbox
    _written: dict[FlagSet, bytes] = field(default_factory=dict)

    def write(self, table: MessageTable, places: Sequence[int]) -> list[bytes]:
        """Return the flags of these messages. ``view.new_keywords`` was told before."""
        kinds = pick(table.kinds, places)
        texts = {kind: self._write(table.flag_sets[kind]) for kind in set(kinds)}
        return mark_recent(self.view, pick(table.uids, places), [texts[kind] for kind in kinds])

    def _write(self, some: FlagSet) -> bytes:
        written = self._written.get(some)
        if written is None:
            written = self._written[some] = flag_list(self.view.shown_flags(some.flags))
        return written


def table_columns(
    writer: FlagWriter, table: MessageTable, places: Sequence[int], items: Sequence[FetchItem]
) -> dict[FetchItem, Column]:
    """Return the columns of those items that the table has."""
    found: dict[FetchItem, Column] = {}
    for item in items:
        match item:
            case Attribute.UID:
                found[item] = Column(b"UID %d", pick(table.uids, places))
            case Attribute.FLAGS:
                found[item] = Column(b"FLAGS %b", writer.write(table, places))
            case Attribute.INTERNALDATE:
                dates = format_date_times(pick(table.received_at_ms, places))
                found[item] = Column(b"INTERNALDATE %b", dates)
            case Attribute.MODSEQ:
                modseqs = pick(table.modseqs, places)
                writer.view.sent_modseq = max(writer.view.sent_modseq, max(modseqs))
                found[item] = Column(b"MODSEQ (%d)", modseqs)
            case Attribute.SAVEDATE:
                dates = format_date_times(pick(table.saved_at_ms, places))
                found[item] = Column(b"SAVEDATE %b", dates)
            case Attribute.SIZE:
                found[item] = Column(b"RFC822.SIZE %d", pick(table.sizes, places))
    return found
