"""The tables of the mailboxes that were used last, shared by all sessions of this process.

A table is brought up to date before each use, by what has a larger MODSEQ than it; so it is never
older than the snapshot it was asked for with.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId, ModSeq, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.rows import execute_text, mark_of, marks_of, portions
from zajil.store.mail.access import readable
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.flags import FLAG_BITS, TooManyKeywords
from zajil.store.mail.mailboxes import Mailbox, MailboxCounts, count_messages, find_mailbox
from zajil.store.mail.message_table import MessageTable, TableBuilder, TableRow, follow
from zajil.store.mail.messages import own_modseq
from zajil.store.schema import mailbox

MOST_BYTES = 32 << 20
"""Of all tables of a process; a single larger one is kept all the same."""
_OLD_SECONDS = 3600.0
"""A table that nobody used for so long is dropped. It is also too old to be brought up to date:
what was expunged is not remembered for ever."""
_ROWS = 1000
"""Rows that are loaded at a time."""
_MOST_CHANGES = 5000
"""With more changes than this a table is loaded anew."""
_MOST_SETS = 1000
"""Flag sets that a table may have, however few messages it has."""
_MOST_COUNTS = 4000
"""Mailboxes whose counts are remembered."""


@dataclass(slots=True)
class _Kept:
    table: MessageTable
    at_seconds: float
    """When it was brought up to date last."""
    shown: _Shown | None = field(default=None)
    """Found once for each table; ``None``: not yet."""


@value_class(frozen=True, slots=True)
class _Shown:
    """What SELECT tells of a table, for which all its flags are looked at."""

    keywords: tuple[str, ...]
    first_unseen: Uid | None


@value_class(frozen=True, slots=True)
class MailboxSnapshot:
    """All that SELECT needs, at one moment."""

    mailbox: Mailbox
    uids: array[int]
    """Ascending; the caller's own."""
    keywords: tuple[str, ...]
    """Each once, in whatever case it is spelled elsewhere, as the first message with it has it."""
    first_unseen: Uid | None


