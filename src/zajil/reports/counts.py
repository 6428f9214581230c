"""Counts for reports, in memory until they are written.

Laws:
- ``add`` costs the way of a mail a few microseconds: a lookup and an addition. JSON is made in a
  thread when the counts are written: many rows would hold up the loop.
- A worker that is killed loses what it counted within ``FLUSH_SECONDS``. Reports are statistics:
  no mail waits for them, and nothing is counted twice.
- Bounded: past ``MAX_KEPT``, only what is known already is counted until the next writing.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import ClassVar, Generic, TypeVar

from zajil.store.reports.intervals import CountedInterval, CountedRow

FLUSH_SECONDS = 10
MAX_KEPT = 20_000
"""Different rows between two writings; about 20 MB."""

Row = TypeVar("Row", bound=Hashable)
Details = TypeVar("Details")
_Counted = dict[tuple[int, str, Row], int]
"""By interval, domain and row."""


class Counts(ABC, Generic[Row, Details]):
    """What one worker counts for one kind of report.

    ``Row`` is what alike things have in common, ``Details`` what is said of their domain.
    """

    kind: ClassVar[str]
    """``ReportKind.name``."""

    def __init__(
        self, write: Callable[[tuple[CountedInterval, ...]], object], interval_ms: int
    ) -> None:
        """Begin with nothing.

        Args:
            write: takes what was counted to ``store.reports.intervals``; nobody waits.
            interval_ms: of reports.
        """
        self._write = write
        self._interval_ms = interval_ms
        self._counts: _Counted[Row] = {}
        self._details: dict[str, Details] = {}
        """As seen last, by domain."""

    @abstractmethod
    def _row(self, row: Row, details: Details) -> str:
        """Return the JSON of a row."""

    @abstractmethod
    def _about(self, domain: str, details: Details) -> str:
        """Return the JSON of what is said of a domain."""

    def add(self, at_ms: int, domain: str, row: Row, details: Details) -> None:
        """Count one thing more."""
        key = (at_ms // self._interval_ms, domain, row)
        count = self._counts.get(key, 0)
        if count or len(self._counts) < MAX_KEPT:
            self._counts[key] = count + 1
            self._details[domain] = details

    async def run(self) -> None:
        """Write now and then, until cancelled; then what is left."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                await self._flush_in_thread()
        finally:
            self.flush()

    async def _flush_in_thread(self) -> None:
        counts, details = self._swap()
        if not counts:
            return
        try:
            counted = await asyncio.to_thread(self._spell, counts, details)
        except asyncio.CancelledError:
            self._write(self._spell(counts, details))
            raise
        self._write(counted)

    def flush(self) -> None:
        """Hand the counts to the writer; nobody waits, and a failure loses them."""
        counted = self.take()
        if counted:
            self._write(counted)

    def take(self) -> tuple[CountedInterval, ...]:
        """Return what was counted, and begin anew."""
        return self._spell(*self._swap())

    def _swap(self) -> tuple[_Counted[Row], dict[str, Details]]:
        taken = self._counts, self._details
        self._counts, self._details = {}, {}
        return taken

    def _spell(
        self, counts: _Counted[Row], details: dict[str, Details]
    ) -> tuple[CountedInterval, ...]:
        rows: dict[tuple[int, str], list[CountedRow]] = {}
        for (interval, domain, row), count in counts.items():
            counted = CountedRow(self._row(row, details[domain]), count)
            rows.setdefault((interval, domain), []).append(counted)
        return tuple(
            [
                CountedInterval(
                    kind=self.kind,
                    domain=domain,
                    begin_ms=interval * self._interval_ms,
                    end_ms=(interval + 1) * self._interval_ms,
                    details=self._about(domain, details[domain]),
                    rows=tuple(found),
                )
                for (interval, domain), found in rows.items()
            ]
        )
