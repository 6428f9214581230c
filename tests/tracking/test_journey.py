"""Who sees what of a journey."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.journeys import (
    AMAL,
    BASIM,
    BCC,
    FILED_BASIM,
    MAIL,
    NAMES,
    SALMA,
    SECRET,
    SESSION,
    STRANGER,
    example_event,
    journey_of,
)
from zajil.core.ids import ID_RANDOM_SIZE, AccountId, new_mail_id
from zajil.core.service import RecipientState
from zajil.tracking import events as tracked
from zajil.tracking.codec import encode_events
from zajil.tracking.events import EVENTS, TrackingEvent
from zajil.tracking.journey import (
    Journey,
    Recorded,
    Role,
    joined_mail_id,
    journey_to_dict,
    refused_journey,
    viewer_of,
    visible_journey,
)
from zajil.tracking.sentences import Stage, Tone
from zajil.tracking.story import stations
from zajil.tracking.tracked_recipient import TrackedRecipient


def seen_by(account_id: AccountId, journey: Journey, *, admin: bool = False) -> Journey:
    viewer = viewer_of(journey, account_id, NAMES[account_id], admin=admin)
    assert viewer is not None
    return visible_journey(journey, viewer)


def names_seen_by(account_id: AccountId, *events: TrackingEvent) -> list[TrackingEvent]:
    return [recorded.event for recorded in seen_by(account_id, journey_of(*events)).events]


FILED_BCC = tracked.MailboxFiled(1, BCC, "salma", "Junk", "it looks like junk")
FAULT = tracked.FaultHappened(1, f"lost {BCC}", "Traceback ...")


@pytest.mark.parametrize(
    ("account_id", "admin", "role"),
    [
        (AMAL, False, Role.SENDER),
        (BASIM, False, Role.OWNER),
        (SALMA, False, Role.OWNER),
        (STRANGER, True, Role.ADMIN),
        (AMAL, True, Role.ADMIN),
    ],
)
def test_role(account_id: AccountId, admin: bool, role: Role) -> None:
    viewer = viewer_of(journey_of(), account_id, NAMES[account_id], admin=admin)
    assert viewer is not None
    assert viewer.role is role


def test_a_stranger_sees_nothing() -> None:
    """A mail that is none of somebody's business does not exist for them."""
    assert viewer_of(journey_of(), STRANGER, NAMES[STRANGER]) is None


def test_a_mail_from_outside_belongs_to_no_sender_here() -> None:
    journey = replace(journey_of(), account_id=None)
    assert viewer_of(journey, AMAL, NAMES[AMAL]) is None


def test_an_admin_sees_everything() -> None:
    journey = journey_of(FILED_BASIM, FILED_BCC, FAULT)
    assert seen_by(STRANGER, journey, admin=True) == journey


def test_the_sender_sees_all_recipients() -> None:
    journey = seen_by(AMAL, journey_of(tracked.RecipientNamed(1, BCC, "local")))
    assert [copy.address for copy in journey.recipients] == [
        "basim@north.test",
        BCC,
        "noor@south.test",
    ]
    assert len(journey.events) == 1


def test_the_sender_does_not_learn_where_a_copy_is_filed() -> None:
    """Whether a letter is junk to its reader is the reader's affair."""
    journey = seen_by(AMAL, journey_of(FILED_BCC))
    assert "Junk" not in json.dumps(journey_to_dict(journey))
    assert "junk" not in json.dumps(journey_to_dict(journey))
    verdict = tracked.VerdictReached(1, BCC, "junk", 7.0, ("words of a seller",))
    assert names_seen_by(AMAL, verdict) == []


def test_an_owner_sees_their_own_copy() -> None:
    journey = seen_by(BASIM, journey_of(FILED_BASIM))
    assert [copy.address for copy in journey.recipients] == ["basim@north.test"]
    assert [recorded.event for recorded in journey.events] == [FILED_BASIM]


@pytest.mark.parametrize(
    "event",
    [
        tracked.RecipientNamed(1, BCC, "local"),
        tracked.RecipientRefused(1, BCC, "550 5.1.1 no such recipient"),
        FILED_BCC,
        tracked.RecipientQueued(1, BCC, "south.test", 2),
        tracked.RecipientDelivered(1, BCC, "mx.south.test", "250 ok"),
        tracked.DeliveryDeferred(1, BCC, None, "no answer", 2),
        tracked.RecipientFailed(1, BCC, None, "5.1.1", "no such recipient", False),
        tracked.VerdictReached(1, BCC, "accept", 0.0, ()),
        tracked.RouteFound(1, "south.test", ("10 mx.south.test",), ()),
        tracked.RouteFailed(1, "south.test", True, "SERVFAIL", ()),
        tracked.AttemptMade(1, "mx", "192.0.2.1:25", None, (f"C: RCPT TO:<{BCC}>",), "ok"),
        tracked.AliasExpanded(1, BCC, ("someone@else.test",)),
        tracked.HeaderCompleted(1, "removed Bcc"),
        tracked.CommandRefused(1, f"RCPT TO:<{BCC}>", "501 5.5.4 no"),
        tracked.DsnSent(1, "x", (BCC,)),
        tracked.OperatorActed(1, "hold", "root", "", (BCC,)),
        tracked.LoggedIn(1, "amal", "PLAIN"),
        tracked.MailRefused(1, "550 no"),
    ],
    ids=lambda event: event.name,
)
def test_an_owner_never_sees_anothers_copy(event: TrackingEvent) -> None:
    """Nobody sees another's Bcc."""
    assert names_seen_by(BASIM, event) == []


def test_the_number_of_recipients_is_not_told() -> None:
    """Three recipients, one in To: the others would be known to be there."""
    assert names_seen_by(BASIM, tracked.MailAccepted(1, 3)) == [tracked.MailAccepted(1, 1)]


