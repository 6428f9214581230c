"""One thing of the header of each message of a mailbox, in memory: what SORT and SENTSINCE compare.

It is a cache of what summaries hold (``store.mail.summaries``); a summary never changes, so what is
missing is only what came since.
"""

from __future__ import annotations

import threading
import zlib
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from sqlalchemy.engine import Connection

from zajil.core.byte_order import little_endian
from zajil.core.ids import MailboxId
from zajil.core.value_class import value_class
from zajil.store.engine.rows import execute_text, mark_of
from zajil.store.mail.summaries import VERSION
from zajil.store.mail.value_cache import BLOCK_BITS, last_uid_of

MOST_BYTES = 32 << 20
"""Of all columns of a process; a single larger one is kept all the same."""
ROWS = 5000
"""Messages that are read in one turn of a reader thread."""

Values: TypeAlias = Sequence[Any]


@value_class(frozen=True, slots=True)
class ColumnKind:
    """What is taken of each message."""

    name: str
    """Each kind has its own."""
    expression: str
    """In SQL, of table ``summary``; a constant of this program."""
    read: Callable[[Any], Any]
    """Makes the value of what the database has; ``None`` goes in where there is no summary."""
    code: str = ""
    """Type code of ``array``; ``""``: values are strings."""


@value_class(frozen=True, slots=True)
class HeaderColumn:
    """The values of some messages."""

    uids: array[int]
    """Ascending."""
    values: Values
    """One for each UID."""
    lacking: frozenset[int] = frozenset()
    """UIDs without a summary: their values may become others."""
    order: array[int] | None = None
    """Places in the order of the values, if somebody asked for it."""

    @property
    def memory(self) -> int:
        """Return how many bytes it takes, roughly."""
        if isinstance(self.values, array):
            return 16 * len(self.uids)
        return 16 * len(self.uids) + sum(64 + 2 * len(one) for one in set(self.values))


class HeaderColumns:
    """The columns that were used last; for use in reader threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[MailboxId, str], tuple[HeaderColumn, int]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, mailbox_id: MailboxId, kind: ColumnKind) -> HeaderColumn:
        """Return what is known of a mailbox; perhaps nothing."""
        with self._lock:
            kept = self._kept.get((mailbox_id, kind.name))
        return HeaderColumn(array("I"), make_values(kind)) if kept is None else kept[0]

    def fit(
        self, mailbox_id: MailboxId, kind: ColumnKind, column: HeaderColumn, uids: array[int]
    ) -> HeaderColumn:
        """Return the values of these messages, and keep them in place of others.

        One that a column does not have was expunged since.
        """
        fitting = _fit(kind, column, uids)
        if fitting is not self.find(mailbox_id, kind):
            self.keep(mailbox_id, kind, fitting)
        return fitting

    def keep(self, mailbox_id: MailboxId, kind: ColumnKind, column: HeaderColumn) -> None:
        """Keep a column in place of an older one."""
        with self._lock:
            kept = self._kept.get((mailbox_id, kind.name))
        is_same = kept is not None and kept[0].values is column.values
        memory = kept[1] if kept is not None and is_same else column.memory
        with self._lock:
            self._kept[mailbox_id, kind.name] = (column, memory)
            self._kept.move_to_end((mailbox_id, kind.name))
            total = sum(size for _, size in self._kept.values())
            for key, (_, size) in list(self._kept.items())[:-1]:
                if total <= self._most_bytes:
                    break
                total -= size
                del self._kept[key]


def make_values(kind: ColumnKind, values: Sequence[Any] = ()) -> Values:
    """Return values in the form in which a column has them."""
    return array(kind.code, values) if kind.code else list(values)


def pack_block(column: HeaderColumn, number: int) -> tuple[array[int], bytes]:
    """Return the UIDs of a column in the range of a block, and the block as it is stored."""
    start = bisect_left(column.uids, number << BLOCK_BITS)
    stop = bisect_left(column.uids, last_uid_of(number) + 1, start)
    uids, values = column.uids[start:stop], column.values[start:stop]
    if isinstance(values, array):
        packed = little_endian(values).tobytes()
    else:
        # No summary has a NUL: PostgreSQL takes none.
        text = "\0".join([value.replace("\0", "") for value in values])
        packed = text.encode("utf-8", "surrogatepass")
    numbers = little_endian(array("I", [len(uids), *uids]))
    return uids, zlib.compress(numbers.tobytes() + packed, 1)


def unpack_block(kind: ColumnKind, stored: bytes) -> HeaderColumn:
    """Return the part of a column that ``pack_block`` packed."""
    data = zlib.decompress(stored)
    count = little_endian(array("I", data[:4]))[0]
    end = 4 + 4 * count
    uids = little_endian(array("I", data[4:end]))
    if kind.code:
        return HeaderColumn(uids, little_endian(array(kind.code, data[end:])))
    return HeaderColumn(uids, data[end:].decode("utf-8", "surrogatepass").split("\0"))


def read_column(
    conn: Connection, mailbox_id: MailboxId, kind: ColumnKind, after: int, last: int
) -> HeaderColumn:
    """Return the values of the next ``ROWS`` messages behind a UID, up to another one."""
    mark = mark_of(conn)
    # The names are constants.
    query = (
        f"SELECT message.uid, {kind.expression}, summary.version FROM message"  # noqa: S608
        f" LEFT JOIN summary ON summary.blob_id = message.blob_id"
        f" AND summary.version = {VERSION} AND summary.fault = ''"
        f" WHERE message.mailbox_id = {mark} AND message.uid > {mark} AND message.uid <= {mark}"
        f" ORDER BY message.uid LIMIT {ROWS}"
    )
    rows = list(execute_text(conn, query, (mailbox_id, after, last)))
    read = kind.read
    values = [read(value) for _, value, _ in rows]
    lacking = frozenset([uid for uid, _, version in rows if version is None])
    return HeaderColumn(array("I", [uid for uid, _, _ in rows]), make_values(kind, values), lacking)


def join_columns(kind: ColumnKind, parts: Sequence[HeaderColumn]) -> HeaderColumn:
    """Return parts, ascending, as one."""
    uids, values = array("I"), make_values(kind)
    lacking = frozenset[int]()
    for part in parts:
        uids.extend(part.uids)
        values += part.values  # type: ignore[operator]
        lacking |= part.lacking
    if not kind.code:  # many of them are the same
        same = dict[Any, Any]()
        values = [same.setdefault(value, value) for value in values]
    return HeaderColumn(uids, values, lacking)


def _fit(kind: ColumnKind, column: HeaderColumn, uids: array[int]) -> HeaderColumn:
    if column.uids == uids:
        return column
    known = dict(zip(column.uids, column.values, strict=True))
    missing = kind.read(None)
    values = make_values(kind, [known.get(uid, missing) for uid in uids])
    return HeaderColumn(uids, values, column.lacking)
