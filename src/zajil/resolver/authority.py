"""Questions to the name servers of a zone themselves, past what the resolver remembers.

Who has just changed a record learns here whether the change is published, although the resolver may
keep the old answer until its TTL has passed (RFC 2308, RFC 1035 section 3.2.1).
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from zajil.core.clock import Random
from zajil.dns.flow import Answer, Outcome, Question, Resolve
from zajil.resolver.exchange import NameServer, NoAnswer, exchange
from zajil.resolver.wire import make_query, read_answer

DNS_PORT = 53
_MOST_SERVERS = 3
"""Servers of one zone that are asked before it counts as silent."""


class Authorities:
    """Finds the name servers of zones and asks them; what it found is kept, answers are not."""

    def __init__(
        self, resolve: Resolve, random: Random, timeout_seconds: float, port: int = DNS_PORT
    ) -> None:
        """Take what it asks with.

        Args:
            resolve: finds the name servers and their addresses.
            random: for the ids of questions.
            timeout_seconds: for the answer of one server.
            port: of all name servers.
        """
        self._resolve = resolve
        self._random = random
        self._timeout_seconds = timeout_seconds
        self._port = port
        self._known: dict[str, tuple[NameServer, ...]] = {}

    async def ask(self, question: Question) -> Answer | None:
        """Ask the servers of the zone; ``None``: none of them answers for the name.

        Waits at most the time-out for each of three servers, and for the resolver.
        """
        for server in await self._servers_of(question.name):
            query = make_query(question, self._random)
            if query is None:
                return None
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    response = await exchange(query, server)
            except (TimeoutError, NoAnswer):
                continue
            found = read_answer(question, response, trusted=False)
            if isinstance(found, Answer):
                return found
        return None

    async def _servers_of(self, name: str) -> tuple[NameServer, ...]:
        """Return the servers of the closest zone above a name; walks up until NS records stand."""
        labels = name.split(".")
        for at in range(len(labels) - 1):
            zone = ".".join(labels[at:])
            if zone not in self._known:
                answer = await self._resolve(Question(zone, "NS"))
                if answer.outcome is Outcome.FAILED:
                    return ()
                self._known[zone] = await self._locate(answer.values)
            if self._known[zone]:
                return self._known[zone]
        return ()

    async def _locate(self, hosts: tuple[str, ...]) -> tuple[NameServer, ...]:
        found: list[NameServer] = []
        for host in hosts[:_MOST_SERVERS]:
            for kind in ("A", "AAAA"):
                answer = await self._resolve(Question(host, kind))
                found += [
                    NameServer(value, self._port, ip_address(value).is_loopback)
                    for value in answer.values[:1]
                ]
        return tuple(found[:_MOST_SERVERS])
