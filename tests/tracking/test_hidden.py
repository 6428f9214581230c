"""What an alias hides from the sender of a mail: who is behind it, how many, and where."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.journeys import AMAL, BASIM, NAMES, SALMA, SECRET, example_event, journey_of
from zajil.core.service import RecipientState
from zajil.tracking import events as tracked
from zajil.tracking.events import EVENTS, TrackingEvent
from zajil.tracking.journey import Journey, journey_to_dict, viewer_of, visible_journey
from zajil.tracking.story import tell_story
from zajil.tracking.tracked_recipient import TrackedRecipient

ALIAS = "readers@north.test"
HIDDEN, OTHER = "quiet.person@far.test", "second@far.test"
EXPANDED = tracked.AliasExpanded(1, ALIAS, ("salma@north.test", HIDDEN, OTHER))


def remote(
    address: str, state: RecipientState, reason: str = "", next_try_ms: int | None = None
) -> object:
    return TrackedRecipient(address, state, reason, next_try_ms, None, ALIAS)


def journey_with(copies: tuple[object, ...], *events: TrackingEvent) -> Journey:
    return replace(journey_of(EXPANDED, *events), recipients=copies)  # type: ignore[arg-type]


def seen_by_sender(journey: Journey) -> Journey:
    viewer = viewer_of(journey, AMAL, NAMES[AMAL])
    assert viewer is not None
    return visible_journey(journey, viewer)


def told(journey: Journey) -> str:
    steps = [step for chapter in tell_story(journey) for step in chapter.steps]
    lines = [step.sentence.plain() + repr(step.details) for step in steps]
    return json.dumps(journey_to_dict(journey)) + "\n".join(lines)


def test_one_remote_target_is_told_in_the_name_of_the_alias() -> None:
    seen = seen_by_sender(
        journey_with(
            (
                remote(
                    HIDDEN,
                    RecipientState.DELIVERED,
                    "250 2.0.0 queued for quiet.person at mx.far.test",
                ),
            ),
            tracked.RecipientNamed(1, ALIAS, "alias"),
            tracked.MailAccepted(1, 1),
            tracked.RecipientQueued(1, HIDDEN, "far.test", 2),
            tracked.RouteFound(2, "far.test", ("10 mx.far.test",), ("MX far.test",)),
            tracked.AttemptMade(
                3, "mx.far.test", "192.0.2.1:25", None, (f"C: RCPT TO:<{HIDDEN}>",), "ok", True
            ),
            tracked.RecipientDelivered(4, HIDDEN, "mx.far.test", "250 ok quiet.person"),
        )
    )
    assert seen.recipients == (TrackedRecipient(ALIAS, RecipientState.DELIVERED, "", None),)
    assert "far.test" not in told(seen)
    assert "quiet" not in told(seen)
    assert f"The message for {ALIAS} was delivered." in told(seen)


def test_an_account_that_forwards_is_one_recipient_and_no_more() -> None:
    """Its own copy and the one elsewhere: the sender sees the address it wrote to."""
    own = "basim@north.test"
    journey = journey_with(
        (
            TrackedRecipient(own, RecipientState.DELIVERED, "filed as INBOX", None, BASIM),
            TrackedRecipient(
                HIDDEN, RecipientState.WAITING, "no answer of mx.far.test", 70, None, own
            ),
        ),
        tracked.AliasExpanded(1, own, (own, HIDDEN)),
        tracked.MailAccepted(1, 2),
        tracked.MailboxFiled(1, own, own, "INBOX", "no rule"),
        tracked.RecipientQueued(1, HIDDEN, "far.test", 2),
        tracked.DeliveryDeferred(3, HIDDEN, "mx.far.test", f"450 {HIDDEN}", 70),
    )
    journey = replace(journey, events=journey.events[1:])
    seen = seen_by_sender(journey)
    assert [(one.address, one.state) for one in seen.recipients] == [(own, RecipientState.WAITING)]
    assert "far.test" not in told(seen)
    assert "quiet" not in told(seen)


@pytest.mark.parametrize(
    ("states", "state", "next_try_ms"),
    [
        ((RecipientState.DELIVERED, RecipientState.DELIVERED), RecipientState.DELIVERED, None),
        ((RecipientState.DELIVERED, RecipientState.WAITING), RecipientState.WAITING, 70),
        ((RecipientState.WAITING, RecipientState.BOUNCED), RecipientState.BOUNCED, None),
        ((RecipientState.WAITING, RecipientState.HELD), RecipientState.HELD, None),
        ((RecipientState.EXPIRED, RecipientState.DELIVERED), RecipientState.EXPIRED, None),
        ((RecipientState.DISCARDED, RecipientState.HELD), RecipientState.DISCARDED, None),
    ],
)
def test_several_targets_are_one_recipient_with_the_worst_state(
    states: tuple[RecipientState, RecipientState], state: RecipientState, next_try_ms: int | None
) -> None:
    copies = tuple(
        remote(
            address, one, f"no such user {address}", 70 if one == RecipientState.WAITING else None
        )
        for address, one in zip((HIDDEN, OTHER), states, strict=True)
    )
    seen = seen_by_sender(journey_with(copies))
    assert seen.recipients == (TrackedRecipient(ALIAS, state, "", next_try_ms),)


def test_how_many_are_behind_an_alias_is_not_told() -> None:
    copies = (
        TrackedRecipient(ALIAS, RecipientState.DELIVERED, "", None, SALMA),
        TrackedRecipient(ALIAS, RecipientState.DELIVERED, "", None, BASIM),
        remote(HIDDEN, RecipientState.DELIVERED),
        TrackedRecipient("noor@south.test", RecipientState.DELIVERED, "250 ok", None),
    )
    seen = seen_by_sender(
        journey_with(
            copies,
            tracked.MailboxFiled(1, ALIAS, "salma", "INBOX", ""),
            tracked.MailboxFiled(1, ALIAS, "basim", "Junk", ""),
            tracked.MailAccepted(1, 4),
            tracked.RecipientDelivered(5, "noor@south.test", "mx.south.test", "250 ok"),
            tracked.RecipientDelivered(6, HIDDEN, "mx.far.test", "250 ok"),
        )
    )
    assert [recorded.event for recorded in seen.events] == [
        tracked.MailAccepted(1, 2),
        tracked.RecipientDelivered(5, "noor@south.test", "mx.south.test", "250 ok"),
        tracked.RecipientDelivered(6, ALIAS, "", ""),
    ]


def test_trouble_behind_an_alias_is_told_without_where() -> None:
    words = f"550 5.1.1 <{HIDDEN}> unknown at mx.far.test"
    seen = seen_by_sender(
        journey_with(
            (
                remote(HIDDEN, RecipientState.BOUNCED, words),
                remote(OTHER, RecipientState.DISCARDED),
            ),
            tracked.RouteFailed(1, "far.test", True, "SERVFAIL", ("MX far.test",)),
            tracked.DeliveryDeferred(2, HIDDEN, "mx.far.test", words, 3),
            tracked.RecipientFailed(4, HIDDEN, "mx.far.test", "5.1.1", words, False),
            tracked.DsnSent(5, "x", (HIDDEN,)),
            tracked.OperatorActed(6, "discard", "root", "", (HIDDEN, OTHER)),
        )
    )
    assert [recorded.event for recorded in seen.events] == [
        tracked.DeliveryDeferred(2, ALIAS, None, "", 3),
        tracked.RecipientFailed(4, ALIAS, None, "5.1.1", "", False),
        tracked.DsnSent(5, "x", (ALIAS,)),
        tracked.OperatorActed(6, "discard", "", "", (ALIAS,)),
    ]
    assert "far.test" not in told(seen)


def test_dialogues_of_recipients_that_the_sender_named_stay() -> None:
    open_one = tracked.AttemptMade(
        2, "mx.south.test", "192.0.2.2:25", None, ("C: RCPT TO:<noor@south.test>",), "ok", False
    )
    hidden = tracked.AttemptMade(
        3, "mx.far.test", "192.0.2.1:25", None, ("S: 421 busy",), "421 busy", True
    )
    old = tracked.AttemptMade(4, "mx.far.test", "192.0.2.1:25", None, (), "no answer")
    route = tracked.RouteFound(1, "south.test", ("10 mx.south.test",), ())
    copies = (
        remote(HIDDEN, RecipientState.WAITING),
        TrackedRecipient("noor@south.test", RecipientState.WAITING, "", 5),
    )
    seen = seen_by_sender(journey_with(copies, route, open_one, hidden, old))
    assert [recorded.event for recorded in seen.events] == [route, open_one]


def test_without_an_alias_the_sender_sees_every_attempt() -> None:
    """Also one that was recorded before it was known whether an alias hides the target."""
    old = tracked.AttemptMade(4, "mx.south.test", "192.0.2.1:25", None, (), "no answer")
    assert [recorded.event for recorded in seen_by_sender(journey_of(old)).events] == [old]


def test_a_sender_behind_the_alias_sees_their_own_copy() -> None:
    own = tracked.MailboxFiled(1, ALIAS, "amal", "INBOX", "no rule")
    expanded = tracked.AliasExpanded(1, ALIAS, ("amal@north.test", HIDDEN))
    copies = (
        TrackedRecipient(ALIAS, RecipientState.DELIVERED, "", None, AMAL),
        remote(HIDDEN, RecipientState.WAITING),
    )
    seen = seen_by_sender(
        replace(journey_with(copies, own), events=journey_of(expanded, own).events)
    )
    assert [recorded.event for recorded in seen.events] == [
        replace(expanded, targets=("amal@north.test",)),
        own,
    ]
    assert [copy.address for copy in seen.recipients] == [ALIAS]


def test_a_refused_spelling_of_an_alias_stays_beside_it() -> None:
    copies = (
        remote(HIDDEN, RecipientState.DELIVERED),
        TrackedRecipient(ALIAS, RecipientState.REFUSED, "450 4.2.1 no", None),
    )
    seen = seen_by_sender(journey_with(copies))
    assert [(copy.address, copy.state) for copy in seen.recipients] == [
        (ALIAS, "delivered"),
        (ALIAS, "refused"),
    ]


@given(st.data(), st.lists(st.sampled_from(sorted(EVENTS)), max_size=12))
def test_whatever_happened_a_sender_learns_of_no_target(
    data: st.DataObject, names: list[str]
) -> None:
    """Over every kind of event there is: also of one that is added tomorrow."""
    events = [
        example_event(EVENTS[name], data.draw)
        for name in names
        # These repeat what the sender itself has said.
        if not name.startswith(("session.", "mail.recipient", "connection."))
    ]
    seen = seen_by_sender(
        journey_with((remote(SECRET, RecipientState.WAITING, SECRET, 7),), *events)
    )
    assert SECRET not in told(seen)
