"""Counts what this worker commits, and adds it to the store each minute."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from zajil.core.clock import Clock
from zajil.net.logger import get_logger
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch
from zajil.store.reports.traffic import KEPT_MINUTES, TrafficCounts, add_traffic, forget_traffic
from zajil.tracking.traffic import MINUTE_MS, Figure, count_events

_SECONDS = 60
_MOST = 5_000
"""Counts that are kept while the store is not available."""


class TrafficCounter:
    """Sums in memory; what was counted since the last minute is lost with the process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counts: Counter[tuple[int, Figure]] = Counter()

    def count(self, batches: Sequence[EventBatch]) -> None:
        """Count events; called with all that this process records."""
        for batch in batches:
            self._counts.update(count_events(batch.events))

    async def run(self) -> None:
        """Write the counts each minute, until cancelled."""
        while True:
            await asyncio.sleep(_SECONDS)
            await self.write()

    async def drain(self, _grace: float) -> None:
        """Write what was counted since the last time."""
        await self.write()

    async def write(self) -> None:
        """Add the counts to the store; keep them for the next time if it is not available."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        named = {(minute, name.value): count for (minute, name), count in counts.items()}
        try:
            await self._store.write(add_traffic, TrafficCounts(named))
        except StoreUnavailable as error:
            get_logger().warning("cannot write the counts of the last minute", reason=str(error))
            if len(counts) <= _MOST:
                self._counts.update(counts)

    async def prune(self) -> None:
        """Delete old counts; a chore."""
        now = self._clock.now_ms() // MINUTE_MS
        await self._store.write(forget_traffic, now - KEPT_MINUTES)
