"""What is refused in floods: counted, and told in few words.

Connections that did not become sessions are always counted; refused mails, failed log-ins and
sessions without a mail only where one peer brings very many.

Law: however many come from however many addresses, memory and events stay few: an address and
reason is told once when its flood is over, or each minute while it goes on, and behind ``_MOST``
of them all further addresses are one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zajil.core.clock import Clock
from zajil.tracking.events import ConnectionsRefused, RefusalsMerged, TrackingEvent

OTHERS = "others"
_MOST = 1000
_QUIET_MS = 10_000
"""A flood is over after so long without a connection."""
_TELL_MS = 60_000

REFUSED_MAIL = "refused mails"
FAILED_LOGIN = "failed log-ins"
VAIN_SESSION = "sessions without a mail"
_KEPT_OF_PEER, _KEPT = 200, 5000
"""Refusals kept in full, by a worker in an hour: of one peer and kind, and in all."""
_HOUR_MS = 3_600_000

Report = Callable[[Sequence[Any]], None]
Make = Callable[[int, str, str, str, int, int], TrackingEvent]
"""Makes an event of: time, service, address, reason, count, time of the first."""


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
        make: makes the event.
    """

    def __init__(
        self,
        service: str,
        clock: Clock,
        report: Report,
        *,
        quiet_ms: int = _QUIET_MS,
        make: Make = ConnectionsRefused,
    ) -> None:
        self._service = service
        self._clock = clock
        self._report = report
        self._quiet_ms = quiet_ms
        self._make = make
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
        events: list[TrackingEvent] = []
        for (host, reason), count in list(self._counts.items()):
            over = now_ms - count.last_ms >= self._quiet_ms
            if everything or over or now_ms - count.since_ms >= _TELL_MS:
                del self._counts[host, reason]
                events.append(
                    self._make(now_ms, self._service, host, reason, count.count, count.since_ms)
                )
        if events:
            self._report(events)

    def close(self) -> None:
        """Report the connections that were not reported yet."""
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


class RefusalBudget:
    """Says of each refusal whether it is kept in full; the rest is counted.

    One for a worker, so that storage is bounded whatever comes: ``_KEPT`` refusals an hour.

    Args:
        report: takes the events of one moment, to be kept as one row.
    """

    def __init__(self, clock: Clock, report: Report) -> None:
        self._clock = clock
        self._floods = FloodCounter("", clock, report, make=_merged)
        self._hour = 0
        self._kept: Counter[tuple[str, str]] = Counter()
        self._kept_in_all = 0

    def takes(self, host: str, what: str) -> bool:
        """Count a refusal; false: it is not to be kept. Must be called in the loop's thread.

        Args:
            host: address of the peer.
            what: one of the kinds above.
        """
        hour = self._clock.now_ms() // _HOUR_MS
        if hour != self._hour:
            self._hour, self._kept_in_all = hour, 0
            self._kept.clear()
        key = (host, what)
        if self._kept[key] >= _KEPT_OF_PEER or self._kept_in_all >= _KEPT:
            self._floods.note(host, what)
            return False
        self._kept[key] += 1
        self._kept_in_all += 1
        return True

    def close(self) -> None:
        """Report the connections that were not reported yet."""
        self._floods.close()


def _merged(
    at_ms: int, _service: str, peer: str, what: str, count: int, since_ms: int
) -> RefusalsMerged:
    return RefusalsMerged(at_ms, peer, what, count, since_ms)
