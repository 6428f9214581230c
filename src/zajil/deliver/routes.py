"""The way to a domain, found once for all mails of a second: ``route.next_hop`` with a memory.

The answers of DNS are in memory too, for as long as they say; this spares the same work on them for
each of many mails that go the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from zajil.core.clock import Clock, Random
from zajil.dns.flow import Answer, Question, Resolve, run_flow
from zajil.route.next_hop import Hosts, NoRoute, find_hosts, find_relay
from zajil.route.transport import Relay, Transports

KEPT_MS = 1000
MOST_KEPT = 1000
"""Domains; with more, all are forgotten."""


class Resolves(Protocol):
    """What answers DNS questions: ``resolver.client.Resolver``."""

    async def resolve(self, question: Question) -> Answer:
        """Answer; never raises on what DNS holds."""


@dataclass(slots=True)
class Routes:
    """The routes of one worker."""

    resolve: Resolve
    hostname: str
    """Our own name in MX records."""
    clock: Clock
    random: Random
    transports: Transports
    _kept: dict[str | Relay, tuple[Hosts, int]] = field(default_factory=dict)
    """By domain or relay, with the time until which they are used."""

    def relay_for(self, domain: str) -> Relay | None:
        """Return the relay that mail for a domain goes to; ``None``: the hosts of the domain."""
        return self.transports.find(domain)

    async def find(self, domain: str) -> Hosts | NoRoute:
        """Return the hosts of a domain, or its relay, in the order they are to be tried.

        Waits for DNS. Only a route without choice is kept: among hosts of equal preference each
        mail draws its own order (RFC 5321 section 5.1).
        """
        now_ms = self.clock.now_ms()
        relay = self.relay_for(domain)
        kept = self._kept.get(relay or domain)
        if kept is not None and kept[1] > now_ms:
            return kept[0]
        flow = (
            find_hosts(domain, own_hostname=self.hostname, random=self.random)
            if relay is None
            else find_relay(relay.host)
        )
        route = await run_flow(flow, self.resolve)
        if isinstance(route, Hosts) and _has_one_order(route):
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[relay or domain] = (route, now_ms + KEPT_MS)
        return route


def _has_one_order(route: Hosts) -> bool:
    preferences = [host.preference for host in route.hosts]
    return len(set(preferences)) == len(preferences)
