"""What is remembered of a sender: the findings stay what they were, and nobody gets another's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from kit.facts import PEER, make_facts
from kit.mail import NOON_MS, make_message
from kit.zone import Zone, ZoneResolver, answer_from_zone
from zajil.check.facts import MessageFacts
from zajil.check.sender.findings import SenderFindings
from zajil.check.sender.known_sender import SenderMemory, key_of, make_sender_memory
from zajil.check.sender.sender import check_sender
from zajil.config.options_check import CheckOptions
from zajil.core.address import parse_address
from zajil.dns.flow import Answer, Question
from zajil.mailauth.dkim_body import BodyDigests

SPF = "v=spf1 ip4:192.0.2.1 -all"
ZONE: Zone = {
    "north.test": {"TXT": [SPF]},
    "south.test": {"TXT": [SPF]},
    "mx.north.test": {"TXT": ["v=spf1 -all"]},
    "_dmarc.north.test": {"TXT": ["v=DMARC1; p=reject"]},
}
OPTIONS = CheckOptions()
MAIL = replace(
    make_facts(make_message()),
    claimed_name="mx.north.test",
    reverse_path=parse_address("amal@north.test"),
)


class Run:
    """One worker's memory over a zone."""

    def __init__(self, zone: Zone = ZONE, ttl_seconds: int | None = None) -> None:
        self.zone = ZoneResolver(zone)
        self.memory: SenderMemory = make_sender_memory()
        self._ttl_seconds = ttl_seconds

    async def _resolve(self, question: Question) -> Answer:
        answer = await self.zone.resolve(question)
        if self._ttl_seconds is None:
            return answer
        return replace(answer, ttl_seconds=self._ttl_seconds)

    def check(self, facts: MessageFacts, later_ms: int = 0) -> tuple[SenderFindings, int]:
        """Return what is found, and how many questions that took."""
        facts = replace(facts, now_ms=NOON_MS + later_ms)
        before = len(self.zone.questions)
        found = asyncio.run(
            check_sender(facts, BodyDigests(()), self._resolve, OPTIONS, None, self.memory)
        )
        return found, len(self.zone.questions) - before


def alone(facts: MessageFacts, zone: Zone = ZONE) -> SenderFindings:
    """Return what is found without any memory."""

    async def resolve(question: Question) -> Answer:
        return answer_from_zone(zone, question)

    return asyncio.run(check_sender(facts, BodyDigests(()), resolve, OPTIONS, None))


def test_the_second_mail_asks_nothing_and_is_told_the_same() -> None:
    run = Run()
    first, asked = run.check(MAIL)
    assert asked > 0
    for _ in range(3):
        again, asked = run.check(MAIL)
        assert asked == 0
        assert again == first == alone(MAIL)


@pytest.mark.parametrize(
    "change",
    [
        {"peer": replace(PEER, host="192.0.2.9")},
        {"claimed_name": "mx.south.test"},
        {"reverse_path": parse_address("amal@south.test")},
        {"reverse_path": parse_address("amal@nowhere.test")},
        {"reverse_path": None},
        {"peer": None},
        {"from": "basim@south.test"},
        {"from": "amal@sub.north.test"},
    ],
)
def test_another_sender_gets_its_own_findings(change: dict[str, Any]) -> None:
    """Attack: a stranger must not be proven by what was found for another sender."""
    if "from" in change:
        written = make_facts(make_message(sender=change["from"]))
        other = replace(MAIL, header=written.header, fields=written.fields)
    else:
        other = replace(MAIL, **change)
    run = Run()
    run.check(MAIL)
    assert run.check(other)[0] == alone(other)
    assert run.check(MAIL)[0] == alone(MAIL)
    assert run.check(other)[0] == alone(other)


def test_it_is_asked_again_after_five_seconds_or_a_shorter_ttl() -> None:
    run = Run()
    run.check(MAIL)
    assert run.check(MAIL, 4999)[1] == 0
    assert run.check(MAIL, 5000)[1] > 0
    short = Run(ttl_seconds=2)
    short.check(MAIL)
    assert short.check(MAIL, 1999)[1] == 0
    assert short.check(MAIL, 2000)[1] > 0
    none = Run(ttl_seconds=0)
    none.check(MAIL)
    assert none.check(MAIL)[1] > 0


