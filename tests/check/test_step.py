from __future__ import annotations

from zajil.check.facts import MessageFacts
from zajil.check.step import Checked, check_message
from zajil.check.verdict import Action
from zajil.testing.facts import make_facts
from zajil.testing.mail import NOON_MS, make_letter
from zajil.tracking.events import CheckDone, VerdictReached


def check_without_waiting(facts: MessageFacts) -> Checked:
    """Run the step by hand: it must end without having waited for anything."""
    step = check_message(facts)
    try:
        step.send(None)
    except StopIteration as stop:
        checked: Checked = stop.value
        return checked
    raise AssertionError("the step waits for something")


def test_a_good_letter_is_accepted_without_waiting() -> None:
    checked = check_without_waiting(make_facts(make_letter()))
    assert checked.verdict.action is Action.ACCEPT
    assert checked.forged == []
    assert checked.field == b"Authentication-Results: mx.north.test; none\r\n"
    assert checked.events == (
        CheckDone(NOON_MS, "format", "pass", "The form of the message is right.", ()),
        VerdictReached(NOON_MS, None, "accept", 0.0, ()),
    )


def test_every_verdict_explains_itself() -> None:
    """Design section 1, promise 5."""
    checked = check_without_waiting(make_facts(make_letter(extra=b"From: x@y.test\r\n")))
    assert checked.verdict.action is Action.JUNK
    done, reached = checked.events
    assert isinstance(done, CheckDone)
    assert isinstance(reached, VerdictReached)
    assert done.result == "remarks"
    assert reached.verdict == "junk"
    assert reached.reasons == ("It names its author more than once.",)


def test_a_forged_result_is_named_to_be_cut() -> None:
    message = make_letter(extra=b"Authentication-Results: mx.north.test; spf=pass\r\n")
    assert check_without_waiting(make_facts(message)).forged == [(0, 49)]
