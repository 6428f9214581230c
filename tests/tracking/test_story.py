"""Events become sentences, sentences chapters."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.journeys import FILED_BASIM, example_event, journey_of
from zajil.check.verdict.verdict import Action
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


def test_each_stage_is_one_chapter() -> None:
    """Signing comes after the first copy; the chapter of acceptance stands once all the same."""
    chapters = tell_story(
        journey_of(
            tracked.MailAccepted(1, 2),
            FILED_BASIM,
            tracked.MailSigned(2, "north.test", ("s1",), ("rsa-sha256",)),
            tracked.RecipientDelivered(3, "noor@south.test", "mx.south.test", "250 ok"),
        )
    )
    assert [chapter.stage for chapter in chapters] == [Stage.KEEP, Stage.DELIVER]
    assert [len(chapter.steps) for chapter in chapters] == [2, 2]


def test_a_partial_delivery_is_no_failure_of_the_whole() -> None:
    failed = replace(journey_of().recipients[2], state=RecipientState.BOUNCED)
    journey = replace(journey_of(), recipients=(*journey_of().recipients[:2], failed))
    last = stations(journey)[-1]
    assert (last.delivered, last.recipients, last.is_partial) == (2, 3, True)
    assert last.tone is Tone.WAIT
    nobody = replace(journey, recipients=(failed,))
    assert (stations(nobody)[-1].is_partial, stations(nobody)[-1].tone) == (False, Tone.BAD)


def test_stations_say_how_long_the_way_between_them_took() -> None:
    shown = stations(
        journey_of(
            tracked.SenderNamed(100, "a@b.test", ""),
            tracked.CheckDone(130, "spf", "pass", "", ()),
            tracked.MailAccepted(140, 1),
            tracked.RecipientDelivered(2140, "noor@south.test", "mx", "250 ok"),
        )
    )
    assert [station.took_ms for station in shown] == [None, 30, 10, 2000]


def test_each_verdict_has_a_sentence_of_its_own() -> None:
    """The sentence for junk had another name than the verdict, and was never shown."""
    events = [tracked.VerdictReached(1, None, one.value, 0, ()) for one in Action]
    texts = {tell_event(event).sentence.text for event in events}
    assert "The verdict is {verdict}." not in texts
    assert len(texts) == len(Action)
