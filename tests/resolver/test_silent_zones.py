"""A zone that does not answer, a name server that does not, and one taken for the other."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from kit.clock import CountingRandom, FakeClock
from kit.name_server import NameServer, name_server
from zajil.config.options_server import DnsOptions
from zajil.dns.flow import Answer, Outcome, Question, run_flow
from zajil.resolver.back_off import FIRST_REST_MS, REST_MS
from zajil.resolver.client import Resolver
from zajil.route.next_hop import Hosts, find_hosts


class Dns:
    """A name server that recurses, and how much of it works."""

    def __init__(self) -> None:
        self.is_mute: Callable[[str], bool] = lambda name: name.endswith("slow.test.")
        self.asked: list[str] = []
        """Names, in order, but the root."""

    def respond(self, query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        name = query.question[0].name.to_text().lower()
        if name != ".":
            self.asked.append(name)
        if self.is_mute(name):
            return []
        response = dns.message.make_response(query)
        if name.startswith("large."):
            # Mute over TCP only.
            if not udp:
                return []
            response.flags |= dns.flags.TC
        elif name.startswith("ill."):
            response.set_rcode(dns.rcode.SERVFAIL)
        elif name != ".":
            kind = query.question[0].rdtype
            value = "10 mx.good.test." if kind == dns.rdatatype.MX else "192.0.2.1"
            if kind in (dns.rdatatype.MX, dns.rdatatype.A):
                asked = query.question[0].name
                response.answer = [dns.rrset.from_text(asked, 0, "IN", kind, value)]
        return [response.to_wire()]


Play = Callable[[Dns, Resolver, FakeClock], Coroutine[Any, Any, None]]


def play(scene: Play, timeout: str = "1s") -> None:
    async def run() -> None:
        server, clock = Dns(), FakeClock()
        async with name_server(server.respond) as running:
            options = DnsOptions.model_validate(
                {"nameservers": [running.address], "timeout": timeout}
            )
            resolver = Resolver(options, clock, os.urandom)
            await scene(server, resolver, clock)
            await resolver.close()

    asyncio.run(run())


async def ask(resolver: Resolver, *names: str) -> list[Answer]:
    return list(await asyncio.gather(*[resolver.resolve(Question(one, "A")) for one in names]))


async def silence(resolver: Resolver, name: str) -> None:
    """Ask in vain, twice, until the zone rests."""
    await resolver.resolve(Question(f"0.{name}", "A"))


def test_a_slow_zone_silences_nobody_else() -> None:
    async def scene(server: Dns, resolver: Resolver, clock: FakeClock) -> None:
        slow = [f"{number}.a.slow.test" for number in range(40)]
        asking = asyncio.create_task(ask(resolver, *slow))
        (first,) = await ask(resolver, "1.bank.test")
        lost = await asking
        (second,) = await ask(resolver, "2.bank.test")
        assert [one.outcome for one in (first, second)] == [Outcome.FOUND] * 2
        assert {one.outcome for one in lost} == {Outcome.FAILED}
        assert not any(one.is_unasked for one in lost)
        # Now it rests: its names fail at once, and are not asked for.
        await silence(resolver, "a.slow.test")
        sent = len(server.asked)
        (more,) = await ask(resolver, "more.a.slow.test")
        assert (more.outcome, more.is_unasked) == (Outcome.FAILED, True)
        assert len(server.asked) == sent
        (third,) = await ask(resolver, "3.bank.test")
        assert third.outcome is Outcome.FOUND

    play(scene)


def test_a_zone_that_is_back_is_found_back() -> None:
    async def scene(server: Dns, resolver: Resolver, clock: FakeClock) -> None:
        await silence(resolver, "a.slow.test")
        server.is_mute = lambda _: False
        (resting,) = await ask(resolver, "x.a.slow.test")
        assert resting.is_unasked
        clock.advance(REST_MS)
        (answer,) = await ask(resolver, "y.a.slow.test")
        assert answer.outcome is Outcome.FOUND

    play(scene)


def test_the_mail_of_others_finds_its_way() -> None:
    async def scene(server: Dns, resolver: Resolver, clock: FakeClock) -> None:
        def route(domain: str) -> Any:
            flow = find_hosts(domain, own_hostname="mx.test", random=CountingRandom())
            return run_flow(flow, resolver.resolve)

        slow = [asyncio.create_task(route(f"d{number}.slow.test")) for number in range(8)]
        assert isinstance(await route("good.test"), Hosts)
        await asyncio.gather(*slow)
        assert isinstance(await route("other.test"), Hosts)

    play(scene)


def test_a_zone_that_is_mute_over_tcp_is_one_that_does_not_answer() -> None:
    async def scene(server: Dns, resolver: Resolver, clock: FakeClock) -> None:
        (lost,) = await ask(resolver, "large.cut.test")
        assert lost.outcome is Outcome.FAILED
        (good,) = await ask(resolver, "good.test")
        assert good.outcome is Outcome.FOUND

    play(scene)


def test_a_failure_that_a_server_tells_of_was_asked() -> None:
    async def scene(server: Dns, resolver: Resolver, clock: FakeClock) -> None:
        for number in range(5):
            (answer,) = await ask(resolver, f"ill.{number}.test")
            assert (answer.outcome, answer.is_unasked) == (Outcome.FAILED, False)

    play(scene)


def test_a_dead_server_costs_little_and_is_found_back() -> None:
    async def scene(server: Dns, resolver: Resolver, clock: FakeClock) -> None:
        (first,) = await ask(resolver, "one.test")
        server.is_mute = lambda _: True
        await ask(resolver, *[f"{number}.test" for number in range(20)])
        sent = len(server.asked)
        answers = await ask(resolver, *[f"{number}.later.test" for number in range(1000)])
        assert all(one.outcome is Outcome.FAILED and one.is_unasked for one in answers)
        assert len(server.asked) == sent
        # After each rest one question finds out whether it is back; others wait for that only.
        clock.advance(REST_MS)
        answers = await ask(resolver, *[f"{number}.still.test" for number in range(100)])
        assert all(one.is_unasked for one in answers)
        assert len(set(server.asked[sent:])) <= 1
        server.is_mute = lambda _: False
        clock.advance(REST_MS)
        answers = await ask(resolver, *[f"{number}.back.test" for number in range(20)])
        assert [first.outcome, *[one.outcome for one in answers]] == [Outcome.FOUND] * 21

    play(scene)


def test_after_an_hour_nobody_waits_any_more() -> None:
    """So that mail is not deferred for ever where DNS is gone for good."""

    async def scene(server: Dns, resolver: Resolver, clock: FakeClock) -> None:
        server.is_mute = lambda _: True
        (early,) = await ask(resolver, "early.test")
        clock.advance(3_599_999)
        (late,) = await ask(resolver, "late.test")
        clock.advance(1)
        (later,) = await ask(resolver, "later.test")
        assert [one.is_unasked for one in (early, late, later)] == [True, True, False]
        assert later.outcome is Outcome.FAILED

    play(scene, "50ms")


def test_a_server_that_does_not_tell_of_the_root_comes_back() -> None:
    """Some filters drop such questions; then a slow zone costs a short rest, and no more."""

    async def scene(server: Dns, resolver: Resolver, clock: FakeClock) -> None:
        server.is_mute = lambda name: name == "." or name.endswith("slow.test.")
        await ask(resolver, "x.slow.test")
        (resting,) = await ask(resolver, "a.good.test")
        assert resting.is_unasked
        clock.advance(FIRST_REST_MS)
        (good,) = await ask(resolver, "b.good.test")
        assert good.outcome is Outcome.FOUND
        (good,) = await ask(resolver, "c.good.test")
        assert good.outcome is Outcome.FOUND

    play(scene)


def test_where_nobody_listens_nothing_was_asked() -> None:
    async def run() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            dead = f"127.0.0.1:{closed.getsockname()[1]}"
        options = DnsOptions.model_validate({"nameservers": [dead], "timeout": "5s"})
        resolver = Resolver(options, FakeClock(), os.urandom)
        for answer in await ask(resolver, "a.test", "b.test"):
            assert (answer.outcome, answer.is_unasked) == (Outcome.FAILED, True)
        await resolver.close()

    asyncio.run(run())


@pytest.mark.parametrize("dead_first", [True, False])
def test_beside_a_dead_server_the_other_is_asked_at_once(dead_first: bool) -> None:
    async def run() -> None:
        dead, live, clock = Dns(), Dns(), FakeClock()
        dead.is_mute = lambda _: True
        async with name_server(dead.respond) as one, name_server(live.respond) as two:
            servers: list[NameServer] = [one, two] if dead_first else [two, one]
            options = DnsOptions.model_validate(
                {"nameservers": [running.address for running in servers], "timeout": "1s"}
            )
            resolver = Resolver(options, clock, os.urandom)
            for number in range(5):
                (answer,) = await ask(resolver, f"{number}.test")
                assert answer.outcome is Outcome.FOUND
            asked = [name for name in dead.asked if not name.startswith("0.")]
            assert len(asked) <= 2
            await resolver.close()

    asyncio.run(run())


def test_one_domain_does_not_take_all_slots() -> None:
    async def scene(server: Dns, resolver: Resolver, clock: FakeClock) -> None:
        flood = asyncio.create_task(
            ask(resolver, *[f"{number}.slow.test" for number in range(500)])
        )
        (good,) = await ask(resolver, "good.test")
        assert good.outcome is Outcome.FOUND
        lost = await flood
        reached = {name.removesuffix(".") for name in server.asked}
        for answer in lost:
            assert answer.outcome is Outcome.FAILED
            assert answer.is_unasked == (answer.question.name not in reached)

    play(scene)


def test_what_found_no_slot_was_not_asked() -> None:
    async def scene(server: Dns, resolver: Resolver, clock: FakeClock) -> None:
        names = [f"{number}.{domain}.test" for domain in "abcdefgh" for number in range(64)]
        server.is_mute = lambda name: name != "."
        answers = await ask(resolver, *names)
        reached = {name.removesuffix(".") for name in server.asked}
        assert any(one.is_unasked for one in answers)
        for answer in answers:
            assert answer.is_unasked == (answer.question.name not in reached)

    play(scene)
