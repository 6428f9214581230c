"""Sets of message numbers: ``1:3,7,10:*``. (RFC 3501 section 9, ``sequence-set``)"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from zajil.core.value_class import value_class
from zajil.imap.grammar import Scanner, bad

_SET = re.compile(
    rb"(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?(?:,(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?)*"
)

_PARTIAL = re.compile(rb"(-?)([0-9]{1,10}):(-?)([0-9]{1,10})(?![0-9])")

STAR = 0
"""Stands for ``*``, the largest number in use: 0 is not a message number."""

_ALL = ((1, STAR), (STAR, 1))


@value_class(frozen=True, slots=True)
class SequenceSet:
    """Ranges as the client wrote them; of sequence numbers or of UIDs, the command says which."""

    ranges: tuple[tuple[int, int], ...]
    """First and last, either may be ``STAR``, in either order."""
    saved: bool = False
    """It is ``$``: what the last SEARCH with SAVE found, and no ranges. (RFC 5182)"""

    def __repr__(self) -> str:
        """Show ``$`` as what it is."""
        return "SAVED" if self.saved else f"SequenceSet(ranges={self.ranges!r})"

    @property
    def has_star(self) -> bool:
        """Whether ``*`` stands in it."""
        return any(STAR in pair for pair in self.ranges)

    def spans(self, largest: int) -> list[tuple[int, int]]:
        """Return the ranges ascending, joined, with ``*`` resolved.

        Args:
            largest: what ``*`` means; 0 in an empty mailbox.
        """
        resolved = sorted(
            (min(pair), max(pair))
            for pair in ((first or largest, last or largest) for first, last in self.ranges)
        )
        joined: list[tuple[int, int]] = []
        for first, last in resolved:
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], last))
            else:
                joined.append((first, last))
        return joined

    def is_within(self, largest: int, *, star_is_all: bool = False) -> bool:
        """Check whether all message numbers exist. (RFC 3501 section 9, ``seq-number``)

        Args:
            largest: how many messages there are; 0 in an empty mailbox, which has no ``*`` either.
            star_is_all: ``1:*`` means all messages, also where there are none.
        """
        if star_is_all and not largest:
            return all(pair in _ALL for pair in self.ranges)
        return bool(largest) and max(map(max, self.ranges)) <= largest

    def select(self, numbers: Sequence[int]) -> list[int]:
        """Return those of ``numbers`` (ascending) in the set; ``*`` is the last one."""
        chosen: list[int] = []
        for first, last in self.spans(numbers[-1] if numbers else 0):
            chosen += numbers[bisect_left(numbers, first) : bisect_right(numbers, last)]
        return chosen


SAVED = SequenceSet((), saved=True)
"""``$``."""


def parse_sequence_set(scanner: Scanner) -> SequenceSet:
    """Take a set, or ``$``.

    Raises:
        CommandError: BAD, not a set, a zero in it, or a number above 32 bits.
    """
    if scanner.skip(b"$"):
        return SAVED
    text = scanner.match(_SET, "sequence set")[0]
    ranges = []
    for item in text.split(b","):
        first, _, last = item.partition(b":")
        ranges.append((_number(first), _number(last or first)))
    return SequenceSet(tuple(ranges))


def _number(text: bytes) -> int:
    if text == b"*":
        return STAR
    value = int(text)
    if not 0 < value < 1 << 32:
        raise bad("message numbers are 1 to 4294967295")
    return value


def parse_partial(scanner: Scanner) -> tuple[int, int]:
    """Take a part of a list: ``1:500`` from its beginning, ``-1:-100`` from its end.

    Either end may come first. (RFC 9394 section 4, ``partial-range``)

    Raises:
        CommandError: BAD.
    """
    found = scanner.match(_PARTIAL, "range")
    first, last = _number(found[2]), _number(found[4])
    if found[1] != found[3]:
        raise bad("both ends of a range are counted from the same side")
    return (-first, -last) if found[1] else (first, last)


def cut_partial(found: Sequence[Any], partial: tuple[int, int]) -> Sequence[Any]:
    """Return the part of a list that ``parse_partial`` took, in the order of the list."""
    low, high = sorted(partial)
    if low > 0:
        return found[low - 1 : high]
    return found[max(0, len(found) + low) : max(0, len(found) + high + 1)]


def format_set(numbers: Iterable[int]) -> bytes:
    """Write numbers in their order, neighbours as ranges: what COPYUID carries.

    Invariant: the order is kept, because COPYUID pairs two sets by position (RFC 4315 section 3).
    """
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return format_spans([(first, last) for first, last in spans])


def format_spans(spans: Iterable[tuple[int, int]]) -> bytes:
    """Write ranges in their order."""
    return b",".join(b"%d" % a if a == b else b"%d:%d" % (a, b) for a, b in spans)
