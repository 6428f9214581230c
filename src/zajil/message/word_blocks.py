"""Blocks of an index: words in order, and in which messages each of them stands. Pure.

A *segment* of an index covers some messages, which it numbers from 0. Its words are divided into
blocks, so that a look-up reads few of them. A *key* is a word as it is kept: UTF-8, behind a byte
that says where it stands in its messages (``WordZone``); words of the content have no such byte.

Laws:
- Keys of a block ascend, and those of the next block are larger.
- ``merge`` never holds more than some blocks of each segment.
"""

from __future__ import annotations

import heapq
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import accumulate, chain, groupby, pairwise
from operator import itemgetter

from zajil.core.byte_order import little_endian
from zajil.core.value_class import value_class
from zajil.message.words import Anchor, Clue

MAX_MESSAGES = 65_535
"""Of a segment: their numbers have 16 bits."""
_BLOCK_WORDS = 1000
_BLOCK_NUMBERS = 8192
"""A block ends with the word that passes one of the two."""
_LEVEL = 6
"""Of compression: of the size to the power of the time, the best."""

Numbers = Sequence[int]
"""Of messages in a segment, ascending."""


class WordZone(Enum):
    """Where in a message a word stands."""

    CONTENT = b""
    """Subject, people, text, attachments."""
    HEADER = b"\x01"
    """Nowhere but in other header fields."""
    SUBJECT = b"\x02"
    """Also in the subject."""
    SENDER = b"\x03"
    """Also in From."""
    RECIPIENT = b"\x04"
    """Also in To, Cc or Bcc."""
    BESIDE = b"\x05"
    """In ``CONTENT``, but not in what SEARCH TEXT and BODY look through."""
    DOCUMENT = b"\x06"
    """In ``CONTENT``, and in an attached document; not in a text, which is read."""


_FIRST_OF_CONTENT = b"0"
"""No word begins with a smaller byte."""
_FIRST = _FIRST_OF_CONTENT[0]


def key_of(word: str, zone: WordZone) -> bytes:
    """Return how a word is kept."""
    return zone.value + word.encode("utf-8", "replace")


def word_of(key: bytes) -> str:
    """Return the word of a key."""
    return (key if key[0] >= _FIRST else key[1:]).decode("utf-8", "replace")


def mark_of_key(key: bytes) -> bytes:
    """Return the value of a key's zone."""
    return b"" if key[0] >= _FIRST else key[:1]


@value_class(frozen=True, slots=True)
class Block:
    """Some words of a segment."""

    first: bytes
    """The smallest key."""
    last: bytes
    words: bytes
    """All keys, compressed."""
    numbers: bytes
    """In which messages each of them stands; ``b""``: in the only message of the segment."""


def encode_message(keys: Iterable[bytes]) -> Block | None:
    """Return the block of a segment of one message; ``None``: there is no word."""
    ordered = sorted(keys)
    if not ordered:
        return None
    # It is merged soon, so time counts more than size.
    return Block(ordered[0], ordered[-1], zlib.compress(_lines(ordered), 1), b"")


def read_keys(words: bytes) -> list[bytes]:
    """Return the keys of a block, ascending."""
    return zlib.decompress(words)[1:-1].split(b"\n")


class BlockNumbers:
    """In which messages the words of one block stand."""

    def __init__(self, packed: bytes) -> None:
        self._steps = array("H")
        self._ends = [1]
        self._is_single = not packed
        if packed:
            data = zlib.decompress(packed)
            count = int.from_bytes(data[:4], "little")
            sizes = _joined(data[4 : 4 + 2 * count])
            self._steps = _joined(data[4 + 2 * count :])
            self._ends = list(accumulate(sizes))

    def steps_of(self, place: int) -> Sequence[int]:
        """Return the first number of a word, and the distance of each next one."""
        if self._is_single:
            return _ONLY
        return self._steps[self._ends[place - 1] if place else 0 : self._ends[place]]

    def of(self, place: int) -> Numbers:
        """Return the messages of the word at this place of the block."""
        return list(accumulate(self.steps_of(place)))

    def marks_of(self, place: int) -> bytes:
        """Return the same as a byte for each message, from number 0 on: 1, if it has the word."""
        first, *others = self.steps_of(place)
        return marks_of_steps(chain((first + 1,), others))


_ONLY = array("H", [0])


class _Marks(dict[int, bytes]):
    """The marks of what is so many steps behind the mark before; the short ones are kept."""

    def __missing__(self, step: int) -> bytes:
        marks = bytes(step - 1) + b"\x01"
        if step < _KEPT_STEPS:
            self[step] = marks
        return marks


_KEPT_STEPS = 1000
_MARKS = _Marks()


def marks_of_steps(steps: Iterable[int]) -> bytes:
    """Return a byte for each number from 0 on: 1 for those that are meant, 0 for the others.

    Args:
        steps: from -1 to the first number, and from each to the next one; larger than 0.
    """
    return b"".join(map(_MARKS.__getitem__, steps))


# ---- look-up ------------------------------------------------------------------------------------


def span_of(clue: Clue, zone: WordZone) -> tuple[bytes, bytes]:
    """Return the smallest and the largest key that may fit; all words of the zone for an end."""
    begin = zone.value or _FIRST_OF_CONTENT
    end = zone.value + b"\xff"
    letters = key_of(clue.letters, zone)
    match clue.place:
        case Anchor.WHOLE:
            return letters, letters
        case Anchor.BEGIN:
            return letters, letters + b"\xff"
        case _:
            return begin, end


