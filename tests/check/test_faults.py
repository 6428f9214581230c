"""A fault of our own in a check holds no mail up: it is taken without that check, and marked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import NoReturn

import pytest

from kit.facts import make_facts
from kit.mail import make_message
from kit.zone import Zone, ZoneResolver
from zajil.check.content.phishing import Protected
from zajil.check.facts import MessageFacts
from zajil.check.step import Checked, Checks
from zajil.check.verdict.verdict import Action
from zajil.config.options_check import CheckOptions
from zajil.dns.flow import Answer, Question
from zajil.store.engine.errors import StoreUnavailable
from zajil.tracking.events import FaultHappened

POLICY = "v=DMARC1; p=reject"
ZONE: Zone = {"y.test": {}, "z.test": {}, "_dmarc.z.test": {"TXT": [POLICY]}}
NAMED = (
    b"From: Amal Haddad <amal@z.test>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
    b"Message-ID: <1@z.test>\r\n\r\nHello.\r\n"
)
FORGED = b"Authentication-Results: mx.north.test; dmarc=pass\r\n"


class Broken(Exception):
    """Stands for a fault that nobody has thought of."""


def broken(_name: str) -> NoReturn:
    raise Broken("no such luck")


async def broken_dns(_question: Question) -> Answer:
    raise Broken("no such luck")


def check(facts: MessageFacts, *, dns: bool = True, content: bool = True) -> Checked:
    checks = Checks(
        CheckOptions(),
        ZoneResolver(ZONE).resolve if dns else broken_dns,
        "mx.north.test",
        protected=Protected(["north.test"], str.isupper if content else broken),
    )
    return asyncio.run(checks.check_message(facts))


def faults_of(checked: Checked) -> list[FaultHappened]:
    return [event for event in checked.events if isinstance(event, FaultHappened)]


def signals_of(checked: Checked) -> set[str]:
    return {reason.signal for reason in checked.verdict.reasons}


def test_no_fault_leaves_no_mark() -> None:
    checked = check(make_facts(make_message()))
    assert not faults_of(checked)
    assert "check.failed" not in signals_of(checked)


def test_a_fault_in_the_sender_check() -> None:
    checked = check(make_facts(make_message(extra=FORGED)), dns=False)
    (fault,) = faults_of(checked)
    assert fault.summary == "check failed (sender): Broken('no such luck')"
    assert "broken_dns" in fault.traceback
    assert checked.verdict.action is Action.JUNK
    assert "check.failed" in signals_of(checked)
    # Our own field says nothing, and the forged one goes all the same.
    assert checked.results.startswith(b"Authentication-Results: mx.north.test; none")
    assert checked.forged == [(0, len(FORGED))]


def test_a_fault_in_the_content_check_leaves_the_policy_of_the_author_in_force() -> None:
    """DMARC was asked: what it says still counts."""
    checked = check(make_facts(NAMED), content=False)
    (fault,) = faults_of(checked)
    assert fault.summary.startswith("check failed (content): ")
    assert {"check.failed", "dmarc.fail-reject"} <= signals_of(checked)
    assert b"dmarc=fail" in checked.results
    assert checked.verdict.action in (Action.JUNK, Action.REJECT)


def test_what_our_users_send_is_not_marked() -> None:
    facts = replace(make_facts(NAMED), login="amal", body=object())  # type: ignore[arg-type]
    checked = check(facts)
    assert len(faults_of(checked)) == 1
    assert checked.verdict.action is Action.ACCEPT


def test_a_store_that_is_away_is_no_fault_of_the_message() -> None:
    async def away(_question: Question) -> Answer:
        raise StoreUnavailable("gone")

    checks = Checks(CheckOptions(), away, "mx.north.test")
    with pytest.raises(StoreUnavailable):
        asyncio.run(checks.check_message(make_facts(make_message())))


@pytest.mark.parametrize(
    "name", [b'"J\xe5n Smith"', b'"\xff\xfe"', b'"\xc3"', b'"\xe3\xd1\xcd\xc8\xc7" ']
)
def test_an_author_whose_name_is_no_utf8_is_checked_like_any_other(name: bytes) -> None:
    """Mail of 1995 to today has raw Latin-1 or windows-1256 in quoted names."""
    head = b"From: " + name + b"<a@y.test>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
    checked = check(make_facts(head + b"Message-ID: <1@y.test>\r\n\r\nHello.\r\n"))
    assert not faults_of(checked)
    assert checked.verdict.action is Action.ACCEPT
