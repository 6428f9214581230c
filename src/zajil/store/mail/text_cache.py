"""What look-ups in the index of words need again and again, in memory.

The index speaks of blobs by their number in a segment; a search wants UIDs of one mailbox. Which
number is which UID is found once for each mailbox and segment, and kept: 4 bytes for a message.
The numbers of the words that were looked up last are kept, too, so that a search through many
mailboxes, or the next page of one, reads the index once.

Laws:
- A segment never changes, and its id is never used again; a message keeps its blob for ever. So
  what is known of a segment stays true, and what is missing is only what came since: segments that
  are new, and messages that are new in a mailbox (a copy has the blob of an old segment).
- What was expunged may still be named: the caller compares it with the table of the mailbox.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from itertools import compress, islice
from operator import itemgetter, lt

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId
from zajil.core.value_class import value_class
from zajil.message.word_blocks import BlockNumbers, WordZone
from zajil.message.words import Clue
from zajil.store.engine.rows import AT_ONCE, execute_text, mark_of, portions
from zajil.store.mail.text_index import unpack_ids
from zajil.store.mail.text_words import MOST_OPENED, Fitting, Numbers, OpenedWords
from zajil.store.schema import message, text_block, text_segment

MOST_BYTES = 16 << 20
"""Of the places in all mailboxes; those of a single larger one are kept all the same."""
MOST_WORD_BYTES = 8 << 20
"""Of the numbers of words."""
_SPARSE = 8
"""A mailbox that has one of so many messages of a segment, or fewer, takes less as a table."""

_MANY = 256
"""Messages of a segment that are marked by a byte each, instead of listed."""
_NONE = BlobId("")

_WordKey = tuple[AccountId, tuple[int, ...], Clue, tuple[WordZone, ...]]


def read_numbers(conn: Connection, fitting: Fitting) -> Numbers:
    """Return the numbers of the messages that have one of the words."""
    if fitting.numbers is not None:
        return fitting.numbers
    by_segment: dict[int, list[array[int] | bytes]] = defaultdict(list)
    for some in portions(sorted(fitting.places)):
        for block_id, segment_id, packed in conn.execute(_NUMBERS, {"ids_": some}):
            block = BlockNumbers(packed)
            by_segment[segment_id] += [
                block.marks_of(place)
                if len(block.steps_of(place)) >= _MANY
                else array("H", block.of(place))
                for place in fitting.places[block_id]
            ]
    fitting.numbers = {one: _joined(lists) for one, lists in by_segment.items()}
    return fitting.numbers


def _joined(lists: Sequence[array[int] | bytes]) -> array[int] | bytes:
    """Return the messages that are in one of some lists."""
    if len(lists) == 1:
        return lists[0]
    several = sorted({number for one in lists if isinstance(one, array) for number in one})
    marks = [one for one in lists if isinstance(one, bytes)]
    if not marks:
        return array("H", several)
    size = max([*map(len, marks), *[number + 1 for number in several[-1:]]])
    some = bytearray(size)
    for number in several:
        some[number] = 1
    total = int.from_bytes(some, "little")
    for one in marks:
        total |= int.from_bytes(one, "little")
    return total.to_bytes(size, "little")


def list_segment_ids(conn: Connection, account_id: AccountId) -> tuple[int, ...]:
    """Return the segments of an account's index, ascending."""
    mark = mark_of(conn)
    query = f"SELECT id FROM text_segment WHERE account_id = {mark} ORDER BY id"  # noqa: S608
    return tuple([row[0] for row in execute_text(conn, query, (account_id,))])


def read_segment_ids(
    conn: Connection, segment_ids: Iterable[int]
) -> Iterable[tuple[int, list[BlobId]]]:
    """Yield segments, each with its blobs in the order of their numbers."""
    for some in portions(sorted(segment_ids)):
        for segment_id, packed in conn.execute(_SEGMENTS, {"ids_": some}):
            yield segment_id, unpack_ids(packed)


