"""The resolver: queries the configured name servers in order and caches the answers.

It is a stub (RFC 1034 section 5.3.1): the name servers perform the recursion. Aliases are followed
nevertheless, for servers that return the first step only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.rcode

from zajil.config.options_server import DnsOptions
from zajil.core.clock import Clock, Random
from zajil.dns.flow import Answer, Outcome, Question
from zajil.net.peer import Networks
from zajil.resolver.back_off import ZoneBackOffs, zone_of
from zajil.resolver.cache import Cache
from zajil.resolver.exchange import NameServer, NoAnswer, exchange
from zajil.resolver.servers import Servers
from zajil.resolver.slots import Slots
from zajil.resolver.wire import MAX_CNAMES, Alias, Rejected, make_query, read_answer

RESOLV_CONF = Path("/etc/resolv.conf")


class Resolver:
    """``resolve`` answers from memory, else asks; equal questions at a time are asked once."""

    def __init__(self, options: DnsOptions, clock: Clock, random: Random) -> None:
        self._timeout_seconds = options.timeout_ms / 1000
        self._clock = clock
        self._random = random
        self._trusted = Networks(options.trust_ad)
        self._cache = Cache(options.cache_size)
        self._asking: dict[Question, asyncio.Task[Answer]] = {}
        self._judging: set[asyncio.Task[bool]] = set()
        self._slots = Slots()
        self._zones = ZoneBackOffs()
        self.servers = find_name_servers(options.nameservers)
        """In the order they are asked."""
        self._states = Servers(options, clock, random)
        self.note: Callable[[Answer], None] | None = None
        """Is told each answer that did not come from memory, for metrics."""

    async def resolve(self, question: Question) -> Answer:
        """Answer a question; never raises on what DNS holds or on a server that is away.

        Waits at most twice ``dns.timeout``, and two seconds more where it has to be found out
        whether a name server or a zone is silent. Cancelling leaves the question to the others
        who wait for it.
        """
        answer = self._cache.get(question, self._clock.now_ms())
        if answer is not None:
            return answer
        task = self._asking.get(question)
        if task is None:
            task = asyncio.create_task(self._ask(question))
            self._asking[question] = task
            task.add_done_callback(lambda _: self._asking.pop(question, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Drop the questions on the wire; who waits for one is cancelled."""
        tasks = [*self._asking.values(), *self._judging]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._states.close()

    async def _ask(self, question: Question) -> Answer:
        effort = _Effort(asyncio.get_running_loop().time() + 2 * self._timeout_seconds)
        if self._zones.rests(question.name, self._clock.now_ms()):
            return _unasked(question, "the servers of the zone do not answer")
        domain, _ = zone_of(question.name)
        async with self._slots.take(domain, effort.until) as has_slot:
            if not has_slot:
                return _unasked(question, "too many questions at a time")
            answer = await self._follow(question, effort)
        if self.note is not None:
            self.note(answer)
        if not answer.is_unasked:
            self._cache.put(answer, self._clock.now_ms())
        return answer

    async def _follow(self, question: Question, effort: _Effort) -> Answer:
        name, ttl, authentic, cnames = question.name, 2**31 - 1, True, 0
        while cnames <= MAX_CNAMES:
            found = await self._ask_servers(Question(name, question.type), effort)
            if isinstance(found, Answer):
                ttl = min(ttl, found.ttl_seconds)
                authentic = authentic and found.authentic
                return replace(found, question=question, ttl_seconds=ttl, authentic=authentic)
            name, ttl = found.target, min(ttl, found.ttl_seconds)
            authentic, cnames = authentic and found.authentic, cnames + found.cnames
        return Answer(question=question, outcome=Outcome.FAILED, detail="CNAME chain too long")

    async def _ask_servers(self, question: Question, effort: _Effort) -> Answer | Alias:
        """Ask each server in order, twice; the first that knows is believed."""
        judging: dict[NameServer, asyncio.Task[bool]] = {}
        detail, was_asked = "", False
        may_try = await self._states.wake(self.servers)
        for server in (*self.servers, *self.servers):
            if server in judging:
                was_asked = await judging.pop(server) or was_asked
            state, now_ms = self._states.of(server), self._clock.now_ms()
            if state.is_down and server not in may_try:
                continue
            # What begins without half of its time left would only look like a failure.
            if effort.left_seconds() < self._timeout_seconds / 2:
                break
            if not self._zones.may_ask(question.name, now_ms):
                detail = detail or "the servers of the zone do not answer"
                break
            seen, moment = state.answers, self._zones.moment(question.name)
            try:
                async with asyncio.timeout(min(self._timeout_seconds, effort.left_seconds())):
                    found = await self._ask_server(question, server)
            except (TimeoutError, NoAnswer) as error:
                detail = str(error) or "timeout"
                judging[server] = self._begin(self._judge(server, question, seen, moment))
                may_try.discard(server)
                continue
            if not isinstance(found, Rejected):
                self._zones.answered(question.name)
                return found
            detail, was_asked = found.detail, True
        for judged in judging.values():
            was_asked = await judged or was_asked
        is_unasked = not was_asked and not self._states.are_out(self.servers)
        detail = detail or "no name server answers"
        return Answer(
            question=question, outcome=Outcome.FAILED, detail=detail, is_unasked=is_unasked
        )

    async def _judge(self, server: NameServer, question: Question, seen: int, moment: int) -> bool:
        """Find the cause of a missing answer; return whether the server is available.

        Args:
            server: that did not answer.
            question: that was asked of it.
            seen: how many answers it had given before.
            moment: of the zone, at that time.
        """
        if not await self._states.lives(server, seen):
            return False
        self._zones.failed(question.name, moment, self._clock.now_ms())
        return True

    def _begin(self, judge: Coroutine[Any, Any, bool]) -> asyncio.Task[bool]:
        task = asyncio.create_task(judge)
        self._judging.add(task)
        task.add_done_callback(self._judging.discard)
        return task

    async def _ask_server(
        self, question: Question, server: NameServer
    ) -> Answer | Alias | Rejected:
        query = make_query(question, self._random)
        if query is None:  # too long, or an empty label: such a name cannot exist
            return Answer(question=question, outcome=Outcome.NO_NAME, detail="invalid DNS name")
        response = await exchange(query, server)
        if response.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP):
            # A server that does not know EDNS (RFC 6891 section 7).
            plain = make_query(question, self._random, edns=False)
            response = response if plain is None else await exchange(plain, server)
        self._states.answered(server)
        return read_answer(
            question, response, trusted=server.loopback or server.host in self._trusted
        )


