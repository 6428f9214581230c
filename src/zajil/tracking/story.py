"""A journey for display: its steps in chapters, and the progress of the mail. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from zajil.core.service import RecipientState
from zajil.core.value_class import value_class
from zajil.tracking import events as tracked
from zajil.tracking.journey import Journey, Recorded
from zajil.tracking.sentences import Sentence, Stage, Step, Tone, tell_event


@value_class(frozen=True, slots=True)
class Chapter:
    """The steps of one stage, in the order they happened."""

    stage: Stage
    steps: tuple[Step, ...]


@value_class(frozen=True, slots=True)
class Station:
    """One of the four stages as seen from above."""

    stage: Stage
    tone: Tone
    """``PLAIN``: not reached."""
    took_ms: int | None = None
    """Time since the station before was passed; ``None``: not known."""
    delivered: int = 0
    """Of the last station: recipients whose copy arrived."""
    recipients: int = 0
    """Of the last station: all recipients."""

    @property
    def is_partial(self) -> bool:
        """Whether the mail arrived at some recipients and not, or not yet, at others."""
        return 0 < self.delivered < self.recipients


def tell_story(journey: Journey) -> tuple[Chapter, ...]:
    """Return the chapters of a journey, one for each stage.

    Args:
        journey: already limited to its viewer.
    """
    chapters: dict[Stage, list[Step]] = {}
    current = Stage.ARRIVE
    for recorded in _in_order_of_telling(journey.events):
        step = tell_event(recorded.event)
        current = step.stage or current
        chapters.setdefault(current, []).append(step)
    return tuple(Chapter(stage, tuple(chapters[stage])) for stage in Stage if stage in chapters)


def why_junk(journey: Journey) -> tuple[Sentence, ...]:
    """Return the signals against a mail, heaviest first; of the reader's own verdict if any.

    Args:
        journey: already cut to whoever owns the copy.
    """
    return tuple(
        [Sentence(text, values) for _, weight, text, values in _signals(journey) if weight > 0]
    )


def signs_of_deceit(journey: Journey) -> tuple[Sentence, ...]:
    """Return the signals of a mail that say that it poses as somebody else, heaviest first.

    Args:
        journey: already cut to whoever owns the copy.
    """
    return tuple(
        [
            Sentence(text, values)
            for name, weight, text, values in _signals(journey)
            if weight > 0 and name.startswith("phish.")
        ]
    )


def _signals(journey: Journey) -> tuple[tuple[str, float, str, Mapping[str, str | int]], ...]:
    verdicts = [
        one.event for one in journey.events if isinstance(one.event, tracked.VerdictReached)
    ]
    # That of one recipient comes after everybody's.
    verdicts.sort(key=lambda verdict: verdict.recipient is not None)
    return verdicts[-1].signals if verdicts else ()


_TOLD_FIRST = {"mail.accepted": 0, "route.alias": 1, "deliver.queued": 2, "deliver.filed": 3}


def _in_order_of_telling(events: Sequence[Recorded]) -> list[Recorded]:
    # All of one commit happens at once; that the mail is safe is what a reader must hear first.
    ordered: list[Recorded] = []
    for recorded in events:
        rank, place = _TOLD_FIRST.get(recorded.event.name), len(ordered)
        while (
            rank is not None and place and rank < _TOLD_FIRST.get(ordered[place - 1].event.name, 0)
        ):
            place -= 1
        ordered.insert(place, recorded)
    return ordered


def stations(journey: Journey) -> tuple[Station, ...]:
    """Return how far the mail has come: one station for each stage."""
    names = {recorded.event.name for recorded in journey.events}
    # Of a mail that was not taken all recipients are refused.
    kept = any(copy.state is not RecipientState.REFUSED for copy in journey.recipients)
    reached = {
        Stage.ARRIVE: True,
        Stage.CHECK: kept or bool(names & {"check.done", "check.verdict"}),
        Stage.KEEP: kept,
    }
    passed = _times(journey)
    took = {
        stage: max(0, passed[stage] - passed[before])
        for before, stage in zip(Stage, list(Stage)[1:], strict=False)
        if stage in passed and before in passed
    }
    shown = [
        Station(stage, Tone.GOOD if was else Tone.PLAIN, took.get(stage))
        for stage, was in reached.items()
    ]
    states = [copy.state for copy in journey.recipients]
    arrived = states.count(RecipientState.DELIVERED)
    tone = tone_of_states(states)
    if 0 < arrived < len(states) and tone is Tone.BAD:
        tone = Tone.WAIT
    deliver = Station(Stage.DELIVER, tone, took.get(Stage.DELIVER), arrived, len(states))
    return (*shown, deliver)


def _times(journey: Journey) -> dict[Stage, int]:
    """Return when each stage was passed: the first event of the arrival, the last of the others."""
    times: dict[Stage, int] = {}
    for recorded in journey.events:
        stage, at_ms = tell_event(recorded.event).stage, recorded.event.at_ms
        if stage is Stage.ARRIVE:
            times.setdefault(stage, at_ms)
        elif stage is not None:
            times[stage] = max(at_ms, times.get(stage, at_ms))
    return times


_TONES = {
    RecipientState.DELIVERED: Tone.GOOD,
    RecipientState.WAITING: Tone.WAIT,
    RecipientState.HELD: Tone.WAIT,
}


def tone_of_state(state: RecipientState) -> Tone:
    """Return how the state of one recipient is to be taken."""
    return _TONES.get(state, Tone.BAD)


def tone_of_states(states: Iterable[RecipientState]) -> Tone:
    """Return how the states of all recipients are to be taken: the worst, ``PLAIN`` without any."""
    tones = {tone_of_state(state) for state in states}
    return next((tone for tone in (Tone.BAD, Tone.WAIT, Tone.GOOD) if tone in tones), Tone.PLAIN)