@value_class(frozen=True, slots=True)
class SegmentPlaces:
    """Which messages of a mailbox have the blobs of a segment."""

    first: BlobId
    """The smallest of its blobs."""
    last: BlobId
    uids: array[int] | dict[int, int]
    """UIDs by number; 0 or none: no message of the mailbox."""
    more: Mapping[int, tuple[int, ...]]
    """Further UIDs of the blobs that several messages have."""

    @property
    def memory(self) -> int:
        """Return how many bytes it takes, roughly."""
        size = 4 if isinstance(self.uids, array) else 100
        return 300 + size * len(self.uids) + 200 * len(self.more)

    def uids_of(self, numbers: array[int] | bytes) -> array[int]:
        """Return the UIDs of these numbers, in the order of the numbers."""
        uids: Iterable[int]
        if isinstance(numbers, array):
            known = self.uids
            if isinstance(known, array):
                uids = filter(None, map(known.__getitem__, numbers))
            elif len(known) * _SPARSE < len(numbers):
                uids = [uid for number, uid in known.items() if _is_among(numbers, number)]
            else:
                uids = [known[number] for number in numbers if number in known]
        elif isinstance(self.uids, array):
            uids = filter(None, compress(self.uids, numbers))
        else:
            uids = [uid for number, uid in self.uids.items() if _is_among(numbers, number)]
        found = array("I", uids)
        for number, others in self.more.items():
            if _is_among(numbers, number):
                found.extend(others)
        return found


@value_class(frozen=True, slots=True)
class MailboxPlaces:
    """Which messages of a mailbox have the blobs of an index."""

    segments: Mapping[int, SegmentPlaces] = field(default_factory=dict)
    next_uid: int = 1
    """Messages from here on were not looked at yet."""

    @property
    def memory(self) -> int:
        """Return how many bytes it takes, roughly."""
        return sum(one.memory for one in self.segments.values())

    def uids_of(self, numbers: Numbers) -> array[int]:
        """Return the messages that have these numbers, ascending, each once."""
        found = array("I")
        lists = [self.segments[one].uids_of(some) for one, some in numbers.items()]
        for some in sorted(filter(None, lists), key=itemgetter(0)):  # mostly one behind the other
            found += some
        if all(map(lt, found, islice(found, 1, None))):
            return found
        return array("I", sorted(set(found)))


class TextCache:
    """What is known of indexes; for use in reader threads."""

    def __init__(
        self,
        most_bytes: int = MOST_BYTES,
        most_word_bytes: int = MOST_WORD_BYTES,
        most_opened: int = MOST_OPENED,
    ) -> None:
        self._most_bytes = most_bytes
        self._most_word_bytes = most_word_bytes
        self._places: OrderedDict[MailboxId, tuple[MailboxPlaces, int]] = OrderedDict()
        self._words: OrderedDict[_WordKey, Fitting] = OrderedDict()
        self._lock = threading.Lock()
        self.opened = OpenedWords(most_opened)
        """The words of segments."""

    def places(
        self, conn: Connection, segment_ids: Sequence[int], mailbox_id: MailboxId
    ) -> MailboxPlaces:
        """Return where the messages of an index are in a mailbox.

        Args:
            conn: a snapshot.
            segment_ids: all segments of the index of the account that owns the mailbox.
            mailbox_id: the mailbox.
        """
        with self._lock:
            kept = self._places.get(mailbox_id)
        known = MailboxPlaces() if kept is None else kept[0]
        places = _bring_up(conn, known, segment_ids, mailbox_id)
        memory = places.memory if kept is None or places is not known else kept[1]
        with self._lock:
            self._places[mailbox_id] = (places, memory)
            self._places.move_to_end(mailbox_id)
            total = sum(size for _, size in self._places.values())
            while total > self._most_bytes and len(self._places) > 1:
                total -= self._places.popitem(last=False)[1][1]
        return places

    def find_words(self, key: _WordKey) -> Fitting | None:
        """Return words that were looked up; ``None``: look them up."""
        with self._lock:
            found = self._words.get(key)
            if found is not None:
                self._words.move_to_end(key)
        return found

    def keep_words(self, key: _WordKey, fitting: Fitting) -> None:
        """Keep words that were looked up, with their numbers."""
        with self._lock:
            self._words[key] = fitting
            self._words.move_to_end(key)
            total = sum(one.memory for one in self._words.values())
            while total > self._most_word_bytes and self._words:
                total -= self._words.popitem(last=False)[1].memory


# ---- places -------------------------------------------------------------------------------------


