"""Targets of the fuzzer for answers of DNS, and for what is made of them."""

from __future__ import annotations

from contextlib import suppress

import dns.flags
import dns.message
import dns.rrset

from kit.clock import CountingRandom
from kit.fuzz import Target
from kit.zone import run_flow_on_answers
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.mta_sts import BadStsPolicy, parse_sts_policy, parse_sts_record
from zajil.resolver.wire import make_query, read_answer, read_response
from zajil.route.next_hop import Hosts, NoRoute, find_hosts


def dns_targets() -> list[Target]:
    """Return the targets."""
    return [
        Target("dns-answer", _dns_answer, _dns_seeds(), (b"\xc0\x0c", b"\0\x0f\0\x01")),
        Target("mta-sts", _sts, _STS, (b"mx: *.a.test\n", b"mode: none", b"max_age: 1", b";")),
        Target("dns-flow", _dns_flow, _MX, (b"0 .", b"10 mx.b.test", b"\n", b"127.0.0.1")),
    ]


_QUESTION = Question("a.test", "MX")


def _dns_seeds() -> tuple[bytes, ...]:
    query = make_query(_QUESTION, CountingRandom())
    assert query is not None
    answer = dns.message.make_response(query.message)
    answer.flags |= dns.flags.RA
    name = query.message.question[0].name
    answer.answer = [dns.rrset.from_text(name, 300, "IN", "MX", "10 mx.a.test.")]
    return (answer.to_wire(),)


def _dns_answer(data: bytes) -> None:
    query = make_query(_QUESTION, CountingRandom())
    assert query is not None
    response = read_response(query, data)
    if response is not None:
        read_answer(_QUESTION, response, trusted=True)


_STS = (
    b"v=STSv1; id=1;\0version: STSv1\nmode: enforce\nmx: *.a.test\nmx: a.test\nmax_age: 9\n",
    b"v=STSv1; x=y\0version: STSv1\nmode: none\nmax_age: 9\n",
)


def _sts(data: bytes) -> None:
    """Record and policy of a domain, with a NUL between them."""
    record, _, policy = data.partition(b"\0")
    parse_sts_record(record.decode("latin-1").split("\n"))
    with suppress(BadStsPolicy):
        parse_sts_policy(policy).permits("mx.a.test")


_MX = (b"10 mx.a.test\n192.0.2.1", b"0 .", b"10 b.test\n20 c.test\n::1")


def _dns_flow(data: bytes) -> None:
    """Whatever DNS holds, a flow ends in one of its results."""
    values = data.decode("utf-8", "replace").split("\n")

    def answer(question: Question) -> Answer:
        odd = sum(data[:8])  # not of its length: more of the same is answered alike
        outcome = list(Outcome)[odd % len(Outcome)] if odd % 3 == 0 else Outcome.FOUND
        held = tuple(values) if outcome is Outcome.FOUND else ()
        return Answer(question=question, outcome=outcome, values=held, ttl_seconds=300)

    flow = find_hosts("a.test", own_hostname="mx.north.test", random=CountingRandom())
    assert isinstance(run_flow_on_answers(flow, answer), Hosts | NoRoute)
