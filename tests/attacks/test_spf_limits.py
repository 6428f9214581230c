"""What a hostile SPF record costs us: a bounded number of questions, and little time (attacks J).

Each record here is one that the sender of a mail writes into his own zone, to make every server he
sends to work for him.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from kit.zone import run_flow_on_answers
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.spf import SpfFound, SpfQuery, check_spf
from zajil.mailauth.spf_macro import MAX_NAME
from zajil.mailauth.spf_questions import MAX_LOOKUPS, MAX_NAMES, MAX_VOID
from zajil.mailauth.spf_record import MAX_RECORD, BadRecord, parse_record

GUARD_SECONDS = 20.0
"""Far above what any of it takes; what is not linear takes minutes."""
DOMAIN = ".".join("abcdefgh" * 14) + ".test"  # many short labels: the dearest name to cut
SENDER = "x" * 64 + "@" + DOMAIN


def check(
    answer: Callable[[Question], Answer], sender: str = SENDER, ip: str = "192.0.2.1"
) -> tuple[SpfFound, list[Question]]:
    asked: list[Question] = []

    def note(question: Question) -> Answer:
        asked.append(question)
        return answer(question)

    began = time.process_time()
    found = run_flow_on_answers(check_spf(SpfQuery(ip_address(ip), sender, "h.test")), note)
    assert time.process_time() - began < GUARD_SECONDS
    assert all(len(question.name) <= MAX_NAME for question in asked)
    assert len(found.reason) < 1000
    assert sum(map(len, found.inputs)) < 25_000
    return found, asked


def always(text: str, **others: tuple[str, ...]) -> Callable[[Question], Answer]:
    """Answer every TXT question with this record, and others by their type."""

    def answer(question: Question) -> Answer:
        values = (text,) if question.type == "TXT" else others.get(question.type, ())
        return Answer(
            question=question,
            outcome=Outcome.FOUND if values else Outcome.NO_NAME,
            values=values,
            ttl_seconds=60,
        )

    return answer


def filled(term: str, tail: str = "-all") -> str:
    """Give the longest record of one term that is taken."""
    count = (MAX_RECORD - len("v=spf1 ") - len(tail)) // (len(term) + 1)
    return "v=spf1 " + f"{term} " * count + tail


@pytest.mark.parametrize(
    "macro", ["%{d}", "%{s}", "%{S}", "%{dr-}", "%{d128r.-+,/_=}", "%{i}.x", "x.x"]
)
def test_macros_do_not_overflow(macro: str) -> None:
    """CVE-2021-33912, CVE-2021-33913: names that grow with each macro in them."""
    room = MAX_RECORD - len("v=spf1 exists:.test -all")
    text = f"v=spf1 exists:{macro * (room // len(macro))}.test -all"
    found, asked = check(always(text, A=("127.0.0.2",)))
    assert found.result == "pass"
    assert len(asked) == 2


def test_an_explanation_does_not_overflow() -> None:
    assert explain("x" * 65_000).explanation is None
    found = explain("%{S}%{h}%{p}%{c}" * 100)
    assert found.result == "fail"
    assert found.explanation is not None
    assert len(found.explanation) == 500
    assert found.explanation.isascii()


def explain(words: str) -> SpfFound:
    def answer(question: Question) -> Answer:
        text = "v=spf1 -all exp=why.test" if question.name == DOMAIN else words
        return Answer(question=question, outcome=Outcome.FOUND, values=(text,), ttl_seconds=60)

    found, asked = check(answer)
    assert len(asked) <= 3 + MAX_NAMES
    return found


@pytest.mark.parametrize(
    "term", ["include:%{d}", "include:a.%{d}", "include:b.test include:c.test"]
)
def test_includes_that_never_end(term: str) -> None:
    found, asked = check(always(f"v=spf1 {term} -all"))
    assert found.result == "permerror"
    assert len(asked) <= 1 + MAX_LOOKUPS


@pytest.mark.parametrize("target", ["%{d}", "a.%{d}", "%{o}"])
def test_redirects_that_never_end(target: str) -> None:
    found, asked = check(always(f"v=spf1 redirect={target}"))
    assert found.result == "permerror"
    assert len(asked) <= 1 + MAX_LOOKUPS


def test_questions_do_not_multiply() -> None:
    """RFC 7208 section 11.1: ten MX terms of ten hosts each are the most there can be."""
    hosts = tuple(f"10 h{number}.test" for number in range(MAX_NAMES))
    found, asked = check(always(filled("mx:%{d}"), MX=hosts, A=("10.0.0.1",)))
    assert found.result == "permerror"
    assert len(asked) <= 1 + MAX_LOOKUPS * (1 + MAX_NAMES)


def test_more_mail_hosts_than_ten_are_an_error_at_once() -> None:
    hosts = tuple(f"10 h{number}.test" for number in range(256))
    found, asked = check(always("v=spf1 mx -all", MX=hosts))
    assert (found.result, len(asked)) == ("permerror", 2)


def test_names_that_do_not_exist_are_asked_for_three_times() -> None:
    """RFC 7208 section 4.6.4: void lookups; the victim of a reflection is another's server."""
    found, asked = check(always(filled("a:%{l}.victim.test")))
    assert found.result == "permerror"
    assert len(asked) <= 2 + MAX_VOID


