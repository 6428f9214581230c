"""Each recipient of a mail is told in a sentence, with the next step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kit.journeys import journey_of
from zajil.core.service import RecipientState
from zajil.tracking import events as tracked
from zajil.tracking.events import TrackingEvent
from zajil.tracking.recipient_story import ToldRecipient, tell_recipients
from zajil.tracking.sentences import Tone
from zajil.tracking.tracked_recipient import TrackedRecipient

NOOR = "noor@south.test"
NOW_MS = 1_795_462_000_000
LATER_MS = NOW_MS + 600_000


def told(
    state: RecipientState, *events: TrackingEvent, reason: str = "", next_ms: int | None = None
) -> ToldRecipient:
    copy = TrackedRecipient(NOOR, state, reason, next_ms)
    (one,) = tell_recipients(
        replace(journey_of(*events), recipients=(copy,), expires_ms=LATER_MS), NOW_MS
    )
    return one


def texts(one: ToldRecipient) -> list[str]:
    return [sentence.text for sentence in one.sentences]


DEFERRED = tracked.DeliveryDeferred(1, NOOR, "mx.south.test", "450 later", LATER_MS)
FAILED = tracked.RecipientFailed(1, NOOR, "mx.south.test", "5.1.1", "550 no", expired=False)
FULL = replace(FAILED, status="5.2.2")
TOLD = tracked.DsnSent(2, "0" * 28, (NOOR,))
ANOTHER = tracked.RecipientDelivered(1, "amal@north.test", "mx", "250 ok")


@pytest.mark.parametrize(
    ("state", "events", "expected"),
    [
        (
            RecipientState.WAITING,
            (DEFERRED,),
            [
                "Not delivered yet.",
                "Next attempt: {next_try_ms}.",
                "If it cannot be delivered, it is returned to the sender on {expires_ms}.",
            ],
        ),
        (RecipientState.WAITING, (), ["It will be sent on {next_try_ms}."]),
        (
            RecipientState.BOUNCED,
            (FAILED, TOLD),
            [
                "It was not delivered.",
                "Check the address, and send the message again.",
                "The sender was notified on {at_ms}.",
            ],
        ),
        (RecipientState.BOUNCED, (FULL,), ["It was not delivered."]),
        (RecipientState.EXPIRED, (TOLD,), [
            "It could not be delivered in time.",
            "The sender was notified on {at_ms}.",
        ]),
        (RecipientState.HELD, (), ["It is sent when an administrator releases it."]),
        (RecipientState.DISCARDED, (), ["An administrator deleted it from the queue."]),
        (RecipientState.REFUSED, (), ["The server did not accept it."]),
        (RecipientState.DELIVERED, (ANOTHER,), ["It was delivered."]),
    ],
)  # fmt: skip
def test_the_next_step(
    state: RecipientState, events: tuple[TrackingEvent, ...], expected: list[str]
) -> None:
    assert texts(told(state, *events, next_ms=LATER_MS)) == expected


def test_what_is_due_is_in_progress() -> None:
    one = told(RecipientState.WAITING, DEFERRED, next_ms=NOW_MS)
    assert texts(one) == ["Delivery is in progress."]


def test_junk_is_no_success() -> None:
    """A phish in Junk is not a green "delivered"."""
    filed = tracked.MailboxFiled(1, NOOR, "noor", "Junk", "The message was classified as junk.")
    one = told(RecipientState.DELIVERED, filed, reason="The message was classified as junk.")
    assert (one.state, one.tone) == ("junk", Tone.WAIT)
    assert one.reason == "The message was classified as junk."
    inbox = told(RecipientState.DELIVERED, replace(filed, mailbox="INBOX"), reason="passed")
    assert (inbox.state, inbox.tone, inbox.reason) == ("delivered", Tone.GOOD, "")


def test_what_an_account_does_with_its_mail_is_not_told_to_the_sender() -> None:
    filed = tracked.MailboxFiled(1, NOOR, "", "", "")
    one = told(RecipientState.DELIVERED, filed)
    assert (one.state, texts(one)) == ("delivered", ["Delivered to the mailbox on {at_ms}."])