class MessageTables:
    """The tables of one open store; for use in its reader threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[MailboxId, _Kept] = OrderedDict()
        self._counts: OrderedDict[MailboxId, tuple[ModSeq, MailboxCounts]] = OrderedDict()
        """Counts, and the MODSEQ of the mailbox that had them: every change gives it a new one."""
        self._lock = threading.Lock()

    @property
    def memory(self) -> int:
        """Return how many bytes all tables take, roughly."""
        with self._lock:
            return sum(one.table.memory for one in self._kept.values())

    def current(
        self, conn: Connection, account_id: AccountId, mailbox_id: MailboxId
    ) -> MessageTable:
        """Return the table of a mailbox, with all that the snapshot has.

        Args:
            conn: a snapshot.
            account_id: who reads.
            mailbox_id: the mailbox.

        Raises:
            NoSuchMailbox: it is gone, or the account may not read it.
            TooManyKeywords: its messages have too many different ones to be kept in memory.
        """
        given = {"mailbox_": mailbox_id, "account_": account_id}
        position = conn.execute(_POSITION, given).one_or_none()
        if position is None:
            self._drop(mailbox_id)
            raise NoSuchMailbox(mailbox_id)
        return self._bring_up(conn, mailbox_id, *position)

    def kept(
        self, conn: Connection, account_id: AccountId, mailbox_id: MailboxId
    ) -> MessageTable | None:
        """Return the table of the account's own mailbox if it has all that the snapshot has.

        Returns:
            ``None``: ask ``current``.
        """
        modseq = own_modseq(conn, account_id, mailbox_id)
        return None if modseq is None else self._find_current(mailbox_id, modseq)

    def remembered(self, mailbox_id: MailboxId) -> MessageTable | None:
        """Return the table of a mailbox as it was at some time, for who compares the MODSEQ.

        Security: the caller has the right to read the mailbox, or checks it.
        """
        return self._find(mailbox_id)

    def kept_snapshot(
        self, conn: Connection, account_id: AccountId, name: str
    ) -> MailboxSnapshot | None:
        """Return what ``snapshot`` does if it is in memory; else ``None``.

        Raises:
            NoRight: as ``snapshot`` does.
        """
        box = find_mailbox(conn, account_id, name)
        table = None if box is None else self._find_current(box.mailbox_id, ModSeq(box.modseq))
        if box is None or table is None:
            return None
        with self._lock:
            kept = self._kept.get(box.mailbox_id)
        if kept is None or kept.table is not table or kept.shown is None:
            return None
        return _snapshot(box, table, kept.shown)

    def kept_count(self, box: Mailbox) -> MailboxCounts | None:
        """Return how full a mailbox is if that is in memory; else ``None``.

        Args:
            box: as a snapshot has it.
        """
        known = self._counts.get(box.mailbox_id)
        return known[1] if known is not None and known[0] == box.modseq else None

    def snapshot(
        self, conn: Connection, account_id: AccountId, name: str
    ) -> MailboxSnapshot | None:
        """Return a mailbox with its UIDs; ``None``: the account has none of this name to read.

        Raises:
            NoRight: the account may see it, and not read it.
            TooManyKeywords: as ``current`` does.
        """
        box = find_mailbox(conn, account_id, name)
        if box is None:
            return None
        table = self.current(conn, account_id, box.mailbox_id)
        return _snapshot(box, table, self._shown(table))

    def count(
        self, conn: Connection, mailbox_ids: Sequence[MailboxId]
    ) -> dict[MailboxId, MailboxCounts]:
        """Count messages, as ``count_messages`` does; what did not change is not counted again.

        Args:
            conn: a snapshot.
            mailbox_ids: mailboxes that the caller may read.
        """
        counts = dict.fromkeys(mailbox_ids, MailboxCounts(0, 0, 0))
        uncounted: dict[MailboxId, ModSeq] = {}
        for some in portions(mailbox_ids):
            query = f"{_POSITIONS} {marks_of(conn, some)}"
            for mailbox_id, modseq, uid_next, forgotten in execute_text(conn, query, some):
                known = self._counts.get(mailbox_id)
                if known is not None and known[0] == modseq:
                    counts[mailbox_id] = known[1]
                    continue
                table = self._find(mailbox_id)
                if table is not None:
                    with suppress(TooManyKeywords):
                        table = self._bring_up(conn, mailbox_id, modseq, uid_next, forgotten)
                        counts[mailbox_id] = _count(table)
                        self._keep_counts(mailbox_id, table.modseq, counts[mailbox_id])
                        continue
                uncounted[mailbox_id] = modseq
        if not uncounted:
            return counts
        for mailbox_id, found in count_messages(conn, list(uncounted)).items():
            counts[mailbox_id] = found
            self._keep_counts(mailbox_id, uncounted[mailbox_id], found)
        return counts

    def _bring_up(
        self,
        conn: Connection,
        mailbox_id: MailboxId,
        modseq: ModSeq,
        uid_next: Uid,
        forgotten: ModSeq,
    ) -> MessageTable:
        """Return the table of a mailbox of which the snapshot has this position."""
        known = self._find(mailbox_id)
        if known is not None and known.modseq < forgotten:
            known = None  # what was expunged since is not known any more
        if known is not None and known.modseq >= modseq:
            # It may be newer: by a snapshot that was taken after this one.
            return self._keep(known)
        table = None if known is None else _follow(conn, known, modseq, uid_next)
        return self._keep(table or load_table(conn, mailbox_id, modseq, uid_next))

    def _keep_counts(self, mailbox_id: MailboxId, modseq: ModSeq, counts: MailboxCounts) -> None:
        with self._lock:
            self._counts[mailbox_id] = (modseq, counts)
            self._counts.move_to_end(mailbox_id)
            if len(self._counts) > _MOST_COUNTS:
                self._counts.popitem(last=False)

    def _shown(self, table: MessageTable) -> _Shown:
        """Return what SELECT tells of a table, from the one that is kept if it is the same."""
        with self._lock:
            kept = self._kept.get(table.mailbox_id)
        if kept is not None and kept.table is table and kept.shown is not None:
            return kept.shown
        first = table.first_without(FLAG_BITS["\\Seen"])
        shown = _Shown(table.keywords(), None if first is None else Uid(table.uids[first]))
        if kept is not None and kept.table is table:
            kept.shown = shown
        return shown

    def _find(self, mailbox_id: MailboxId) -> MessageTable | None:
        with self._lock:
            kept = self._kept.get(mailbox_id)
        if kept is None or time.monotonic() - kept.at_seconds > _OLD_SECONDS:
            return None
        return kept.table

    def _find_current(self, mailbox_id: MailboxId, modseq: ModSeq) -> MessageTable | None:
        """Return a table that has all up to a MODSEQ, and keep it; ``None``: there is none."""
        table = self._find(mailbox_id)
        return None if table is None or table.modseq < modseq else self._keep(table)

    def _keep(self, table: MessageTable) -> MessageTable:
        """Keep a table unless there is a newer one, and return the newer one."""
        now = time.monotonic()
        with self._lock:
            other = self._kept.get(table.mailbox_id)
            if other is not None and other.table.modseq > table.modseq:
                table = other.table
            if other is not None and other.table is table:
                other.at_seconds = now
            else:
                self._kept[table.mailbox_id] = _Kept(table, now)
            self._kept.move_to_end(table.mailbox_id)
            total = sum(one.table.memory for one in self._kept.values())
            for mailbox_id, oldest in list(self._kept.items())[:-1]:
                if total <= self._most_bytes and now - oldest.at_seconds <= _OLD_SECONDS:
                    break
                total -= oldest.table.memory
                del self._kept[mailbox_id]
        return table

    def _drop(self, mailbox_id: MailboxId) -> None:
        with self._lock:
            self._kept.pop(mailbox_id, None)
            self._counts.pop(mailbox_id, None)


def _snapshot(box: Mailbox, table: MessageTable, shown: _Shown) -> MailboxSnapshot:
    return MailboxSnapshot(
        replace(box, modseq=table.modseq, uid_next=table.uid_next),
        table.uids[:],
        shown.keywords,
        shown.first_unseen,
    )


def load_table(
    conn: Connection, mailbox_id: MailboxId, modseq: ModSeq, uid_next: Uid
) -> MessageTable:
    """Read the table of a mailbox, whose MODSEQ and next UID this snapshot has.

    Raises:
        TooManyKeywords: its messages have too many different ones to be kept in memory.
    """
    builder = TableBuilder(mailbox_id, modseq, uid_next)
    # Not by SQLAlchemy: its rows take as long as the statement. The names are constants.
    mark = mark_of(conn)
    query = (
        f"SELECT {_COLUMNS} FROM message WHERE mailbox_id = {mark} AND uid > {mark}"  # noqa: S608
        f" ORDER BY uid LIMIT {_ROWS}"
    )
    last = 0
    while rows := _rows(conn, query, (mailbox_id, last)):
        builder.add(rows)
        last = rows[-1][0]
        if len(rows) < _ROWS:
            break
    return builder.finish()


def _follow(
    conn: Connection, table: MessageTable, modseq: ModSeq, uid_next: Uid
) -> MessageTable | None:
    """Return the table as the snapshot has it; ``None``: it has to be loaded anew."""
    mark, since = mark_of(conn), (table.mailbox_id, table.modseq)
    after = f"WHERE mailbox_id = {mark} AND modseq > {mark} ORDER BY uid LIMIT {_MOST_CHANGES}"
    # The names are constants.
    changed = _rows(conn, f"SELECT {_COLUMNS} FROM message {after}", since)  # noqa: S608
    gone = execute_text(conn, f"SELECT uid FROM expunged {after}", since)  # noqa: S608
    if len(changed) == _MOST_CHANGES or len(gone) == _MOST_CHANGES:
        return None
    if len(table.flag_sets) > max(_MOST_SETS, len(table)):  # most of them are in use no more
        return None
    try:
        return follow(table, modseq, uid_next, changed, [uid for (uid,) in gone])
    except TooManyKeywords:  # perhaps because of some that are in use no more
        return None


def _count(table: MessageTable) -> MailboxCounts:
    bit = FLAG_BITS["\\Deleted"]
    kinds = {kind for kind, one in enumerate(table.flag_sets) if one.bits & bit}
    deleted = len(table) - table.count_without(bit)
    deleted_size = 0
    if deleted:
        pairs = zip(table.sizes, table.kinds, strict=True)
        deleted_size = sum([size for size, kind in pairs if kind in kinds])
    unseen = table.count_without(FLAG_BITS["\\Seen"])
    return MailboxCounts(len(table), unseen, sum(table.sizes), deleted, deleted_size)


def _rows(conn: Connection, query: str, parameters: tuple[int, ...]) -> list[TableRow]:
    return list(execute_text(conn, query, parameters))


_COLUMNS = (
    "uid, modseq, flags, keywords, received_at_ms, size, coalesce(saved_at_ms, received_at_ms)"
)
_POSITIONS = "SELECT id, modseq, uid_next, forgotten_modseq FROM mailbox WHERE id IN"
_POSITION = sa.select(mailbox.c.modseq, mailbox.c.uid_next, mailbox.c.forgotten_modseq).where(
    mailbox.c.id == sa.bindparam("mailbox_"), readable()
)
