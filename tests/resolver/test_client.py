"""The resolver against real sockets: what name servers do, and what becomes of it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from kit.clock import FakeClock
from kit.name_server import NameServer, Respond, name_server
from zajil.config.options_server import DnsOptions
from zajil.dns.flow import Answer, Outcome, Question
from zajil.resolver.client import Resolver, find_name_servers, read_resolv_conf

SOA = "a.test. 300 IN SOA ns.a.test. root.a.test. 1 3600 600 86400 60"
NS = "a.test. 300 IN NS ns.a.test."

Edit = Callable[[dns.message.Message], object]


def respond(
    *answer: str, rcode: str = "NOERROR", authority: tuple[str, ...] = (), edit: Edit | None = None
) -> Respond:
    """Always give the same records; ``edit`` may spoil the message."""

    def make(query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.from_text(rcode))
        response.answer = [_rrset(text) for text in answer]
        response.authority = [_rrset(text) for text in authority]
        if edit is not None:
            edit(response)
        return [response.to_wire()]

    return make


def _rrset(text: str) -> dns.rrset.RRset:
    name, ttl, rdclass, kind, *values = text.split(" ", 4)
    return dns.rrset.from_text(name, int(ttl), rdclass, kind, *values[0].split("; "))


def resolver_for(*addresses: str, clock: FakeClock | None = None, **options: Any) -> Resolver:
    made = DnsOptions(nameservers=addresses, **{"timeout": "5s", **options})
    return Resolver(made, clock or FakeClock(), os.urandom)


def ask(
    server: Respond, name: str = "a.test", kind: str = "A", **options: Any
) -> tuple[Answer, NameServer]:
    async def run() -> tuple[Answer, NameServer]:
        async with name_server(server) as running:
            resolver = resolver_for(running.address, **options)
            return await resolver.resolve(Question(name, kind)), running

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "records", "values"),
    [
        ("A", "192.0.2.1; 192.0.2.2", ("192.0.2.1", "192.0.2.2")),
        ("AAAA", "2001:db8::1", ("2001:db8::1",)),
        ("MX", "10 MX.a.test.", ("10 mx.a.test",)),
        ("MX", "0 .", ("0 .",)),
        ("TXT", '"v=spf1 " "-all\\233"', ("v=spf1 -all\xe9",)),
        ("PTR", "host.a.test.", ("host.a.test",)),
        ("SRV", "0 1 993 MX.Y.test.", ("0 1 993 mx.y.test",)),
        ("SRV", "0 0 0 .", ("0 0 0 .",)),
        ("TLSA", "3 1 1 " + "ab" * 32, ("3 1 1 " + "ab" * 32,)),
    ],
)
def test_records_become_values(kind: str, records: str, values: tuple[str, ...]) -> None:
    answer, _ = ask(respond(f"a.test. 300 IN {kind} {records}"), kind=kind)
    assert (answer.outcome, answer.ttl_seconds) == (Outcome.FOUND, 300)
    assert sorted(answer.values) == sorted(values)


@pytest.mark.parametrize(
    ("server", "outcome", "ttl_seconds"),
    [
        (respond(rcode="NXDOMAIN", authority=(SOA,)), Outcome.NO_NAME, 60),
        (respond(authority=(SOA,)), Outcome.NO_RECORDS, 60),
        (respond(), Outcome.NO_RECORDS, 0),
        (respond(rcode="SERVFAIL"), Outcome.FAILED, 0),
        (respond(rcode="REFUSED"), Outcome.FAILED, 0),
        (respond(authority=(NS,)), Outcome.FAILED, 0),
    ],
)
def test_facts_and_failures_are_told_apart(
    server: Respond, outcome: Outcome, ttl_seconds: int
) -> None:
    """SERVFAIL is not NXDOMAIN: only a fact may bounce a mail."""
    answer, _ = ask(server)
    assert (answer.outcome, answer.ttl_seconds) == (outcome, ttl_seconds)


def test_a_chain_in_one_answer() -> None:
    chain = (
        "a.test. 300 IN CNAME b.test.",
        "b.test. 30 IN CNAME c.test.",
        "c.test. 200 IN A 192.0.2.1",
    )
    answer, server = ask(respond(*chain))
    assert (answer.values, answer.ttl_seconds) == (("192.0.2.1",), 30)
    assert len(server.udp_queries) == 1


def test_a_chain_that_must_be_asked_for() -> None:
    def step(query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        name = str(query.question[0].name).lower()
        if name == "a.test.":
            return respond(f"{query.question[0].name} 300 IN CNAME b.test.")(query, udp)
        return respond("b.test. 20 IN A 192.0.2.1")(query, udp)

    answer, server = ask(step)
    assert (answer.question.name, answer.values, answer.ttl_seconds) == (
        "a.test",
        ("192.0.2.1",),
        20,
    )
    assert len(server.udp_queries) == 2


@pytest.mark.parametrize("inside", [True, False])
def test_a_cname_loop_ends(inside: bool) -> None:
    def loop(query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        name = str(query.question[0].name).lower()
        if inside:
            both = ("a.test. 300 IN CNAME b.test.", "b.test. 300 IN CNAME a.test.")
            return respond(*both)(query, udp)
        return respond(f"{name} 300 IN CNAME x{name}")(query, udp)

    answer, server = ask(loop)
    assert (answer.outcome, answer.detail) == (Outcome.FAILED, "CNAME chain too long")
    assert len(server.udp_queries) <= 10


def test_truncation_leads_to_tcp() -> None:
    def cut(query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        if not udp:
            return respond(f'a.test. 300 IN TXT "{"x" * 200}" "{"y" * 200}"')(query, udp)

        def truncate(message: dns.message.Message) -> None:
            message.flags |= dns.flags.TC

        return respond(edit=truncate)(query, udp)

    answer, server = ask(cut, kind="TXT")
    assert answer.values == ("x" * 200 + "y" * 200,)
    assert (len(server.udp_queries), len(server.tcp_queries)) == (1, 1)
    assert server.udp_queries[0].payload == 1232


def test_forged_answers_are_passed_over() -> None:
    """CVE-2008-1447: another id, another name, another case are not our answer."""

    def forge(query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        good = respond("a.test. 300 IN A 192.0.2.1")(query, udp)[0]
        evil = respond("a.test. 300 IN A 192.0.2.66")(query, udp)[0]
        other_id = bytes([evil[0] ^ 1]) + evil[1:]
        other_case = evil.replace(evil[12:14], bytes([evil[12], evil[13] ^ 0x20]))
        other_name = evil.replace(evil[12:14], bytes([evil[12], ord("z")]))
        return [b"", b"rubbish", other_id, other_case, other_name, good]

    answer, _ = ask(forge)
    assert answer.values == ("192.0.2.1",)


def test_queries_are_hard_to_guess() -> None:
    ports = set()

    async def run() -> list[dns.message.QueryMessage]:
        async with name_server(respond()) as server:
            resolver = resolver_for(server.address, cache_size=0)
            original = server.datagram_received

            def note(data: bytes, addr: tuple[str | int, ...]) -> None:
                ports.add(addr[1])
                original(data, addr)

            server.datagram_received = note  # type: ignore[method-assign]
            for _ in range(8):
                await resolver.resolve(Question("some-long-name.a.test", "A"))
            return server.udp_queries

    queries = asyncio.run(run())
    assert len({query.id for query in queries}) > 4
    assert len({str(query.question[0].name) for query in queries}) > 4
    assert len(ports) > 4


def test_a_server_without_edns() -> None:
    def old(query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        if query.edns >= 0:
            return respond(rcode="FORMERR")(query, udp)
        return respond("a.test. 300 IN A 192.0.2.1")(query, udp)

    answer, server = ask(old)
    assert answer.values == ("192.0.2.1",)
    assert [query.edns for query in server.udp_queries] == [0, -1]


def test_the_next_server_is_asked() -> None:
    async def run() -> Answer:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            dead = f"127.0.0.1:{closed.getsockname()[1]}"
        async with (
            name_server(respond(rcode="SERVFAIL")) as ill,
            name_server(lambda query, udp: []) as silent,
            name_server(respond("a.test. 300 IN A 192.0.2.1")) as well,
        ):
            servers = (dead, ill.address, silent.address, well.address)
            return await resolver_for(*servers, timeout="200ms").resolve(Question("a.test", "A"))

    assert asyncio.run(run()).values == ("192.0.2.1",)


def test_a_silent_server_is_asked_for_the_root_before_it_rests() -> None:
    answer, server = ask(lambda query, udp: [], timeout="50ms")
    assert (answer.outcome, answer.detail) == (Outcome.FAILED, "timeout")
    assert [str(query.question[0].name).lower() for query in server.udp_queries] == [
        "a.test.",
        ".",
        ".",
    ]


@pytest.mark.parametrize("name", ["a" * 64 + ".test", "a..test", "x." * 130 + "test"])
def test_a_name_dns_cannot_hold_does_not_exist(name: str) -> None:
    answer, _ = ask(respond("a.test. 300 IN A 192.0.2.1"), name=name)
    assert answer.outcome is Outcome.NO_NAME


def test_askers_share_a_question_and_its_answer() -> None:
    async def run() -> tuple[int, int, int]:
        clock = FakeClock()
        async with name_server(respond("a.test. 30 IN A 192.0.2.1")) as server:
            resolver = resolver_for(server.address, clock=clock)
            question = Question("a.test", "A")
            impatient = asyncio.create_task(resolver.resolve(question))
            others = [asyncio.create_task(resolver.resolve(question)) for _ in range(9)]
            await asyncio.sleep(0)
            impatient.cancel()
            answers = await asyncio.gather(*others)
            assert all(answer.values == ("192.0.2.1",) for answer in answers)
            together = len(server.udp_queries)
            clock.advance(29_999)
            await resolver.resolve(question)
            kept = len(server.udp_queries)
            clock.advance(1)
            await resolver.resolve(question)
            return together, kept, len(server.udp_queries)

    assert asyncio.run(run()) == (1, 1, 2)


@pytest.mark.parametrize(("loopback", "authentic"), [(True, True), (False, False)])
def test_ad_is_believed_from_this_machine_only(loopback: bool, authentic: bool) -> None:
    """RFC 6840 section 5.7 sets AD; whoever sits on the way can set it too."""

    def sign(message: dns.message.Message) -> None:
        message.flags |= dns.flags.AD

    async def run() -> Answer:
        async with name_server(respond("a.test. 300 IN A 192.0.2.1", edit=sign)) as server:
            resolver = resolver_for(server.address)
            (only,) = resolver.servers
            assert only.loopback
            resolver.servers = (type(only)(only.host, only.port, loopback),)
            return await resolver.resolve(Question("a.test", "A"))

    assert asyncio.run(run()).authentic is authentic


def test_close_ends_the_questions_on_the_wire() -> None:
    async def run() -> None:
        arrived = asyncio.Event()

        def silent(query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
            arrived.set()
            return []

        async with name_server(silent) as server:
            resolver = resolver_for(server.address)
            asking: Coroutine[Any, Any, Answer] = resolver.resolve(Question("a.test", "A"))
            task = asyncio.create_task(asking)
            await arrived.wait()
            await resolver.close()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())


def test_resolv_conf() -> None:
    lines = [
        "# made by hand",
        "search a.test",
        "nameserver 192.0.2.53",
        "nameserver nonsense",
        "nameserver fe80::1%eth0",
        "nameserver ::1",
        "nameserver",
    ]
    servers = read_resolv_conf(lines)
    assert [(server.host, server.port, server.loopback) for server in servers] == [
        ("192.0.2.53", 53, False),
        ("fe80::1%eth0", 53, False),
        ("::1", 53, True),
    ]


def test_configured_servers_come_before_the_systems() -> None:
    servers = find_name_servers(("192.0.2.1:5353", "[2001:db8::1]:53"))
    assert [(server.host, server.port) for server in servers] == [
        ("192.0.2.1", 5353),
        ("2001:db8::1", 53),
    ]
    assert find_name_servers(())
