"""Where the workers count: one row of numbers for each, in memory that all processes share.

Any worker can therefore answer for all of them, and nothing is lost with a worker that dies.

Laws:
- A worker writes its own row alone, and each number of it in one thread alone: no lock.
- A row is never cleared: the worker that takes the slot of a dead one goes on counting in its row,
  so that no sum ever falls.
- The memory has no file behind it: a full disk cannot touch it.
"""

from __future__ import annotations

import itertools
import mmap
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from zajil.monitor.meters import COUNTED, OTHER, Meter, MeterKind

_CELL = 8
"""Bytes of a number: a double, which a process reads and writes as a whole."""

Labels = tuple[str, ...]
"""Values of the labels of a meter, in their order."""


def _lay_out() -> tuple[dict[str, int], int]:
    """Give each counted meter the place of its first number in a row; and the size of a row."""
    places: dict[str, int] = {}
    at = 1  # the first one says that the row is used
    for meter in COUNTED:
        places[meter.name] = at
        at += len(list(labels_of(meter))) * _width(meter)
    return places, at


def labels_of(meter: Meter) -> Iterator[Labels]:
    """Return every combination of the values of its labels."""
    return itertools.product(*meter.labels.values())


def _width(meter: Meter) -> int:
    return len(meter.buckets) + 2 if meter.kind is MeterKind.HISTOGRAM else 1


_PLACES, ROW = _lay_out()


@dataclass(frozen=True, slots=True)
class Histogram:
    """What a histogram has observed."""

    counts: tuple[float, ...]
    """Of each bucket alone; the last is that above all bounds."""
    sum: float


class MeterTable:
    """The rows of the supervisor and of all workers; made before the first fork.

    Args:
        slots: how many workers there may be at a time. Rows that nobody used take no memory.
    """

    def __init__(self, slots: int) -> None:
        self._memory = memoryview(mmap.mmap(-1, (slots + 1) * ROW * _CELL)).cast("d")
        self._used = memoryview(mmap.mmap(-1, slots + 1))
        """One byte for each row, so that those that nobody used are never read."""

    def supervisor(self) -> MeterRow:
        """Return the row of the supervisor."""
        return self._row(0)

    def worker(self, slot: int) -> MeterRow:
        """Return the row of a worker."""
        return self._row(slot + 1)

    def _row(self, number: int) -> MeterRow:
        self._used[number] = 1
        return MeterRow(self._memory[number * ROW : (number + 1) * ROW])

    def _rows(self) -> list[memoryview[float]]:
        return [
            self._memory[number * ROW : (number + 1) * ROW]
            for number, used in enumerate(self._used)
            if used
        ]

    def values(self, meter: Meter) -> Mapping[Labels, float]:
        """Return the sums of a counter over all rows, or the largest values."""
        rows, at = self._rows(), _PLACES[meter.name]
        combine = max if meter.kind is MeterKind.LATEST else sum
        return {
            labels: float(combine([row[at + number] for row in rows] or [0.0]))
            for number, labels in enumerate(labels_of(meter))
        }

    def histogram(self, meter: Meter) -> Histogram:
        """Return the sums of a histogram over all rows."""
        rows, at, width = self._rows(), _PLACES[meter.name], _width(meter)
        sums = [float(sum([row[at + number] for row in rows])) for number in range(width)]
        return Histogram(tuple(sums[:-1]), sums[-1])


class MeterRow:
    """Counts for one process."""

    __slots__ = ("_cells",)

    def __init__(self, cells: memoryview[float]) -> None:
        self._cells = cells

    def counter(self, meter: Meter) -> Add:
        """Return what adds to a counter; a value that is not in its lists is ``other``."""
        cells, first = self._cells, _PLACES[meter.name]
        places = {labels: first + number for number, labels in enumerate(labels_of(meter))}

        def add(labels: Labels = (), count: float = 1) -> None:
            place = places.get(labels)
            if place is None:  # not remembered: strangers choose some of the values
                place = places[known_labels(meter, labels)]
            cells[place] += count

        return add

    def histogram(self, meter: Meter) -> Callable[[float], None]:
        """Return what adds an observation to a histogram."""
        cells, first, bounds = self._cells, _PLACES[meter.name], meter.buckets
        last = first + len(bounds) + 1

        def observe(value: float) -> None:
            cells[first + bisect_left(bounds, value)] += 1
            cells[last] += value

        return observe

    def set(self, meter: Meter, *labels: str, value: float) -> None:
        """Set the own value of a ``LATEST``."""
        self._cells[_PLACES[meter.name] + list(labels_of(meter)).index(labels)] = value


class Add(Protocol):
    """Adds to a counter."""

    def __call__(self, labels: Labels = (), count: float = 1) -> None:
        """Add to the number with these values of the labels."""


def known_labels(meter: Meter, labels: Sequence[str]) -> Labels:
    """Return labels whose unknown values are replaced by ``other``.

    Raises:
        KeyError: the meter has no such value and no ``other``.
    """
    known: list[str] = []
    for (name, values), value in zip(meter.labels.items(), labels, strict=True):
        if value not in values and OTHER not in values:
            raise KeyError(f"{meter.name} has no {name} {value!r}")
        known.append(value if value in values else OTHER)
    return tuple(known)