def find_places(words: bytes, clue: Clue, zones: Iterable[WordZone]) -> list[tuple[int, bytes]]:
    """Return the keys of a block that fit, each with its place.

    Args:
        words: of the block, decompressed (``open_words``).
        clue: what the word must be like.
        zones: where it may stand.
    """
    letters = clue.letters.encode("utf-8", "replace")
    found: dict[int, bytes] = {}
    if clue.place in (Anchor.WHOLE, Anchor.BEGIN):
        end = b"\n" if clue.place is Anchor.WHOLE else b""
        for zone in zones:
            _search(words, b"\n" + zone.value + letters + end, found)
    else:
        _search(words, letters + (b"\n" if clue.place is Anchor.END else b""), found)
        marks = {zone.value for zone in zones}
        found = {place: key for place, key in found.items() if mark_of_key(key) in marks}
    return list(found.items())


def open_words(packed: bytes) -> bytes:
    """Return the keys of a block with a line end before and after each."""
    return zlib.decompress(packed)


def _search(words: bytes, letters: bytes, found: dict[int, bytes]) -> None:
    at, place, counted = words.find(letters), 0, 0
    while at >= 0:
        # The key that the match is in begins behind the line end at or before it.
        start = words.rfind(b"\n", 0, at + 1) + 1
        end = words.find(b"\n", start)
        place += words.count(b"\n", counted, start) - (0 if counted else 1)
        counted = start
        found[place] = words[start:end]
        at = words.find(letters, end)


# ---- merging ------------------------------------------------------------------------------------


@value_class(frozen=True, slots=True)
class OpenSegment:
    """A segment to be merged: its blocks are read one after the other."""

    blocks: Iterable[tuple[bytes, bytes]]
    """Words and numbers of each."""
    is_single: bool
    """It has one message; its blocks need not follow one another."""
    kept: Sequence[bool]
    """Of each of its messages, whether it stays."""


def merge(segments: Sequence[OpenSegment]) -> Iterator[Block]:
    """Return the blocks of the segment that takes the place of these.

    It numbers the messages that stay in the order of the segments. Takes some milliseconds for
    each block.
    """
    streams, base = [], 0
    for order, segment in enumerate(segments):
        count = sum(segment.kept)
        if count:
            streams.append(_stream(segment, order, base))
        base += count
    keys: list[bytes] = []
    sizes, steps = array("H"), array("H")
    for key, group in groupby(heapq.merge(*streams), key=itemgetter(0)):
        before, size = 0, len(steps)
        for _, _, first, rest, last in group:
            steps.append(first - before)
            steps.extend(rest)
            before = last
        keys.append(key)
        sizes.append(len(steps) - size)
        if len(keys) >= _BLOCK_WORDS or len(steps) >= _BLOCK_NUMBERS:
            yield _block(keys, sizes, steps, base)
            keys, sizes, steps = [], array("H"), array("H")
    if keys:
        yield _block(keys, sizes, steps, base)


def _stream(
    segment: OpenSegment, order: int, base: int
) -> Iterator[tuple[bytes, int, int, Sequence[int], int]]:
    """Return each key with the numbers of its messages: first, steps to the others, last."""
    if segment.is_single:
        keys = sorted({key for words, _ in segment.blocks for key in read_keys(words)})
        for key in keys:
            yield key, order, base, (), base
        return
    # Where none is left out, the steps between numbers stay as they are.
    new = None if all(segment.kept) else [base + n for n in accumulate(segment.kept, initial=0)]
    for words, packed in segment.blocks:
        numbers = BlockNumbers(packed)
        for place, key in enumerate(read_keys(words)):
            steps = numbers.steps_of(place)
            if new is not None:
                left = [new[n] for n in accumulate(steps) if segment.kept[n]]
                if left:
                    between = [two - one for one, two in pairwise(left)]
                    yield key, order, left[0], between, left[-1]
                continue
            yield key, order, base + steps[0], steps[1:], base + sum(steps)


def _block(keys: Sequence[bytes], sizes: array[int], steps: array[int], messages: int) -> Block:
    if messages == 1:
        return Block(keys[0], keys[-1], _pack(keys), b"")
    data = len(sizes).to_bytes(4, "little") + _divided(sizes) + _divided(steps)
    return Block(keys[0], keys[-1], _pack(keys), zlib.compress(data, _LEVEL))


def _pack(keys: Sequence[bytes]) -> bytes:
    return zlib.compress(_lines(keys), _LEVEL)


def _lines(keys: Sequence[bytes]) -> bytes:
    return b"\n" + b"\n".join(keys) + b"\n"


def _divided(numbers: array[int]) -> bytes:
    """Return the low bytes of all numbers, then the high ones: they are much alike."""
    data = little_endian(numbers).tobytes()
    return data[::2] + data[1::2]


def _joined(data: bytes) -> array[int]:
    half = len(data) // 2
    whole = bytearray(len(data))
    whole[::2], whole[1::2] = data[:half], data[half:]
    numbers = array("H", bytes(whole))
    return little_endian(numbers)
