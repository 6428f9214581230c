"""A flood of refused connections leaves few events and little memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kit.clock import FakeClock
from zajil.net.floods import OTHERS, FloodCounter
from zajil.tracking.events import ConnectionsRefused


def test_one_event_when_the_flood_is_over_and_each_minute_before() -> None:
    async def main() -> None:
        told: list[ConnectionsRefused] = []
        clock = FakeClock()
        floods = FloodCounter("smtp", clock, told.extend)
        start = clock.now_ms()
        for _ in range(70):
            floods.note("192.0.2.1", "too many")
            clock.advance(1000)
            floods.tell()
        assert [event.count for event in told] == [60]
        assert told[0].since_ms == start
        clock.advance(10_000)
        floods.tell()
        assert [event.count for event in told] == [60, 10]
        floods.close()
        assert len(told) == 2

    asyncio.run(main())


def test_very_many_addresses_are_one() -> None:
    async def main() -> None:
        rows: list[Sequence[ConnectionsRefused]] = []
        floods = FloodCounter("smtp", FakeClock(), rows.append)
        for number in range(5000):
            floods.note(f"198.51.{number // 250}.{number % 250}", "too many")
        floods.close()
        assert len(rows) == 1
        assert len(rows[0]) == 1001
        assert {event.peer: event.count for event in rows[0]}[OTHERS] == 4000

    asyncio.run(main())
