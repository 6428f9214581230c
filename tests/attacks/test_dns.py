"""What hostile DNS can do to us: nothing lasting, and nothing dear (attacks K).

The resolver is a stub: it validates no signatures itself, so no set of keys can make it work
(KeyTrap, CVE-2023-50387), and it keeps the answer to its question alone, never what stands beside.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address

import dns.message
import dns.rcode
import dns.rrset
import pytest

from kit.clock import CountingRandom, FakeClock
from kit.load import count_calls
from kit.name_server import NameServer, Respond, name_server
from zajil.check.sender.peer import check_iprev
from zajil.config.options_server import DnsOptions
from zajil.dns.flow import Answer, Outcome, Question, run_flow
from zajil.mailauth.spf import SpfQuery, check_spf
from zajil.resolver.client import Resolver
from zajil.resolver.wire import MAX_RECORDS, make_query, read_response
from zajil.route.next_hop import NoRoute, find_hosts

EVIL = "192.0.2.66"
MAX_CALLS = 200
"""Calls of functions that refusing one answer may take; parsing it takes tens of thousands."""

Records = Callable[[str], tuple[Sequence[str], Sequence[str], Sequence[str]]]
"""From the name as it was asked to answer, authority and additional records."""


def serve(records: Records, rcode: str = "NOERROR") -> Respond:
    """Answer every question with the same records."""

    def respond(query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.from_text(rcode))
        sections = records(query.question[0].name.to_text())
        response.answer, response.authority, response.additional = [
            [rrset_of(text) for text in section] for section in sections
        ]
        return [response.to_wire(max_size=65_535)]

    return respond


def rrset_of(text: str) -> dns.rrset.RRset:
    name, kind, values = text.split(" ", 2)
    return dns.rrset.from_text(name, 300, "IN", kind, *values.split("; "))


def ask(respond: Respond, *questions: Question) -> tuple[list[Answer], NameServer]:
    async def run() -> tuple[list[Answer], NameServer]:
        async with name_server(respond) as server:
            options = DnsOptions.model_validate({"nameservers": [server.address], "timeout": "5s"})
            resolver = Resolver(options, FakeClock(), os.urandom)
            return [await resolver.resolve(question) for question in questions], server

    return asyncio.run(run())


@pytest.mark.parametrize("section", [0, 1, 2])
def test_what_stands_beside_the_answer_is_not_kept(section: int) -> None:
    """Cache poisoning by unasked records (RFC 5452 section 6; Kashpureff 1997)."""

    def beside(asked: str) -> tuple[Sequence[str], ...]:
        sections: tuple[list[str], ...] = ([f"{asked} A 192.0.2.1"], [], [])
        sections[section].append(f"bank.test. A {EVIL}")
        return sections

    def respond(query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        if str(query.question[0].name).lower() == "bank.test.":
            return serve(lambda asked: ([f"{asked} A 192.0.2.7"], [], []))(query, udp)
        return serve(beside)(query, udp)  # type: ignore[arg-type]

    answers, server = ask(respond, Question("a.test", "A"), Question("bank.test", "A"))
    assert [answer.values for answer in answers] == [("192.0.2.1",), ("192.0.2.7",)]
    assert len(server.udp_queries) == 2


def test_an_answer_for_another_name_is_no_answer() -> None:
    """The question section is ours, the records are not."""
    answers, _ = ask(serve(lambda _: ([f"b.test. A {EVIL}"], [], [])), Question("a.test", "A"))
    assert answers[0].outcome is not Outcome.FOUND
    assert answers[0].values == ()


def test_an_answer_of_another_class_is_no_answer() -> None:
    def respond(query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        response = dns.message.make_response(query)
        name = query.question[0].name
        response.answer = [dns.rrset.from_text(name, 300, "CH", "TXT", "v=spf1 +all")]
        return [response.to_wire()]

    answers, _ = ask(respond, Question("a.test", "TXT"))
    assert answers[0].values == ()


def test_a_cname_that_leads_to_itself_costs_one_question() -> None:
    answers, server = ask(
        serve(lambda asked: ([f"{asked} CNAME {asked}"], [], [])), Question("a.test", "TXT")
    )
    assert (answers[0].outcome, answers[0].detail) == (Outcome.FAILED, "CNAME chain too long")
    assert len(server.udp_queries) <= 2  # each server is asked twice


def _signature(number: int) -> str:
    digest = base64.b64encode(number.to_bytes(64, "big")).decode()
    return f"A 13 2 300 20300101000000 20200101000000 {number} a.test. {digest}"


def _key(number: int) -> str:
    return f"257 3 13 {base64.b64encode(number.to_bytes(64, 'big')).decode()}"


@pytest.mark.parametrize("kind", ["RRSIG", "DNSKEY"])
def test_keytrap_keys_and_signatures_cost_nothing(kind: str) -> None:
    """CVE-2023-50387: colliding keys and signatures, which a validator would all try."""
    make = _signature if kind == "RRSIG" else _key
    set_of_them = "; ".join(make(number) for number in range(MAX_RECORDS - 2))  # and OPT
    answers, _ = ask(
        serve(lambda asked: ([f"{asked} A 192.0.2.1", f"{asked} {kind} {set_of_them}"], [], [])),
        Question("a.test", "A"),
    )
    assert answers[0].values == ("192.0.2.1",)


@pytest.mark.parametrize("kind", ["A", "TXT", "DNSKEY"])
def test_an_immense_answer_is_not_read(kind: str) -> None:
    """64 KB of small records take 0.3 s to parse, and one mail may ask a hundred times."""
    query = make_query(Question("a.test", "A"), os.urandom)
    assert query is not None
    values = {
        "A": [f"10.0.{number >> 8}.{number & 255}" for number in range(4000)],
        "TXT": [f'"{number}"' for number in range(3000)],
        "DNSKEY": [_key(number) for number in range(700)],
    }[kind]
    response = dns.message.make_response(query.message)
    response.answer = [dns.rrset.from_text(query.message.question[0].name, 1, "IN", kind, *values)]
    wire = response.to_wire(max_size=65_535)
    response_read, calls = count_calls(lambda: read_response(query, wire))
    assert response_read is None
    assert calls < MAX_CALLS


def test_datagrams_of_a_forger_cost_a_glance() -> None:
    """Who floods us with guesses pays more than we do: another id is not even parsed."""
    query = make_query(Question("a.test", "A"), CountingRandom())
    assert query is not None
    other = bytes([query.wire[0] ^ 1]) + query.wire[1:]
    response_read, calls = count_calls(lambda: read_response(query, other))
    assert response_read is None
    assert calls < MAX_CALLS


# ---- a failure is not a fact --------------------------------------------------------------------

FAILURES = ["SERVFAIL", "REFUSED", "NOTAUTH", "FORMERR", "NOTIMP"]


@pytest.mark.parametrize("kind", ["A", "AAAA", "MX", "TXT", "PTR", "TLSA"])
def test_what_is_not_known_is_not_absent(kind: str) -> None:
    """Who makes a server fail must not make a policy vanish: DANE, MTA-STS, DMARC."""
    names = {"TXT": "_mta-sts.a.test", "TLSA": "_25._tcp.mx.a.test"}
    question = Question(names.get(kind, "a.test"), kind)
    outcomes = {}
    for rcode in ("NXDOMAIN", "NOERROR", *FAILURES):
        ((answer,), _) = ask(serve(lambda _: ([], [], []), rcode), question)
        outcomes[rcode] = answer.outcome
    assert outcomes.pop("NXDOMAIN") is Outcome.NO_NAME
    assert outcomes.pop("NOERROR") is Outcome.NO_RECORDS
    assert set(outcomes.values()) == {Outcome.FAILED}


@pytest.mark.parametrize("rcode", FAILURES)
def test_a_failure_never_bounces_a_mail(rcode: str) -> None:
    """SERVFAIL is not NXDOMAIN: the route to a domain is looked for again later."""

    async def run() -> object:
        async with name_server(serve(lambda _: ([], [], []), rcode)) as server:
            options = DnsOptions.model_validate({"nameservers": [server.address], "timeout": "5s"})
            flow = find_hosts("a.test", own_hostname="mx.test", random=CountingRandom())
            return await run_flow(flow, Resolver(options, FakeClock(), os.urandom).resolve)

    route = asyncio.run(run())
    assert isinstance(route, NoRoute)
    assert route.temporary
    assert route.status == "4.4.3"


@pytest.mark.parametrize("rcode", FAILURES)
def test_a_failure_never_speaks_against_a_sender(rcode: str) -> None:
    """SPF: temperror, and neither none nor fail; iprev: temperror."""

    async def run() -> tuple[str, str]:
        async with name_server(serve(lambda _: ([], [], []), rcode)) as server:
            options = DnsOptions.model_validate({"nameservers": [server.address], "timeout": "5s"})
            resolve = Resolver(options, FakeClock(), os.urandom).resolve
            query = SpfQuery(IPv4Address("192.0.2.1"), "a@a.test", "mx.a.test")
            spf = await run_flow(check_spf(query), resolve)
            iprev = await run_flow(check_iprev(query.ip), resolve)
            return spf.result, iprev.result

    assert asyncio.run(run()) == ("temperror", "temperror")
