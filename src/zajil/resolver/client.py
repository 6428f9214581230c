"""The resolver: asks the configured name servers in order, keeps what they say.

It is a stub (RFC 1034 section 5.3.1): the name servers do the recursion. Aliases are followed
all the same, for servers that answer with the first step only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode

from zajil.config.options import DnsOptions
from zajil.core.clock import Clock, Random
from zajil.dns.flow import Answer, Outcome, Question
from zajil.resolver.cache import Cache
from zajil.resolver.exchange import NameServer, NoAnswer, exchange
from zajil.resolver.silence import Silence
from zajil.resolver.wire import MAX_CNAMES, Alias, Rejected, make_query, read_answer

RESOLV_CONF = Path("/etc/resolv.conf")

MAX_QUESTIONS = 256
"""Questions on the wire at a time: each takes a socket, and a process has 1024 by default."""


class Resolver:
    """``resolve`` answers from memory, else asks; equal questions at a time are asked once."""

    def __init__(self, options: DnsOptions, clock: Clock, random: Random) -> None:
        self._timeout_seconds = options.timeout / 1000
        self._clock = clock
        self._random = random
        self._cache = Cache(options.cache_size)
        self._asking: dict[Question, asyncio.Task[Answer]] = {}
        self._free = asyncio.Semaphore(MAX_QUESTIONS)
        self.servers = find_name_servers(options.nameservers)
        """In the order they are asked."""
        self._silence: dict[NameServer, Silence] = {}

    async def resolve(self, question: Question) -> Answer:
        """Answer a question; never raises on what DNS holds or on a server that is away.

        Waits at most twice ``dns.timeout``. Cancelling leaves the question to the others who
        wait for it.
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
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, question: Question) -> Answer:
        detail = _Detail()
        try:
            async with self._free, asyncio.timeout(2 * self._timeout_seconds):
                answer = await self._follow(question, detail)
        except TimeoutError:
            answer = Answer(question, Outcome.FAILED, detail=detail.text or "timeout")
        self._cache.put(answer, self._clock.now_ms())
        return answer

    async def _follow(self, question: Question, detail: _Detail) -> Answer:
        name, ttl, authentic, cnames = question.name, 2**31 - 1, True, 0
        while cnames <= MAX_CNAMES:
            found = await self._ask_servers(Question(name, question.type), detail)
            if isinstance(found, Answer):
                ttl = min(ttl, found.ttl_seconds)
                authentic = authentic and found.authentic
                return replace(found, question=question, ttl_seconds=ttl, authentic=authentic)
            name, ttl = found.target, min(ttl, found.ttl_seconds)
            authentic, cnames = authentic and found.authentic, cnames + found.cnames
        return Answer(question, Outcome.FAILED, detail="CNAME chain too long")

    async def _ask_servers(self, question: Question, detail: _Detail) -> Answer | Alias:
        """Ask each server in order, twice; the first that knows is believed."""
        for server in (*self.servers, *self.servers):
            silence = self._silence.setdefault(server, Silence())
            if not silence.may_ask(self._clock.now_ms()):
                detail.text = detail.text or "the name server does not answer"
                continue
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    found = await self._ask_server(question, server)
            except (TimeoutError, NoAnswer) as error:
                detail.text = str(error) or "timeout"
                silence.failed(self._clock.now_ms())
                continue
            silence.answered()
            if not isinstance(found, Rejected):
                return found
            detail.text = found.detail
        return Answer(question, Outcome.FAILED, detail=detail.text or "no name server")

    async def _ask_server(
        self, question: Question, server: NameServer
    ) -> Answer | Alias | Rejected:
        query = make_query(question, self._random)
        if query is None:  # too long, or an empty label: such a name cannot exist
            return Answer(question, Outcome.NO_NAME, detail="not a name DNS can hold")
        response = await exchange(query, server)
        if response.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP):
            # A server that does not know EDNS (RFC 6891 section 7).
            plain = make_query(question, self._random, edns=False)
            response = response if plain is None else await exchange(plain, server)
        return read_answer(question, response, trusted=server.loopback)


@dataclass(slots=True)
class _Detail:
    """Why the last server did not help, kept for when time runs out."""

    text: str = ""


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
    """Give the ``nameserver`` lines; what is not an address is passed over."""
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
