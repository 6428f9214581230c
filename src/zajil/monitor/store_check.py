"""The store checks itself at night: all rows, the names of files, and a seventh of the messages.

What it found is kept in the store (``store.engine.check_results``), for alerts and `zajil status`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from zajil.core.clock import Clock
from zajil.monitor.conditions import AlertCondition, AlertKind, Fact
from zajil.store.engine.check_results import ROWS, CheckResult, load_checks, record_checks
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.digests import compute_digests, write_digests

T = TypeVar("T")

_MOST_SHOWN = 3
_MOST_KEPT = 20
_STEP_PAUSE_SECONDS = 0.2
"""Between two queries of the check, so that mail goes on beside it."""
_NIGHT_HOUR = 3
_LATE_MS = 3_600_000
"""After the start, where the check of last night is missing."""
_DIGEST_PAUSE_SECONDS = 0.5
"""After a megabyte of digests, each of which rewrites the row of its message."""


@dataclass(slots=True)
class NightlyCheck:
    """Checks the store once each night; for a chore that looks often."""

    store: Store
    clock: Clock

    _begun_ms: int = field(init=False)

    def __post_init__(self) -> None:
        self._begun_ms = self.clock.now_ms()

    async def look(self) -> None:
        """Check, if it is time.

        Raises:
            StoreUnavailable: it cannot be read or written; nothing is remembered.
        """
        if self.clock.now_ms() >= await self.due_ms():
            await self.check()

    async def due_ms(self) -> int:
        """Return when the next check is due: in the night after the last one."""
        last = (await self.store.read(load_checks)).get(ROWS)
        if last is None:
            return next_night_ms(self._begun_ms)
        return max(next_night_ms(last.at_ms), self._begun_ms + _LATE_MS)

    async def check(self) -> None:
        """Check now, in a thread of its own; cancelled, it ends after its present step.

        Raises:
            StoreUnavailable: it cannot be read or written; nothing is remembered.
        """
        # Once a night, in one worker.
        from zajil.store.repair.check import find_damage
        from zajil.store.repair.contents import check_contents

        before = await self.store.read(load_checks)
        part = min(range(ROWS), key=lambda one: before[one].at_ms if one in before else 0)
        others = [one for one in before.values() if one.part not in (part, ROWS) and one.damaged]
        also = [blob_id for one in others for blob_id in one.damaged]
        rows = await _in_thread(
            lambda pause: find_damage(self.store, is_served=True, progress=pause, is_light=True)
        )
        bytes_ = await _in_thread(
            lambda pause: check_contents(self.store, pause, part=part, also=also)
        )
        at_ms, wrong = self.clock.now_ms(), set(bytes_.damaged_ids)
        told = tuple(f"{one.what} {one.reason}" for one in (*rows, *bytes_.damage))
        mine = tuple(sorted(wrong.difference(also)))
        results = [CheckResult(ROWS, at_ms, len(told), 0, told[:_MOST_KEPT])]
        results.append(CheckResult(part, at_ms, bytes_.blobs, bytes_.bytes, mine))
        for one in others:  # what was restored or deleted meanwhile is right again
            left = tuple(blob_id for blob_id in one.damaged if blob_id in wrong)
            results.append(CheckResult(one.part, one.at_ms, one.blobs, one.bytes, left))
        await self.store.write(record_checks, tuple(results))


async def _in_thread(work: Callable[[Callable[[int, int], None]], T]) -> T:
    """Run a check in a thread, with a pause after each of its steps."""
    stop = threading.Event()
    began = time.monotonic()

    def pause(_done: int, _total: int) -> None:
        nonlocal began
        # A long step is followed by a long pause.
        if stop.wait(max(_STEP_PAUSE_SECONDS, time.monotonic() - began)):
            raise StoreUnavailable("the check was stopped")
        began = time.monotonic()

    try:
        return await asyncio.to_thread(work, pause)
    finally:
        stop.set()


async def find_damaged_store(store: Store) -> list[AlertCondition] | None:
    """Return what the last check found; ``None``: there was none yet."""
    last = (await store.read(load_checks)).get(ROWS)
    if last is None:
        return None
    if not last.damaged:
        return []
    shown = "; ".join(last.damaged[:_MOST_SHOWN])
    facts: Mapping[str, Fact] = {"count": last.blobs, "faults": shown}
    return [AlertCondition(AlertKind.STORE, "", facts)]


async def fill_digests(store: Store) -> None:
    """Give all messages that an older version stored their digests, little by little.

    Raises:
        StoreUnavailable: the rest is left for the next time.
    """
    after: str | None = ""
    while after is not None:
        found, after = await asyncio.to_thread(compute_digests, store, after)
        if found:
            await store.write(write_digests, found)
            await asyncio.sleep(_DIGEST_PAUSE_SECONDS)


def next_night_ms(now_ms: int) -> int:
    """Return when it is three in the morning next, by the clock of this machine."""
    now = datetime.fromtimestamp(now_ms / 1000).astimezone()
    night = now.replace(hour=_NIGHT_HOUR, minute=0, second=0, microsecond=0)
    night = night if night > now else night + timedelta(days=1)
    return int(night.timestamp() * 1000)
