"""All messages of one mailbox in memory, without their bytes: 40 bytes for each.

FETCH of flags, dates and sizes, SEARCH for them, and SELECT are answered from such a table. It is
a cache: the store has everything that is in it (``store.mail.message_tables`` keeps it current).

Laws:
- A table never changes: what happened since is in the next one, so any thread may read it.
- Its columns have one entry for each message, ascending by UID.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import le
from typing import TypeAlias

from zajil.core.ids import MailboxId, ModSeq, Uid
from zajil.core.value_class import value_class
from zajil.store.mail.flags import TooManyKeywords, unpack_flags

MAX_TEXT = 16 << 20
"""Characters of keywords in all flag sets of a table: protects our memory."""

_BYTES = 40
"""Of one message."""

TableRow: TypeAlias = tuple[int, int, int, str, int, int, int]
"""UID, MODSEQ, bits of system flags, keywords, INTERNALDATE in ms, size, SAVEDATE in ms."""


@value_class(frozen=True, slots=True)
class FlagSet:
    """Flags that some messages have in common, as the store writes them."""

    bits: int
    """``store.mail.flags.FLAG_BITS``."""
    keywords: str
    """Sorted, divided by a space."""

    @property
    def flags(self) -> frozenset[str]:
        """System flags and keywords."""
        return unpack_flags(self.bits, self.keywords)


@value_class(frozen=True, slots=True, kw_only=True)
class MessageTable:
    """The messages of one mailbox at one moment."""

    mailbox_id: MailboxId
    modseq: ModSeq
    """The mailbox's: everything up to it is in here."""
    uid_next: Uid
    uids: array[int]
    modseqs: array[int]
    kinds: array[int]
    """The flags of each message: a place in ``flag_sets``."""
    received_at_ms: array[int]
    """INTERNALDATE."""
    sizes: array[int]
    """RFC822.SIZE."""
    saved_at_ms: array[int]
    """SAVEDATE."""
    flag_sets: tuple[FlagSet, ...]
    """Each once; some may be in use no more."""
    text_size: int
    """Characters of all keywords in ``flag_sets``."""
    _by_time: list[Sequence[int]] = field(init=False, repr=False, default_factory=list)
    """What ``by_time`` returns, once somebody asked for it."""

    def __len__(self) -> int:
        return len(self.uids)

    @property
    def memory(self) -> int:
        """Return how many bytes it takes, roughly."""
        return _BYTES * len(self.uids) + self.sets_memory

    @property
    def sets_memory(self) -> int:
        """Return how many bytes its flag sets take, roughly."""
        return 200 * len(self.flag_sets) + self.text_size

    def place_of(self, uid: int) -> int | None:
        """Return where in the columns a message is; ``None``: it is not there."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else None

    def places_of(self, uids: Sequence[int]) -> Sequence[int]:
        """Return where in the columns messages are; those that are not there are left out.

        Args:
            uids: ascending, each once.
        """
        if not uids:
            return ()
        start = bisect_left(self.uids, uids[0])
        stop = bisect_left(self.uids, uids[-1], start) + 1
        there = self.uids[start:stop]
        if len(there) == len(uids) and there == array("I", uids):
            return range(start, start + len(there))
        if len(there) > 16 * len(uids):
            found = (self.place_of(uid) for uid in uids)
            return [place for place in found if place is not None]
        places = dict(zip(there, range(start, stop), strict=False))
        return [places[uid] for uid in uids if uid in places]

    def by_time(self) -> Sequence[int]:
        """Return all places in the order of INTERNALDATE; equal ones ascend."""
        if not self._by_time:
            times = self.received_at_ms
            order: Sequence[int] = range(len(times))
            if not all(map(le, times, islice(times, 1, None))):
                order = array("I", sorted(order, key=times.__getitem__))
            self._by_time.append(order)
        return self._by_time[0]

    def newest(self, uids: array[int], count: int) -> list[int]:
        """Return the places of the newest of some messages, the newest first.

        Args:
            uids: ascending, each once.
            count: of places, at most.
        """
        order = self.by_time()
        if isinstance(order, range):
            # One by one: some may be gone.
            found = (self.place_of(uid) for uid in reversed(uids))
            return list(islice((place for place in found if place is not None), count))
        if len(uids) < len(self.uids) // 16:
            places = sorted(self.places_of(uids), key=self.received_at_ms.__getitem__)
            return places[: -count - 1 : -1]
        wanted, column = frozenset(uids), self.uids
        return list(islice((place for place in reversed(order) if column[place] in wanted), count))

    def kinds_in_use(self) -> list[int]:
        """Return the places in ``flag_sets`` that messages have, in the order of these messages."""
        return list(dict.fromkeys(self.kinds))

    def keywords(self) -> tuple[str, ...]:
        """Return every keyword in use, once, as the first message with it spells it."""
        words: dict[str, str] = {}
        for kind in self.kinds_in_use():
            for word in self.flag_sets[kind].keywords.split():
                words.setdefault(word.lower(), word)
        return tuple(words.values())

    def first_without(self, bit: int) -> int | None:
        """Return the place of the first message without a system flag; ``None``: all have it."""
        wanted = [kind for kind, one in enumerate(self.flag_sets) if not one.bits & bit]
        places = [self.kinds.index(kind) for kind in wanted if kind in self.kinds]
        return min(places, default=None)

    def count_without(self, bit: int) -> int:
        """Count the messages without a system flag."""
        counts = Counter(self.kinds)
        return sum(number for kind, number in counts.items() if not self.flag_sets[kind].bits & bit)


class TableBuilder:
    """Makes a table from rows that come in the order of their UIDs."""

    def __init__(self, mailbox_id: MailboxId, modseq: ModSeq, uid_next: Uid) -> None:
        self._mailbox_id = mailbox_id
        self._modseq = modseq
        self._uid_next = uid_next
        self._columns = _Columns.empty()
        self._sets = _FlagSets((), 0)

    def add(self, rows: Sequence[TableRow]) -> None:
        """Add the next rows.

        Raises:
            TooManyKeywords: see ``MAX_TEXT``.
        """
        self._columns.extend(rows, self._sets)

    def finish(self) -> MessageTable:
        """Return the table."""
        columns, sets = self._columns, self._sets
        return MessageTable(
            mailbox_id=self._mailbox_id,
            modseq=self._modseq,
            uid_next=self._uid_next,
            uids=columns.uids,
            modseqs=columns.modseqs,
            kinds=columns.kinds,
            received_at_ms=columns.received_at_ms,
            sizes=columns.sizes,
            saved_at_ms=columns.saved_at_ms,
            flag_sets=tuple(sets.sets),
            text_size=sets.text_size,
        )


def follow(
    table: MessageTable,
    modseq: ModSeq,
    uid_next: Uid,
    changed: Sequence[TableRow],
    expunged: Iterable[int],
) -> MessageTable | None:
    """Return the table after these changes; ``None``: they do not fit, load it anew.

    Args:
        table: as it was.
        modseq: the mailbox's, after the changes.
        uid_next: the same.
        changed: messages that are new or have new flags, ascending by UID.
        expunged: UIDs; they may name messages that came and went meanwhile.

    Raises:
        TooManyKeywords: see ``MAX_TEXT``.
    """
    sets = _FlagSets(table.flag_sets, table.text_size)
    last = table.uids[-1] if table.uids else 0
    first_new = bisect_left(changed, last + 1, key=lambda row: row[0])
    modseqs, kinds = table.modseqs[:], table.kinds[:]
    for row in changed[:first_new]:
        place = table.place_of(row[0])
        if place is None:
            return None
        modseqs[place], kinds[place] = row[1], sets.number(row[2], row[3])
    columns = _Columns(
        table.uids, modseqs, kinds, table.received_at_ms, table.sizes, table.saved_at_ms
    )
    places = sorted({n for uid in expunged if (n := table.place_of(uid)) is not None})
    if places:
        columns = columns.without(places)
    if first_new < len(changed):
        columns = columns.copy()
        columns.extend(changed[first_new:], sets)
    return replace(
        table,
        modseq=modseq,
        uid_next=uid_next,
        uids=columns.uids,
        modseqs=columns.modseqs,
        kinds=columns.kinds,
        received_at_ms=columns.received_at_ms,
        sizes=columns.sizes,
        saved_at_ms=columns.saved_at_ms,
        flag_sets=tuple(sets.sets),
        text_size=sets.text_size,
    )


def pick(column: array[int], places: Sequence[int]) -> array[int]:
    """Return what a column has at these places."""
    if isinstance(places, range):
        return column[places.start : places.stop]
    return array(column.typecode, [column[place] for place in places])


# ---- inside -------------------------------------------------------------------------------------


class _FlagSets:
    """Flag sets, each with its number."""

    def __init__(self, sets: Sequence[FlagSet], text_size: int) -> None:
        self.sets = list(sets)
        self.text_size = text_size
        self.numbers = {(one.bits, one.keywords): place for place, one in enumerate(sets)}

    def number(self, bits: int, keywords: str) -> int:
        """Return the number of a flag set; a new one gets the next.

        Raises:
            TooManyKeywords: see ``MAX_TEXT``.
        """
        known = self.numbers.get((bits, keywords))
        if known is not None:
            return known
        self.text_size += len(keywords)
        if self.text_size > MAX_TEXT:
            raise TooManyKeywords("the messages of a mailbox have too many different keywords")
        self.numbers[bits, keywords] = len(self.sets)
        self.sets.append(FlagSet(bits, keywords))
        return len(self.sets) - 1


@dataclass(slots=True)
class _Columns:
    """The columns of a table that is being made."""

    uids: array[int]
    modseqs: array[int]
    kinds: array[int]
    received_at_ms: array[int]
    sizes: array[int]
    saved_at_ms: array[int]

    @classmethod
    def empty(cls) -> _Columns:
        return cls(array("I"), array("Q"), array("I"), array("q"), array("Q"), array("q"))

    def __iter__(self) -> Iterator[array[int]]:
        numbers = (self.received_at_ms, self.sizes, self.saved_at_ms)
        return iter((self.uids, self.modseqs, self.kinds, *numbers))

    def copy(self) -> _Columns:
        return _Columns(*[column[:] for column in self])

    def extend(self, rows: Sequence[TableRow], sets: _FlagSets) -> None:
        if not rows:
            return
        uids, modseqs, bits, keywords, received, sizes, saved = zip(*rows, strict=True)
        for pair in dict.fromkeys(zip(bits, keywords, strict=True)):
            sets.number(*pair)
        self.uids.extend(uids)
        self.modseqs.extend(modseqs)
        self.kinds.extend(map(sets.numbers.__getitem__, zip(bits, keywords, strict=True)))
        self.received_at_ms.extend(received)
        self.sizes.extend(sizes)
        self.saved_at_ms.extend(saved)

    def without(self, places: Sequence[int]) -> _Columns:
        """Return the columns without some places, ascending: copied from gap to gap."""
        kept = _Columns.empty()
        for column, target in zip(self, kept, strict=True):
            start = 0
            for place in places:
                target.extend(column[start:place])
                start = place + 1
            target.extend(column[start:])
        return kept
