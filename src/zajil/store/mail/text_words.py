"""The words of an index that are like those of a term: a pass over all words of an account."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.message.word_blocks import WordZone, find_places, open_words, span_of
from zajil.message.words import Clue
from zajil.store.engine.rows import portions
from zajil.store.schema import text_block

MAX_FITTING = 10_000
"""Words that fit a piece of a term; with more of them, it says nothing about a message."""
MOST_OPENED = 40 << 20
"""Bytes of words that are kept."""
_AT_ONCE = 16
"""Segments that are read at a time."""
_BEHIND_HEADER = b"\x02"
"""The words of most header fields (``WordZone.HEADER``) are before it. They are many, only searches
of IMAP look for them, and they are not kept."""

Numbers: TypeAlias = "Mapping[int, array[int] | bytes]"
"""Of messages in segments, by the id of the segment: ascending, or, where they are many, a byte for
each message that is 1 or 0."""


@value_class(frozen=True, slots=True)
class Wanted:
    """Words that are looked up."""

    clue: Clue
    zones: tuple[WordZone, ...]
    """Where in a message they may stand."""
    accept: Callable[[bytes], bool] | None = None
    """Which of the keys that fit count; ``None``: all."""


@dataclass(slots=True)
class Fitting:
    """The words of an index that are wanted."""

    count: int
    places: dict[int, list[int]]
    """Places of words in each block, by its id."""
    numbers: Numbers | None = None
    """Of the messages that have one of the words; ``None``: not read yet."""

    @property
    def memory(self) -> int:
        """Return how many bytes it takes, roughly."""
        numbers = 0 if self.numbers is None else sum(map(len, self.numbers.values()))
        return 500 + 8 * self.count + 100 * len(self.places) + 2 * numbers


@value_class(frozen=True, slots=True)
class _OpenBlock:
    """The words of a block."""

    segment_id: int
    block_id: int
    first: bytes
    last: bytes
    words: bytes
    """Decompressed."""


class OpenedWords:
    """The words of the segments that were used last, decompressed; for use in reader threads.

    A segment never changes, and its id is never used again.
    """

    def __init__(self, most_bytes: int = MOST_OPENED) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[int, tuple[_OpenBlock, ...]] = OrderedDict()
        self._sizes: dict[int, int] = {}
        self._total = 0
        self._lock = threading.Lock()

    @property
    def memory(self) -> int:
        """Return how many bytes it takes, roughly."""
        return self._total

    def find(
        self, conn: Connection, segment_ids: Sequence[int], wanted: Sequence[Wanted]
    ) -> list[Fitting]:
        """Return for each item the words that fit it, in one pass over the index of an account.

        Of more than ``MAX_FITTING`` not all are returned.

        Args:
            conn: a snapshot.
            segment_ids: of the index.
            wanted: words.
        """
        found = [Fitting(0, {}) for _ in wanted]
        if not wanted:
            return found
        spans = [[span_of(one.clue, zone) for zone in one.zones] for one in wanted]
        letters = [one.clue.letters.encode("utf-8", "replace") for one in wanted]
        low = min(first for some in spans for first, _ in some)
        high = max(last for some in spans for _, last in some)
        for block in self._blocks(conn, segment_ids, low, high):
            for fitting, one, near, text in zip(found, wanted, spans, letters, strict=True):
                if text not in block.words or fitting.count > MAX_FITTING:
                    continue
                if not any(block.first <= last and block.last >= first for first, last in near):
                    continue
                keys = find_places(block.words, one.clue, one.zones)
                places = [at for at, key in keys if one.accept is None or one.accept(key)]
                if places:
                    fitting.count += len(places)
                    fitting.places[block.block_id] = places
        return found

    def _blocks(
        self, conn: Connection, segment_ids: Sequence[int], low: bytes, high: bytes
    ) -> Iterator[_OpenBlock]:
        """Yield the blocks that may have words between two keys."""
        if low < _BEHIND_HEADER:
            yield from _read(conn, _OF_HEADER, segment_ids, {"low_": low, "high_": high})
        missing: list[int] = []
        for segment_id in segment_ids:
            with self._lock:
                blocks = self._kept.get(segment_id)
                if blocks is not None:
                    self._kept.move_to_end(segment_id)
            if blocks is None:
                missing.append(segment_id)
            else:
                yield from blocks
        own = frozenset(segment_ids)
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            opened: dict[int, list[_OpenBlock]] = defaultdict(list)
            for block in _read(conn, _OTHERS, some, {}):
                opened[block.segment_id].append(block)
            for segment_id in some:
                self._keep(segment_id, tuple(opened[segment_id]), own)
                yield from opened[segment_id]

    def _keep(self, segment_id: int, blocks: tuple[_OpenBlock, ...], own: AbstractSet[int]) -> None:
        """Keep a segment, instead of others that are not of the same index, if there is room."""
        size = 200 + sum(len(block.words) + 300 for block in blocks)
        with self._lock:
            while self._total + size > self._most_bytes:
                oldest = next((one for one in self._kept if one not in own), None)
                if oldest is None:
                    return
                self._total -= self._sizes.pop(oldest)
                del self._kept[oldest]
            if segment_id not in self._kept:
                self._total += size
                self._sizes[segment_id] = size
                self._kept[segment_id] = blocks


def _read(
    conn: Connection, query: sa.Select[Any], segment_ids: Sequence[int], given: dict[str, bytes]
) -> Iterator[_OpenBlock]:
    for some in portions(segment_ids):
        for segment_id, block_id, first, last, packed in conn.execute(
            query, {**given, "ids_": some}
        ):
            yield _OpenBlock(segment_id, block_id, first, last, open_words(packed))


_BLOCKS = sa.select(
    text_block.c.segment_id,
    text_block.c.id,
    text_block.c.first_word,
    text_block.c.last_word,
    text_block.c.words,
).where(text_block.c.segment_id.in_(sa.bindparam("ids_", expanding=True)))
_OF_HEADER = _BLOCKS.where(
    text_block.c.last_word < _BEHIND_HEADER,
    text_block.c.first_word <= sa.bindparam("high_"),
    text_block.c.last_word >= sa.bindparam("low_"),
)
_OTHERS = _BLOCKS.where(text_block.c.last_word >= _BEHIND_HEADER)