class _Effort:
    """What is left of the time for one question."""

    __slots__ = ("_loop", "until")

    def __init__(self, until: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.until = until
        """Time of the event loop."""

    def left_seconds(self) -> float:
        return self.until - self._loop.time()


def _unasked(question: Question, why: str) -> Answer:
    return Answer(question=question, outcome=Outcome.FAILED, detail=why, is_unasked=True)


def find_name_servers(configured: Sequence[str]) -> tuple[NameServer, ...]:
    """Read ``ADDRESS:PORT`` items; without any, take the system's.

    Without a usable /etc/resolv.conf it is 127.0.0.1, as resolv.conf(5) has it.
    """
    if configured:
        pairs = [item.rpartition(":")[::2] for item in configured]
        return tuple(_name_server(host.strip("[]"), int(port)) for host, port in pairs)
    try:
        lines = RESOLV_CONF.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    return read_resolv_conf(lines) or (_name_server("127.0.0.1", 53),)


def read_resolv_conf(lines: Sequence[str]) -> tuple[NameServer, ...]:
    """Return the ``nameserver`` lines; what is not an address is passed over."""
    found: list[NameServer] = []
    for line in lines:
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            found.append(_name_server(words[1], 53))
        except ValueError:
            continue
    return tuple(found)


def _name_server(host: str, port: int) -> NameServer:
    # A link-local one carries its interface after a percent sign.
    return NameServer(host, port, ip_address(host.partition("%")[0]).is_loopback)