def _bring_up(
    conn: Connection, known: MailboxPlaces, segment_ids: Sequence[int], mailbox_id: MailboxId
) -> MailboxPlaces:
    """Return the places with the segments and messages that are new."""
    kept = {one: known.segments[one] for one in segment_ids if one in known.segments}
    missing = [one for one in segment_ids if one not in kept]
    rows = _rows_from(conn, mailbox_id, known.next_uid)
    if not missing and not rows and len(kept) == len(known.segments):
        return known
    next_uid = max([known.next_uid, *[uid + 1 for uid, _ in rows]])
    if rows and kept:
        kept |= _with_new(conn, kept, _by_blob(rows))
    if missing:
        ids = dict(read_segment_ids(conn, missing))
        count = sum(map(len, ids.values()))
        if known.next_uid > 1:
            rows = (
                _rows_of(conn, mailbox_id, [blob_id for some in ids.values() for blob_id in some])
                if count <= AT_ONCE
                else _rows_from(conn, mailbox_id, 1)
            )
        by_blob = _by_blob(rows)
        kept |= {one: _place(blobs, by_blob) for one, blobs in ids.items()}
    return MailboxPlaces(kept, next_uid)


def _rows_from(conn: Connection, mailbox_id: MailboxId, first: int) -> Sequence[tuple[int, BlobId]]:
    mark = mark_of(conn)
    query = (
        f"SELECT uid, blob_id FROM message WHERE mailbox_id = {mark}"  # noqa: S608
        f" AND uid >= {mark} ORDER BY uid"
    )
    return execute_text(conn, query, (mailbox_id, first))


def _rows_of(
    conn: Connection, mailbox_id: MailboxId, blob_ids: Sequence[BlobId]
) -> Sequence[tuple[int, BlobId]]:
    query = (
        sa.select(message.c.uid, message.c.blob_id)
        .where(message.c.blob_id.in_(blob_ids), message.c.mailbox_id == mailbox_id)
        .order_by(message.c.uid)
    )
    return [(uid, blob_id) for uid, blob_id in conn.execute(query)]


def _by_blob(rows: Iterable[tuple[int, BlobId]]) -> dict[BlobId, list[int]]:
    found: dict[BlobId, list[int]] = {}
    for uid, blob_id in rows:
        found.setdefault(blob_id, []).append(uid)
    return found


def _place(blobs: Sequence[BlobId], by_blob: Mapping[BlobId, Sequence[int]]) -> SegmentPlaces:
    return _fill(
        SegmentPlaces(min(blobs, default=_NONE), max(blobs, default=_NONE), {}, {}), blobs, by_blob
    )


def _fill(
    known: SegmentPlaces, blobs: Sequence[BlobId], by_blob: Mapping[BlobId, Sequence[int]]
) -> SegmentPlaces:
    """Return places of a segment with those of more messages."""
    if isinstance(known.uids, array):
        uids = {number: uid for number, uid in enumerate(known.uids) if uid}
    else:
        uids = dict(known.uids)
    more = dict(known.more)
    for number, blob_id in enumerate(blobs):
        for uid in by_blob.get(blob_id, ()):
            if uids.setdefault(number, uid) != uid:
                more[number] = (*more.get(number, ()), uid)
    if len(uids) * _SPARSE <= len(blobs):
        return SegmentPlaces(known.first, known.last, uids, more)
    column = array("I", map(uids.get, range(len(blobs)), [0] * len(blobs)))
    return SegmentPlaces(known.first, known.last, column, more)


def _with_new(
    conn: Connection,
    segments: Mapping[int, SegmentPlaces],
    by_blob: Mapping[BlobId, Sequence[int]],
) -> dict[int, SegmentPlaces]:
    """Return the segments that have blobs of new messages: they were copied from elsewhere.

    Mail that comes in has a blob of its own, which is younger than all of these.
    """
    near = [
        segment_id
        for segment_id, one in segments.items()
        if any(one.first <= blob_id <= one.last for blob_id in by_blob)
    ]
    return {
        segment_id: _fill(segments[segment_id], blobs, by_blob)
        for segment_id, blobs in read_segment_ids(conn, near)
        if not by_blob.keys().isdisjoint(blobs)
    }


def _is_among(numbers: array[int] | bytes, number: int) -> bool:
    if isinstance(numbers, bytes):
        return number < len(numbers) and numbers[number] == 1
    at = bisect_left(numbers, number)
    return at < len(numbers) and numbers[at] == number


_NUMBERS = sa.select(text_block.c.id, text_block.c.segment_id, text_block.c.numbers).where(
    text_block.c.id.in_(sa.bindparam("ids_", expanding=True))
)
_SEGMENTS = sa.select(text_segment.c.id, text_segment.c.blob_ids).where(
    text_segment.c.id.in_(sa.bindparam("ids_", expanding=True))
)