def test_an_alias_shows_its_member_only_itself() -> None:
    """The members of a list do not learn of each other from us."""
    event = tracked.AliasExpanded(1, "team@north.test", ("basim@north.test", BCC))
    assert names_seen_by(BASIM, event) == [replace(event, targets=("basim@north.test",))]


def test_two_members_of_an_alias_have_a_copy_each() -> None:
    """Both were addressed as team@: the account decides whose filing it is."""
    copies = (
        TrackedRecipient("team@north.test", RecipientState.DELIVERED, "", None, BASIM),
        TrackedRecipient("team@north.test", RecipientState.DELIVERED, "", None, SALMA),
    )
    mine = tracked.MailboxFiled(1, "team@north.test", "basim", "INBOX", "")
    others = tracked.MailboxFiled(1, "team@north.test", "salma", "Junk", "")
    journey = replace(journey_of(mine, others), recipients=copies)
    assert [recorded.event for recorded in seen_by(BASIM, journey).events] == [mine]


def test_where_a_person_sits_is_theirs() -> None:
    """The address of another server is in Received anyway, that of a local sender is not."""
    for service, shown in (("smtp", "192.0.2.1:9"), ("submission", ""), ("web", "")):
        event = tracked.SessionOpened(1, service, "192.0.2.1:9", "127.0.0.1:25")
        (seen,) = names_seen_by(BASIM, event)
        assert isinstance(seen, tracked.SessionOpened)
        assert seen.peer == shown


@pytest.mark.parametrize("account_id", [AMAL, BASIM])
def test_tracebacks_are_for_admins(account_id: AccountId) -> None:
    assert names_seen_by(account_id, FAULT) == [tracked.FaultHappened(1, "", "")]


def test_who_held_a_letter_is_for_admins() -> None:
    event = tracked.OperatorActed(1, "hold", "root", "too many", ("basim@north.test", BCC))
    assert names_seen_by(AMAL, event) == [replace(event, who="")]
    assert names_seen_by(BASIM, event) == [replace(event, who="", recipients=("basim@north.test",))]


def test_addresses_are_compared_as_the_directory_does() -> None:
    copies = (TrackedRecipient("Basim@North.test", RecipientState.DELIVERED, "", None, BASIM),)
    event = tracked.RecipientNamed(1, "BASIM@north.test", "local")
    journey = replace(journey_of(event), recipients=copies)
    assert len(seen_by(BASIM, journey).events) == 1


@given(st.data(), st.lists(st.sampled_from(sorted(EVENTS)), max_size=12))
def test_whatever_happened_an_owner_learns_of_no_other(
    data: st.DataObject, names: list[str]
) -> None:
    """Over every kind of event there is: also of one that is added tomorrow."""
    journey = journey_of(*(example_event(EVENTS[name], data.draw) for name in names))
    copies = (
        *journey.recipients,
        TrackedRecipient(SECRET, RecipientState.DELIVERED, "", None, SALMA),
    )
    seen = seen_by(BASIM, replace(journey, recipients=copies))
    told = encode_events([recorded.event for recorded in seen.events])
    assert SECRET not in told
    assert SECRET not in json.dumps(journey_to_dict(seen))


def test_a_refused_mail_is_for_admins_alone() -> None:
    events = (
        tracked.SenderNamed(1, "amal@north.test", ""),
        tracked.RecipientNamed(2, "basim@north.test", "local"),
        tracked.MailRefused(3, "550 5.6.0 no"),
    )
    journey = refused_journey(MAIL, [Recorded(SESSION, event) for event in events])
    assert (journey.header_from, journey.received_at_ms) == ("amal@north.test", 3)
    for account_id in (AMAL, BASIM, STRANGER):
        assert viewer_of(journey, account_id, NAMES[account_id]) is None
    viewer = viewer_of(journey, STRANGER, NAMES[STRANGER], admin=True)
    assert viewer is not None
    assert visible_journey(journey, viewer) == journey
    tones = {station.stage: station.tone for station in stations(journey)}
    assert tones[Stage.KEEP] is Tone.PLAIN
    assert tones[Stage.DELIVER] is Tone.BAD


def test_both_ends_join_by_the_id_in_the_250() -> None:
    mail_id = new_mail_id(1_700_000_000_000, bytes(ID_RANDOM_SIZE))
    for reply in (f"250 2.0.0 queued as {mail_id}", f"250 queued as {mail_id}."):
        event = tracked.RecipientDelivered(1, "a@b.test", "mx", reply)
        assert joined_mail_id(event) == mail_id


@pytest.mark.parametrize(
    "reply",
    [
        "250 2.0.0 Ok: queued as 4Xyz9d1TqWz",
        "250 2.0.0 ok",
        f"250 2.0.0 queued as {'01ab' * 7}extra",
        f"250 2.0.0 queued as {'01AB' * 7}",
        f"250 2.0.0 queued as {'01ab' * 8}",
    ],
)
def test_ids_of_other_servers_are_not_ours(reply: str) -> None:
    """Postfix says "queued as" too."""
    assert joined_mail_id(tracked.RecipientDelivered(1, "a@b.test", "mx", reply)) is None


def test_the_json_of_a_journey() -> None:
    """Design section 6: the keys that other programs rely on."""
    shown = journey_to_dict(journey_of(tracked.MailAccepted(7, 3)))
    assert shown["mail_id"] == MAIL
    assert shown["parent_mail_id"] is None
    assert shown["recipients"][2] == {
        "address": "noor@south.test",
        "state": "waiting",
        "reason": "no answer",
        "next_try_ms": 9000,
    }
    assert shown["events"] == [
        {"name": "mail.accepted", "at_ms": 7, "recipients": 3, "session_id": SESSION}
    ]
