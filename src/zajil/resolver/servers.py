"""The availability of the name servers, tested with a query that each of them must answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zajil.config.options_server import DnsOptions
from zajil.core.clock import Clock, Random
from zajil.dns.flow import Question
from zajil.net.logger import get_logger
from zajil.resolver.back_off import ServerBackOff
from zajil.resolver.exchange import NameServer, NoAnswer, exchange
from zajil.resolver.wire import make_query

ROOT = Question(".", "NS")
"""What every server that recurses has in memory; one that refuses it lives, too."""
MAX_PROBE_SECONDS = 2.0

logger = get_logger()


class Servers:
    """What is known of each name server."""

    def __init__(self, options: DnsOptions, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._try_seconds = min(MAX_PROBE_SECONDS, options.timeout_ms / 1000) / 2
        self._outage_ms = options.outage_ms
        self._states: dict[NameServer, ServerBackOff] = {}
        self._probes: dict[NameServer, asyncio.Task[bool]] = {}

    def of(self, server: NameServer) -> ServerBackOff:
        """Return what is known of one."""
        state = self._states.get(server)
        if state is None:
            state = self._states[server] = ServerBackOff()
        return state

    async def lives(self, server: NameServer, seen: int) -> bool:
        """Return whether a server that did not answer a question answers others.

        Args:
            server: that did not answer.
            seen: how many answers it had given when it was asked.
        """
        return self.of(server).answers > seen or await asyncio.shield(self._probe(server))

    def answered(self, server: NameServer) -> None:
        """Note that one answered, whatever it said."""
        state = self.of(server)
        if state.is_down:
            logger.warning("name server answers again", server=str(server.host), port=server.port)
        state.answered()

    async def wake(self, servers: Sequence[NameServer]) -> set[NameServer]:
        """Return whether servers whose rest is over are back.

        Waits for them only if no other is up; two seconds at most.

        Returns:
            Servers that are down and may be asked all the same, by this caller alone: some may
            answer everything but what we ask to find out.
        """
        states = [self.of(server) for server in servers]
        if not any(state.is_down for state in states):
            return set()
        now_ms = self._clock.now_ms()
        due = [server for server in servers if self.of(server).is_due(now_ms)]
        first = {server for server in due if server not in self._probes}
        waiting = {self._probe(server) for server in due}
        while waiting and all(state.is_down for state in states):
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return first if all(state.is_down for state in states) else set()

    def are_out(self, servers: Sequence[NameServer]) -> bool:
        """Whether all have been down for ``dns.outage``, so that nobody waits for them any more."""
        now_ms = self._clock.now_ms()
        return all(self.of(server).is_down_for(self._outage_ms, now_ms) for server in servers)

    async def close(self) -> None:
        """Drop the questions on the wire."""
        probes = list(self._probes.values())
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)

    def _probe(self, server: NameServer) -> asyncio.Task[bool]:
        """Ask a server what it must know, once for everybody who wants to know."""
        probe = self._probes.get(server)
        if probe is None:
            probe = self._probes[server] = asyncio.create_task(self._ask(server))
            probe.add_done_callback(lambda _: self._probes.pop(server, None))
        return probe

    async def _ask(self, server: NameServer) -> bool:
        state = self.of(server)
        seen = state.answers
        for _ in range(2):  # one lost datagram says nothing
            query = make_query(ROOT, self._random)
            try:
                async with asyncio.timeout(self._try_seconds):
                    if query is not None:
                        await exchange(query, server)
                        self.answered(server)
            except (TimeoutError, NoAnswer):
                pass
            if state.answers > seen:
                return True
        if not state.is_down:
            logger.warning("name server does not answer", server=str(server.host), port=server.port)
        state.failed(self._clock.now_ms())
        return False
