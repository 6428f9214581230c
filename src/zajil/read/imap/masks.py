"""Yes or no for many messages at once.

A *mask* has one byte for each message of a chunk, as one large number: so AND, OR and NOT of many
messages are one operation.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain, compress
from operator import sub

from zajil.imap.date_time import day_ms
from zajil.imap.search_key import Comparison
from zajil.message.word_blocks import marks_of_steps
from zajil.store.mail.message_table import MessageTable

_FEW = 16
"""Where so many times more are around them, messages are looked for one by one."""


@dataclass(slots=True)
class Chunk:
    """Some messages of a table, one behind the other."""

    table: MessageTable
    start: int
    stop: int
    all: int = field(init=False)
    """The mask of all of them."""

    def __post_init__(self) -> None:
        """Make the mask."""
        self.all = int.from_bytes(b"\x01" * (self.stop - self.start), "little")


def mask_from(values: map[bool]) -> int:
    """Return the mask that says of each message what stands at its place."""
    return int.from_bytes(bytes(values), "little")


def chosen(uids: array[int], mask: int) -> array[int]:
    """Return those of the messages of a chunk for which a mask says yes."""
    if not mask:
        return array("I")
    marks = mask.to_bytes(len(uids), "little")
    count = marks.count(1)
    if count == len(uids):
        return uids
    if count * 8 > len(uids):
        return array("I", compress(uids, marks))
    found, at = array("I"), marks.find(1)
    while at >= 0:
        found.append(uids[at])
        at = marks.find(1, at + 1)
    return found


def mask_of(chunk: Chunk, uids: Sequence[int]) -> int:
    """Return the mask of those of the messages, ascending, that are in a chunk."""
    table, marks = chunk.table, bytearray(chunk.stop - chunk.start)
    if not marks or not uids:
        return 0
    first, last = table.uids[chunk.start], table.uids[chunk.stop - 1]
    near = uids[bisect_left(uids, first) : bisect_right(uids, last)]
    span = last - first + 1
    if len(near) * _FEW > len(marks) and len(marks) * _FEW > span:
        dense = _marks(near, first).ljust(span, b"\x00")
        if len(marks) < span:
            there = _marks(table.uids[chunk.start : chunk.stop], first)
            dense = bytes(compress(dense, there))
        return int.from_bytes(dense, "little")
    for place in table.places_of(near):
        marks[place - chunk.start] = 1
    return int.from_bytes(marks, "little")


def _marks(uids: Sequence[int], first: int) -> bytes:
    """Return a byte for each UID from the first on, up to the last of these."""
    return marks_of_steps(map(sub, uids, chain((first - 1,), uids)))


def mask_of_spans(chunk: Chunk, spans: Sequence[tuple[int, int]]) -> int:
    """Return the mask of the messages whose UIDs are in ranges, ascending and apart."""
    uids, marks = chunk.table.uids, bytearray(chunk.stop - chunk.start)
    if not marks:
        return 0
    first, last = uids[chunk.start], uids[chunk.stop - 1]
    at = bisect_left(spans, first, key=lambda span: span[1])
    for low, high in spans[at:]:
        if low > last:
            break
        begin = bisect_left(uids, low, chunk.start, chunk.stop) - chunk.start
        end = bisect_right(uids, high, chunk.start, chunk.stop) - chunk.start
        marks[begin:end] = b"\x01" * (end - begin)
    return int.from_bytes(marks, "little")


def mask_of_days(chunk: Chunk, times: array[int], comparison: Comparison, day: date) -> int:
    """Return which moments, in ms since 1970, are on days that fit."""
    start = day_ms(day)
    before = mask_from(map(start.__gt__, times)) if comparison is not Comparison.ON else 0
    match comparison:
        case Comparison.BEFORE:
            return before
        case Comparison.SINCE:
            return chunk.all ^ before
        case Comparison.ON:
            end = start + 86_400_000
            return mask_from(map(start.__le__, times)) & mask_from(map(end.__gt__, times))
