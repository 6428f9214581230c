"""Connections that were refused before they became sessions: counted, and told in few words.

Law: however many come from however many addresses, memory and events stay few: an address and
reason is told once when its flood is over, or each minute while it goes on, and behind ``_MOST``
of them all further addresses are one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zajil.core.clock import Clock
from zajil.tracking.events import ConnectionsRefused

OTHERS = "others"
_MOST = 1000
_QUIET_MS = 10_000
"""A flood is over after so long without a connection."""
_TELL_MS = 60_000

Report = Callable[[Sequence[ConnectionsRefused]], None]


@dataclass(slots=True)
class _Count:
    count: int
    since_ms: int
    last_ms: int


class FloodCounter:
    """Counts what one service refused.

    Args:
        service: ``smtp``, ``imaps`` ...
        report: takes the events of one moment, to be kept as one row.
        quiet_ms: how long after the last connection its flood is over; also how often we look.
    """

    def __init__(
        self, service: str, clock: Clock, report: Report, *, quiet_ms: int = _QUIET_MS
    ) -> None:
        self._service = service
        self._clock = clock
        self._report = report
        self._quiet_ms = quiet_ms
        self._counts: dict[tuple[str, str], _Count] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, host: str, reason: str) -> None:
        """Count a connection; must be called in the loop's thread."""
        now_ms = self._clock.now_ms()
        key = (host, reason)
        if key not in self._counts and len(self._counts) >= _MOST:
            key = (OTHERS, reason)
        count = self._counts.get(key)
        if count is None:
            self._counts[key] = _Count(1, now_ms, now_ms)
        else:
            count.count += 1
            count.last_ms = now_ms
        if self._timer is None:
            self._wait()

    def tell(self, *, everything: bool = False) -> None:
        """Report the floods that are over, or have gone on for a minute; or all, at the end."""
        now_ms = self._clock.now_ms()
        events: list[ConnectionsRefused] = []
        for (host, reason), count in list(self._counts.items()):
            over = now_ms - count.last_ms >= self._quiet_ms
            if everything or over or now_ms - count.since_ms >= _TELL_MS:
                del self._counts[host, reason]
                events.append(
                    ConnectionsRefused(
                        now_ms, self._service, host, reason, count.count, count.since_ms
                    )
                )
        if events:
            self._report(events)

    def close(self) -> None:
        """Tell the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.tell(everything=True)

    def _wait(self) -> None:
        # A timer only while there is something to tell: nothing runs for nothing.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._quiet_ms / 1000, self._look)

    def _look(self) -> None:
        self._timer = None
        self.tell()
        if self._counts:
            self._wait()
