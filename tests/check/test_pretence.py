"""Mail from outside in the name of one of our domains."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kit.facts import PEER, make_facts
from kit.zone import Zone, ZoneResolver
from zajil.check.sender.own_domain_spoofing import check_pretence
from zajil.check.sender.sender import check_sender
from zajil.config.options_check import CheckOptions
from zajil.core.address import parse_address
from zajil.mailauth.dkim_body import BodyDigests
from zajil.net.peer import Peer

LETTER = b"From: Boss <boss@north.test>\r\nTo: amal@north.test\r\nSubject: pay\r\n\r\nAt once.\r\n"
SPF: Zone = {"north.test": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}}


def signals(
    message: bytes = LETTER,
    zone: Zone | None = None,
    peer: Peer | None = PEER,
    *,
    login: str | None = None,
    sender: str = "sami@south.test",
) -> list[tuple[str, float]]:
    facts = make_facts(message, login=login)
    facts = replace(facts, peer=peer, reverse_path=parse_address(sender))
    resolve = ZoneResolver(zone or {}).resolve
    found = asyncio.run(check_sender(facts, BodyDigests(()), resolve, CheckOptions(), None))
    reasons = check_pretence(facts, found, {"north.test"})
    return [(reason.signal, reason.weight) for reason in reasons]


def test_a_forgery_of_a_domain_without_a_policy() -> None:
    assert signals() == [("phish.domain-of-ours", 3.0)]


def test_what_is_proven_or_ours_or_somebody_elses() -> None:
    assert signals(zone=SPF, sender="boss@north.test") == []
    assert signals(login="boss") == []
    assert signals(LETTER.replace(b"north.test>", b"south.test>")) == []


@pytest.mark.parametrize("host", ["10.1.2.3", "192.168.0.9", "127.0.0.1", "fd00::1"])
def test_printers_of_the_house(host: str) -> None:
    assert signals(peer=replace(PEER, host=host)) == []


def test_a_list_brings_back_what_our_people_wrote() -> None:
    message = b"List-Id: <pigeons.lists.example>\r\n" + LETTER
    assert signals(message) == [("phish.domain-of-ours", 1.0)]


def test_dns_that_does_not_answer_is_not_held_against_it() -> None:
    """Decision 0007, law 3."""
    assert signals(zone={"north.test": None}, sender="boss@north.test") == []
