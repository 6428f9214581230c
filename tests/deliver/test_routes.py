"""A route is found once for the mails of a second, where DNS leaves no choice."""

from __future__ import annotations

import asyncio

from kit.clock import CountingRandom, FakeClock
from kit.zone import ZoneResolver
from zajil.config.options import DeliverOptions
from zajil.config.options_smarthost import SmarthostOptions
from zajil.deliver.routes import KEPT_MS, MOST_KEPT, Routes
from zajil.route.next_hop import Hosts, NoRoute
from zajil.route.transport import Transports

ZONE = {
    "south.test": {"MX": ["10 mx1.south.test", "20 mx2.south.test"]},
    "even.test": {"MX": ["10 mx1.south.test", "10 mx2.south.test"]},
    "ill.test": None,
    "mx1.south.test": {"A": ["127.0.0.1"]},
    "mx2.south.test": {"A": ["127.0.0.2"]},
}
DIRECT = Transports(SmarthostOptions(), DeliverOptions())


def routes_of(resolver: ZoneResolver, clock: FakeClock) -> Routes:
    return Routes(resolver.resolve, "mx.north.test", clock, CountingRandom(), DIRECT)


def test_a_route_is_found_once_a_second() -> None:
    async def run() -> None:
        resolver, clock = ZoneResolver(ZONE), FakeClock()
        routes = routes_of(resolver, clock)
        first = await routes.find("south.test")
        assert isinstance(first, Hosts)
        asked = len(resolver.questions)
        assert await routes.find("south.test") is first
        assert len(resolver.questions) == asked
        resolver.zone = {**ZONE, "south.test": {"MX": ["10 mx2.south.test"]}}
        clock.advance(KEPT_MS)
        changed = await routes.find("south.test")
        assert isinstance(changed, Hosts)
        assert [host.name for host in changed.hosts] == ["mx2.south.test"]

    asyncio.run(run())


def test_hosts_of_equal_preference_share_the_mails() -> None:
    """RFC 5321 section 5.1: the order is drawn anew for each mail."""

    async def run() -> None:
        resolver, clock = ZoneResolver(ZONE), FakeClock()
        routes = Routes(resolver.resolve, "mx.north.test", clock, _Turns(), DIRECT)
        firsts = set()
        for _ in range(4):
            route = await routes.find("even.test")
            assert isinstance(route, Hosts)
            firsts.add(route.hosts[0].name)
        assert firsts == {"mx1.south.test", "mx2.south.test"}

    asyncio.run(run())


class _Turns:
    """Random bytes that prefer the first host and the second one in turns."""

    def __init__(self) -> None:
        self._bytes = [b"\0", b"\1", b"\1", b"\0"]
        self._draws = 0

    def __call__(self, size: int) -> bytes:
        drawn = self._bytes[self._draws % len(self._bytes)] * size
        self._draws += 1
        return drawn


def test_what_dns_did_not_say_is_asked_again() -> None:
    async def run() -> None:
        resolver, clock = ZoneResolver(ZONE), FakeClock()
        routes = routes_of(resolver, clock)
        assert isinstance(await routes.find("ill.test"), NoRoute)
        resolver.zone = {**ZONE, "ill.test": {"MX": ["10 mx1.south.test"]}}
        assert isinstance(await routes.find("ill.test"), Hosts)

    asyncio.run(run())


def test_only_so_many_routes_are_kept() -> None:
    async def run() -> None:
        zone = {f"d{number}.test": {"A": ["127.0.0.1"]} for number in range(MOST_KEPT + 1)}
        resolver, clock = ZoneResolver(zone), FakeClock()
        routes = routes_of(resolver, clock)
        for domain in zone:
            await routes.find(domain)
        asked = len(resolver.questions)
        await routes.find("d0.test")
        assert len(resolver.questions) > asked
        asked = len(resolver.questions)
        await routes.find(f"d{MOST_KEPT}.test")
        assert len(resolver.questions) == asked

    asyncio.run(run())
