"""Targets of the fuzzer for SPF and for what is asked about a peer."""

from __future__ import annotations

from ipaddress import ip_address

from zajil.check.peer import check_iprev, helo_reasons
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.spf import SpfQuery, check_spf, check_spf_helo
from zajil.mailauth.spf_macro import MAX_NAME
from zajil.mailauth.spf_questions import MAX_LOOKUPS, MAX_NAMES
from zajil.mailauth.spf_record import BadRecord, Record, is_record, parse_record
from zajil.testing.fuzz import Target
from zajil.testing.zone import run_flow_on_answers

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


def spf_targets() -> list[Target]:
    """Give the targets."""
    return [
        Target("spf-record", _record, _RECORDS, _WORDS),
        Target("spf-flow", _flow, _ANSWERS, (*_WORDS, b"10 ", b"127.0.0.2", b"a.test")),
        Target("peer", _peer, (b"mx.a.test\n192.0.2.1", b"[IPv6:::1]\nb.test"), (b"[", b".", b":")),
    ]


def _record(data: bytes) -> None:
    text = data.decode("latin-1")
    parsed = parse_record(text)
    assert isinstance(parsed, Record | BadRecord)
    if is_record(text) and isinstance(parsed, Record):
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
        return Answer(question, outcome, tuple(held) if outcome is Outcome.FOUND else (), 300)

    for ip in ("192.0.2.1", "2001:db8::1"):
        query = SpfQuery(ip_address(ip), sender, helo)
        for flow in (check_spf(query), check_spf_helo(query)):
            asked = 0
            found = run_flow_on_answers(flow, answer)
            assert found.result in _RESULTS
            assert found.reason.isprintable()
            assert asked <= _MAX_QUESTIONS
            assert found.explanation is None or found.explanation.isascii()


def _peer(data: bytes) -> None:
    values = tuple(data.decode("utf-8", "replace").split("\n")[:256])
    for ip in (ip_address("192.0.2.1"), ip_address("2001:db8::1")):
        found = run_flow_on_answers(
            check_iprev(ip), lambda question: Answer(question, Outcome.FOUND, values, 300)
        )
        assert found.result in {"pass", "fail", "temperror", "permerror"}
        for reason in helo_reasons(ip, values[0], lambda name: name == "a.test", found.name):
            assert reason.text
