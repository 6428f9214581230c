"""Events become sentences, sentences chapters."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.journeys import FILED_BASIM, example_event, journey_of
from zajil.core.service import RecipientState
from zajil.tracking import events as tracked
from zajil.tracking.events import EVENTS
from zajil.tracking.sentences import Stage, Tone, tell_event
from zajil.tracking.story import stations, tell_story, tone_of_states


@given(st.data(), st.sampled_from(sorted(EVENTS)))
def test_every_event_has_words(data: st.DataObject, name: str) -> None:
    """A sentence of its own, whose places all have a value."""
    step = tell_event(example_event(EVENTS[name], data.draw))
    assert step.sentence.text != "Event: {name}."
    places = {place for _, place, _, _ in string.Formatter().parse(step.sentence.text) if place}
    assert places <= set(step.sentence.values)
    assert step.sentence.plain()


def test_a_letter_is_safe_before_it_is_delivered() -> None:
    """All of one commit happens at once; the reader hears first that the mail is safe."""
    queued = tracked.RecipientQueued(1, "noor@south.test", "south.test", 2)
    chapters = tell_story(journey_of(FILED_BASIM, queued, tracked.MailAccepted(1, 2)))
    assert [chapter.stage for chapter in chapters] == [Stage.KEEP, Stage.DELIVER]
    assert [step.name for step in chapters[0].steps] == ["mail.accepted", "deliver.queued"]


def test_the_end_of_a_connection_begins_no_chapter() -> None:
    chapters = tell_story(
        journey_of(tracked.MailAccepted(1, 1), tracked.SessionClosed(2, "quit", 1))
    )
    assert [chapter.stage for chapter in chapters] == [Stage.KEEP]


@pytest.mark.parametrize(
    ("states", "tone"),
    [
        ([RecipientState.DELIVERED, RecipientState.DELIVERED], Tone.GOOD),
        ([RecipientState.DELIVERED, RecipientState.WAITING], Tone.WAIT),
        ([RecipientState.DELIVERED, RecipientState.HELD], Tone.WAIT),
        ([RecipientState.WAITING, RecipientState.BOUNCED], Tone.BAD),
        ([], Tone.PLAIN),
    ],
)
def test_the_worst_copy_gives_the_tone(states: list[RecipientState], tone: Tone) -> None:
    assert tone_of_states(states) is tone


def test_stations_say_how_far_a_mail_has_come() -> None:
    shown = stations(journey_of())
    assert [(station.stage, station.tone) for station in shown] == [
        (Stage.ARRIVE, Tone.GOOD),
        (Stage.CHECK, Tone.GOOD),
        (Stage.KEEP, Tone.GOOD),
        (Stage.DELIVER, Tone.WAIT),
    ]


def test_the_dialogue_stands_behind_an_attempt() -> None:
    attempt = tracked.AttemptMade(1, "mx", "192.0.2.1:25", None, ("C: EHLO a", "S: 250 b"), "ok")
    details = {detail.label: detail.lines for detail in tell_event(attempt).details}
    assert details["SMTP dialogue"] == ("C: EHLO a", "S: 250 b")
    assert "Encryption" not in details
