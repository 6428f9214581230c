from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kit.checks import make_checks
from kit.facts import PEER, make_facts
from kit.mail import NOON_MS, make_message
from kit.zone import Zone, ZoneResolver
from zajil.check.facts import MessageFacts
from zajil.check.step import Checked, Checks, joint_action
from zajil.check.verdict.verdict import NOTHING_AGAINST, Action, Verdict
from zajil.config.options_check import CheckOptions
from zajil.core.address import parse_address
from zajil.core.ids import AccountId
from zajil.dns.flow import Answer, Question
from zajil.tracking.events import CheckDone, VerdictReached

THERE: Zone = {"north.test": {}, "y.test": {}}


def check_without_waiting(facts: MessageFacts) -> Checked:
    """Run the step by hand: it must end without having waited for anything."""
    step = make_checks(THERE).check_message(facts)
    try:
        step.send(None)
    except StopIteration as stop:
        checked: Checked = stop.value
        return checked
    raise AssertionError("the step waits for something")


def test_a_good_letter_is_accepted_without_waiting() -> None:
    checked = check_without_waiting(make_facts(make_message()))
    assert checked.verdict.action is Action.ACCEPT
    assert checked.forged == []
    assert b"dmarc=none header.from=north.test" in checked.results
    assert checked.events[-2:] == (
        CheckDone(NOON_MS, "format", "pass", "The message is well-formed.", ()),
        VerdictReached(NOON_MS, None, "accept", 0.0, ()),
    )


def test_every_verdict_explains_itself() -> None:
    """Design section 1, promise 5."""
    checked = check_without_waiting(make_facts(make_message(extra=b"From: x@y.test\r\n")))
    assert checked.verdict.action is Action.JUNK
    *_, done, reached = checked.events
    assert isinstance(done, CheckDone)
    assert isinstance(reached, VerdictReached)
    assert done.result == "remarks"
    assert reached.verdict == "junk"
    assert reached.reasons[0] == "The message has more than one From field."


def test_a_forged_result_is_named_to_be_cut() -> None:
    message = make_message(extra=b"Authentication-Results: mx.north.test; spf=pass\r\n")
    assert check_without_waiting(make_facts(message)).forged == [(0, 49)]


def test_a_mail_is_refused_only_if_all_its_recipients_refuse_it() -> None:
    """Design D12."""
    amal, basim = AccountId(1), AccountId(2)
    accounts = {amal: parse_address("amal@north.test"), basim: parse_address("basim@north.test")}
    facts = replace(make_facts(make_message()), accounts=accounts)
    refused = Verdict(Action.REJECT, 20.0, ())
    assert joint_action(facts, refused, {}) is Action.REJECT
    assert joint_action(facts, refused, {amal: NOTHING_AGAINST}) is Action.ACCEPT
    assert joint_action(facts, NOTHING_AGAINST, {amal: refused, basim: refused}) is Action.REJECT
    leaving = replace(facts, leaves=True)
    assert joint_action(leaving, NOTHING_AGAINST, {amal: refused, basim: refused}) is Action.ACCEPT


def test_an_operator_weighs_a_signal_otherwise() -> None:
    message = make_message(extra=b"From: x@y.test\r\n")
    options = CheckOptions(weights={"format.repeated-from": 1.5})
    step = make_checks(THERE, options).check_message(make_facts(message))
    with pytest.raises(StopIteration) as stop:
        step.send(None)
    assert stop.value.value.verdict.action is Action.ACCEPT
    assert stop.value.value.verdict.score == 1.5


def test_a_peer_that_comes_again_is_not_asked_about_again() -> None:
    """Many servers bring one mail on each connection."""
    asked: list[Question] = []

    async def run() -> None:
        zone = ZoneResolver({})

        async def resolve(question: Question) -> Answer:
            asked.append(question)
            return await zone.resolve(question)

        checks = Checks(CheckOptions(), resolve, "mx.north.test")
        for at_ms in (NOON_MS, NOON_MS + 4000):
            looking = checks.look_at(PEER, "mx.south.test", at_ms)
            assert looking is not None
            assert (await looking).iprev.result == "permerror"
        assert len(asked) == 1
        later = checks.look_at(PEER, "mx.south.test", NOON_MS + 6000)
        assert later is not None
        await later
        assert len(asked) == 2

    asyncio.run(run())


def test_nobody_is_asked_about_peers_if_that_is_switched_off() -> None:
    options = CheckOptions.model_validate({"peer": {"enabled": False}})
    checks = Checks(options, ZoneResolver({}).resolve, "mx.north.test")
    assert checks.look_at(PEER, "mx.south.test", NOON_MS) is None