def test_names_of_an_address_are_ten_at_most() -> None:
    names = tuple(f"n{number}.test" for number in range(256))
    _, asked = check(always("v=spf1 ptr -all", PTR=names, A=("10.0.0.1",)))
    assert len(asked) <= 2 + MAX_NAMES


def test_many_addresses_are_compared_quickly() -> None:
    hosts = tuple(f"10 h{number}.test" for number in range(MAX_NAMES))
    addresses = tuple(f"2001:db8::{number:x}" for number in range(256))
    text = "v=spf1 " + "mx//128 " * MAX_LOOKUPS + "-all"
    found, _ = check(always(text, MX=hosts, AAAA=addresses), ip="2001:db9::1")
    assert found.result == "fail"


@pytest.mark.parametrize(
    "term",
    [
        "ip4:1.2.3.4",
        "?ip6:::/0",
        "a",
        "x=",
        "x=%{s}",
        "exists:%{ir}.%{v}.%{d}",
        "a/",
        "%",
        ":",
        "=",
        "+",
    ],
)
def test_long_records_are_read_in_linear_time(term: str) -> None:
    check(always(filled(term)))


@pytest.mark.parametrize("size", [MAX_RECORD + 1, 65_535, 1_000_000])
def test_immense_records_are_not_read(size: int) -> None:
    """A TXT record has 64 KB at most; nobody needs a tenth of it."""
    text = "v=spf1 " + "ip4:192.0.2.1 " * (size // 14 + 1)
    began = time.process_time()
    assert isinstance(parse_record(text), BadRecord)
    assert time.process_time() - began < GUARD_SECONDS
    assert check(always(text))[0].result == "permerror"


@pytest.mark.parametrize("byte", ["\0", "\t", "\r\n", "\x1b[2J", "\x7f", "\xa0", "\xff", "\\", "%"])
def test_control_bytes_make_a_record_malformed(byte: str) -> None:
    """What is printed of it is printable: it goes to logs, journeys and terminals."""
    found, _ = check(always(f"v=spf1 a:{byte}x.test -all"))
    if byte == "\\":
        return  # visible, so in the grammar; no name holds it
    assert found.result == "permerror"
    assert found.reason.isprintable()


def test_hosts_with_odd_names_are_not_asked_for() -> None:
    """A hostile MX or PTR answer names what no DNS message can carry."""
    odd = ("10 a..b", "10 " + "x" * 64 + ".test", "10 \0.test", "10 ", "x", "", "10 ü.test")
    _, asked = check(always("v=spf1 mx ptr a:%{h} -all", MX=odd, PTR=odd, A=("10.0.0.1",)))
    assert all(question.name.isascii() and ".." not in question.name for question in asked)


@pytest.mark.parametrize(
    "sender", ["@", "a@", "@@", "a@.test", "a@b..test", "a@" + "x." * 200, "a@[::1]"]
)
def test_a_sender_without_a_usable_domain_asks_nothing(sender: str) -> None:
    found, asked = check(always("v=spf1 +all"), sender=sender)
    assert (found.result, asked) == ("none", [])
