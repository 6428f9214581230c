"""Targets of the fuzzer for SPF and for what is asked about a peer."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import IPv4Address, IPv6Address, ip_address

from kit.fuzz import Target
from kit.zone import Zone, run_flow_on_answers, run_flow_on_zone
from zajil.check.sender.dns_lists import DnsLists
from zajil.check.sender.peer import check_iprev, check_peer, helo_reasons
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.spf import SpfQuery, check_spf, check_spf_helo
from zajil.mailauth.spf_macro import MAX_NAME
from zajil.mailauth.spf_questions import MAX_LOOKUPS, MAX_NAMES
from zajil.mailauth.spf_record import BadRecord, SpfRecord, is_record, parse_record

_MAX_QUESTIONS = 3 + MAX_LOOKUPS * (2 + MAX_NAMES)
"""The record, its explanation and the names for it; each term with its hosts."""
_RESULTS = {"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"}
_RECORDS = (
    b"v=spf1 a mx/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 include:%{d} ?ptr:a.test -all",
    b"v=spf1 exists:%{l1r-}.%{ir}.%{v}._spf.%{d2} redirect=%{o} exp=why.%{h} x=%{s}",
)
_ANSWERS = (
    b"v=spf1 include:b.test mx ptr exists:%{ir}.%{p} -all exp=why.test\n10 mx.a.test\n192.0.2.1",
    b"sami@south.test\nmx.south.test\nv=spf1 redirect=%{l}.test\nv=spf1 +all\n2001:db8::1\nx.test",
)
_WORDS = (b"v=spf1 ", b" -all", b"%{", b"}", b"include:", b"redirect=", b"//", b"\n", b"\xd8\xb3")


_FAR: Zone = {
    "mx.a.test": {"A": ["192.0.2.9", "bad"], "AAAA": ["2001:db8::9"]},
    "near.a.test": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"], "MX": ["0 .", "5 near.a.test"]},
    "slow.a.test": {"MX": ["5 silent.test", "10 mx.a.test"]},
    "many.a.test": {"MX": [f"10 m{number}.a.test" for number in range(11)]},
    **{"silent.test": None, "_spf.silent.test": None, "sami.a.test": {"A": ["127.0.0.2"]}},
    **{"pass.test": {"TXT": ["v=spf1 +all"]}, "none.test": {"TXT": ["hello"]}},
    "two.test": {"TXT": ["v=spf1 +all", "v=spf1 -all"]},
    **{"bad.test": {"TXT": ["v=spf1 x"]}, "loop.test": {"TXT": ["v=spf1 redirect=loop.test"]}},
    "fail.test": {"TXT": ["v=spf1 -all exp=why.a.test"]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["near.a.test", "mx.a.test"]},
}
_PEERS = (
    *(b"mx.a.test\n192.0.2.1", b"[IPv6:::1]\nb.test", b"a.test\n127.0.0.9", b"192.0.2.1\n::1"),
    *(b"local\n127.255.255.254", b"[192.0.2.9]", b"12x3"),
)
_HELD = (
    b"v=spf1 a:mx.a.test mx:slow.a.test -all",
    b"v=spf1 a:near.a.test/24//64 -all",
    b"v=spf1 mx:near.a.test ~all",
    b"v=spf1 mx:many.a.test -all",
    b"v=spf1 exists:%{l}.a.test -all",
    b"v=spf1 exists:%{L1r+-}.%{p}.a.test ?all",
    b"v=spf1 -all exp=why.a.test\n%{c} %{r} %{t} %{S} %{o1r}%%%_%- may not",
    b"v=spf1 ~all exp=%{i}",
    b"v=spf1 include:pass.test",
    b"v=spf1 include:none.test",
    b"v=spf1 include:- include:silent.test",
    b"v=spf1 include:two.test",
    b"v=spf1 include:bad.test",
    b"v=spf1 include:silent.test",
    b"v=spf1 redirect=none.test",
    b"v=spf1 redirect=fail.test",
    b"v=spf1 redirect=%{l}",
    b"v=spf1 a:silent.test",
    b"v=spf1 redirect=loop.test",
    b"v=spf1 a:x1.test a:x2.test a:x3.test a:x4.test -all",
    b"v=spf1 ptr:a.test -all",
    b"v=spf1 exists:%{d}%{d}%{d}%{d}%{d}" + b".%{d}" * 60 + b" -all",
    b"v=spf1 exists:%{s}.a.test -all\n\n\xd8\xb3@a.test",
    b"v=spf1 a:%{r} -all",
    b"v=spf1 a:%{l0} -all",
    b"v=spf1 a/33 -all",
    b"v=spf1 -all exp=why.a.test\ntext",
    b"v=spf1 ?exists:mx.a.test",
    b"v=spf1 a:.. -all",
    b"v=spf1 a a a a a a a a a a a -all",
    b"v=spf1 ptr:a.test ptr ptr:b.test -all\n\nx@192.test",
)


def spf_targets() -> list[Target]:
    """Return the targets."""
    return [
        Target("spf-record", _record, _RECORDS, _WORDS),
        Target("spf-flow", _flow, _ANSWERS, (*_WORDS, b"10 ", b"127.0.0.2", b"a.test")),
        Target("spf-zone", _held, _HELD, (*_WORDS, b"a:near.a.test", b"mx:", b"%{p}", b" a")),
        Target("peer", _peer, _PEERS, (b"[", b".", b":"), cost=4),
    ]


def _record(data: bytes) -> None:
    text = data.decode("latin-1")
    parsed = parse_record(text)
    assert isinstance(parsed, SpfRecord | BadRecord)
    if is_record(text) and isinstance(parsed, SpfRecord):
        assert text.isprintable()


def _flow(data: bytes) -> None:
    """Whatever sender, client and DNS say, the evaluation ends in a word of the standard."""
    lines = data.decode("utf-8", "replace").split("\n")
    sender, helo = lines[0][:300], lines[-1][:300]
    values = [line for line in lines if line] or [""]
    asked = 0

    def answer(question: Question) -> Answer:
        nonlocal asked
        asked += 1
        assert question.name.isascii()
        assert len(question.name) <= MAX_NAME
        turn = asked + sum(data[:8])  # not of its length: more of the same is answered alike
        outcome = list(Outcome)[turn % len(Outcome)] if turn % 5 == 0 else Outcome.FOUND
        if question.type == "TXT":
            held = [values[turn % len(values)].encode("utf-8", "replace").decode("latin-1")]
        else:
            held = values[:300]
        return Answer(
            question=question,
            outcome=outcome,
            values=tuple(held) if outcome is Outcome.FOUND else (),
            ttl_seconds=300,
        )

    for ip in ("192.0.2.1", "2001:db8::1"):
        query = SpfQuery(ip_address(ip), sender, helo)
        for flow in (check_spf(query), check_spf_helo(query)):
            asked = 0
            found = run_flow_on_answers(flow, answer)
            assert found.result in _RESULTS
            assert found.reason.isprintable()
            assert asked <= _MAX_QUESTIONS
            assert found.explanation is None or found.explanation.isascii()


def _held(data: bytes) -> None:
    """A record in a DNS that is as it should be: record, explanation, sender, a line each."""
    record, why, sender, *_ = [*data.decode("latin-1").split("\n"), "", ""]
    zone = {
        **_FAR,
        "a.test": {"TXT": [record], "A": ["192.0.2.3"], "MX": ["10 mx.a.test"]},
        "why.a.test": {"TXT": [why]},
    }
    for ip in ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"):
        query = SpfQuery(ip_address(ip), sender or "sami@a.test", "near.a.test", "mx.test", 1)
        found = run_flow_on_zone(check_spf(query), zone)
        assert found.result in _RESULTS
        assert found.reason.isprintable()
        assert found.explanation is None or found.explanation.isprintable()


def _peer(data: bytes) -> None:
    values = tuple(data.decode("utf-8", "replace").split("\n")[:256])
    for ip in (ip_address("192.0.2.1"), ip_address("2001:db8::1")):
        found = run_flow_on_answers(
            check_iprev(ip),
            lambda question: Answer(
                question=question, outcome=Outcome.FOUND, values=values, ttl_seconds=300
            ),
        )
        assert found.result in {"pass", "fail", "temperror", "permerror"}
        for reason in helo_reasons(ip, values[0], lambda name: name == "a.test", found.name):
            assert reason.text
        logging.disable(logging.WARNING)  # a list that does not work
        try:
            asyncio.run(_ask_lists(ip, values))
        finally:
            logging.disable(logging.NOTSET)


async def _ask_lists(ip: IPv4Address | IPv6Address, values: tuple[str, ...]) -> None:
    """Whatever a list answers, what we say of it can be shown; some answers are late."""
    asked = 0

    async def resolve(question: Question) -> Answer:
        nonlocal asked
        asked += 1
        if asked % 5 == 0:
            await asyncio.sleep(0)
        if question.name.startswith("1.0.0.127.") and not question.name.endswith("all.test"):
            return Answer(question=question, outcome=Outcome.NO_NAME)
        if question.name.endswith("dead.test"):
            return Answer(question=question, outcome=Outcome.FAILED)
        return Answer(
            question=question,
            outcome=Outcome.FOUND,
            values=(*values, "127.0.0.2")[: 5 + asked],
            ttl_seconds=300,
        )

    weights = {"a.test": 1.0, "a.test 127.0.0.9": 2.0, "good.test": -1.0, "all.test": 1.0}
    lists = DnsLists({**weights, "dead.test": 1.0}, resolve)
    for _ in range(2):
        found = await check_peer(ip, values[0], resolve, lists, "a.test".__eq__, 0)
        assert found.name == found.iprev.name
        for reason in found.reasons:
            assert reason.text.isprintable(), reason
    await check_peer(ip, values[0], resolve, DnsLists({}, resolve), "a.test".__eq__, 0)
    await lists.test("dead.test")