def test_a_clock_that_is_set_back_asks_again() -> None:
    run = Run()
    run.check(MAIL)
    assert run.check(MAIL, -1)[1] > 0


@pytest.mark.parametrize("name", ["north.test", "_dmarc.north.test"])
def test_what_a_failed_question_left_open_is_asked_again(name: str) -> None:
    run = Run({**ZONE, name: None})
    first, asked = run.check(MAIL)
    assert first.dmarc is not None
    assert run.check(MAIL)[1] == asked
    run.zone.zone = ZONE
    assert run.check(MAIL)[0] == alone(MAIL)


@pytest.mark.parametrize("record", ["v=spf1 exists:%{l}.ok.test -all", "v=spf1 exists:%{s} -all"])
def test_a_record_about_the_local_part_is_not_shared(record: str) -> None:
    """Attack: who may send as amal must not be believed as basim."""
    zone: Zone = {
        **ZONE,
        "north.test": {"TXT": [record]},
        "amal.ok.test": {"A": ["127.0.0.2"]},
        "amal@north.test": {"A": ["127.0.0.2"]},
    }
    run = Run(zone)
    mine, _ = run.check(MAIL)
    assert mine.spf is not None
    assert mine.spf.is_personal
    assert len(run.memory) == 0
    other = replace(MAIL, reverse_path=parse_address("basim@north.test"))
    theirs, _ = run.check(other)
    assert theirs.spf is not None
    assert theirs.spf.result == "fail"
    assert theirs == alone(other, zone)


def test_an_explanation_that_names_the_sender_is_not_shared() -> None:
    zone: Zone = {
        **ZONE,
        "north.test": {"TXT": ["v=spf1 exp=why.test -all"]},
        "why.test": {"TXT": ["%{l} may not"]},
    }
    run = Run(zone)
    run.check(MAIL)
    other = replace(MAIL, reverse_path=parse_address("basim@north.test"))
    found, _ = run.check(other)
    assert found.spf is not None
    assert found.spf.explanation == "basim may not"


def test_long_answers_are_not_kept() -> None:
    """Attack: domains with long records would fill the memory of a worker."""
    hosts = [f"{number:03}.{'x' * 60}.{'y' * 60}.{'z' * 60}.test" for number in range(10)]
    zone: Zone = {
        **ZONE,
        "north.test": {"TXT": ["v=spf1 mx -all"], "MX": [f"10 {host}" for host in hosts]},
        **{host: {"A": ["192.0.2.200"] * 20} for host in hosts},
    }
    run = Run(zone)
    run.check(MAIL)
    assert len(run.memory) == 0


def test_many_senders_do_not_grow_the_memory_without_end() -> None:
    run = Run({})
    for number in range(1100):
        run.check(replace(MAIL, claimed_name=f"mx{number}.north.test"))
    assert 0 < len(run.memory) <= 1000


def test_a_mail_adds_nothing_to_what_is_kept() -> None:
    """Aligning two subdomains asks for more policies; those belong to that mail alone."""
    zone: Zone = {
        "a.north.test": {},
        "b.north.test": {"TXT": [SPF]},
        "_dmarc.a.north.test": {"TXT": ["v=DMARC1; p=reject"]},
        "_dmarc.north.test": {"TXT": ["v=DMARC1; p=reject"]},
    }
    written = make_facts(make_message(sender="amal@a.north.test"))
    facts = replace(
        MAIL,
        header=written.header,
        fields=written.fields,
        reverse_path=parse_address("amal@b.north.test"),
    )
    run = Run(zone)
    for _ in range(2):
        found, _ = run.check(facts)
        assert found == alone(facts, zone)
        kept = run.memory.get(key_of(facts, ("a.north.test",)), NOON_MS)
        assert kept is not None
        assert kept.book.inputs == ["TXT _dmarc.a.north.test -> v=DMARC1; p=reject (ttl 300)"]
        assert found.dmarc is not None
        assert len(found.dmarc.inputs) > 1
