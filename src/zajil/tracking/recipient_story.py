"""What became of each recipient of a mail, and what happens next. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from zajil.core.domain import to_unicode
from zajil.core.service import RecipientState
from zajil.core.value_class import value_class
from zajil.tracking import events as tracked
from zajil.tracking.check_names import mark
from zajil.tracking.events import TrackingEvent
from zajil.tracking.journey import Journey
from zajil.tracking.sentences import Sentence, Tone
from zajil.tracking.story import tone_of_state
from zajil.tracking.tracked_recipient import TrackedRecipient, key_of

_JUNK = "Junk"
_UNKNOWN_ADDRESS = ("5.1.1", "5.1.2", "5.1.3")
"""Status codes of addresses that do not exist (RFC 3463 section 3.2)."""


@value_class(frozen=True, slots=True)
class ToldRecipient:
    """One recipient of a mail, told."""

    copy: TrackedRecipient
    state: str
    """A value of ``RecipientState``, or ``junk``: delivered, but to the mailbox for junk."""
    tone: Tone
    sentences: tuple[Sentence, ...]
    """What happened, and the next step with its time."""
    reason: str
    """As stored; ``""``: there is none, or it says nothing new."""


def tell_recipients(journey: Journey, now_ms: int) -> tuple[ToldRecipient, ...]:
    """Return all recipients of a journey that is already limited to its viewer."""
    events = [one.event for one in journey.events]
    return tuple(_tell(journey, copy, events, now_ms) for copy in journey.recipients)


def _tell(
    journey: Journey, copy: TrackedRecipient, events: Iterable[TrackingEvent], now_ms: int
) -> ToldRecipient:
    key, state = key_of(copy.address), copy.state
    own = [one for one in events if key in _names(one)]
    if state is RecipientState.DELIVERED:
        in_junk, sentence = _delivered(own)
        tone = Tone.WAIT if in_junk else Tone.GOOD
        reason = copy.reason if in_junk else ""
        return ToldRecipient(copy, "junk" if in_junk else state, tone, (sentence,), reason)
    if state is RecipientState.WAITING:
        sentences = _waiting(copy, own, journey.expires_ms, now_ms)
    elif state in (RecipientState.BOUNCED, RecipientState.EXPIRED):
        sentences = _failed(state, own)
    else:
        sentences = (Sentence(_OTHERS[state], {}),)
    return ToldRecipient(copy, state, tone_of_state(state), sentences, copy.reason)


_OTHERS = {
    RecipientState.HELD: mark("It is sent when an administrator releases it."),
    RecipientState.REFUSED: mark("The server did not accept it."),
    RecipientState.DISCARDED: mark("An administrator deleted it from the queue."),
}


def _names(event: TrackingEvent) -> set[str]:
    """Return the keys of the recipients that an event is about."""
    one, many = getattr(event, "recipient", None), getattr(event, "recipients", ())
    names = [*([one] if isinstance(one, str) else []), *(many if isinstance(many, tuple) else ())]
    return set(map(key_of, names))


def _delivered(events: Iterable[TrackingEvent]) -> tuple[bool, Sentence]:
    in_junk, sentence = False, Sentence(mark("It was delivered."), {})
    for event in events:
        at_ms = event.at_ms
        match event:
            case tracked.MailboxFiled(mailbox=""):
                sentence = Sentence(mark("Delivered to the mailbox on {at_ms}."), {"at_ms": at_ms})
            case tracked.MailboxFiled(mailbox=mailbox):
                values: dict[str, str | int | Sentence] = {"mailbox": mailbox, "at_ms": at_ms}
                in_junk = mailbox == _JUNK
                sentence = Sentence(mark("Delivered to {mailbox} on {at_ms}."), values)
            case tracked.RecipientDelivered(remote_mta=""):
                sentence = Sentence(mark("Delivered on {at_ms}."), {"at_ms": at_ms})
            case tracked.RecipientDelivered(remote_mta=host):
                values = {"host": to_unicode(host), "at_ms": at_ms}
                sentence = Sentence(mark("Accepted by {host} on {at_ms}."), values)
    return in_junk, sentence


def _waiting(
    copy: TrackedRecipient,
    events: Iterable[TrackingEvent],
    expires_ms: int | None,
    now_ms: int,
) -> tuple[Sentence, ...]:
    next_ms = copy.next_try_ms
    was_tried = any(isinstance(one, tracked.DeliveryDeferred) for one in events)
    if next_ms is None or next_ms <= now_ms:
        return (Sentence(mark("Delivery is in progress."), {}),)
    if not was_tried:
        return (Sentence(mark("It will be sent on {next_try_ms}."), {"next_try_ms": next_ms}),)
    told = [
        Sentence(mark("Not delivered yet."), {}),
        Sentence(mark("Next attempt: {next_try_ms}."), {"next_try_ms": next_ms}),
    ]
    if expires_ms is not None:
        text = mark("If it cannot be delivered, it is returned to the sender on {expires_ms}.")
        told.append(Sentence(text, {"expires_ms": expires_ms}))
    return tuple(told)


def _failed(state: RecipientState, events: Iterable[TrackingEvent]) -> tuple[Sentence, ...]:
    expired = state is RecipientState.EXPIRED
    text = mark("It could not be delivered in time.") if expired else mark("It was not delivered.")
    told = [Sentence(text, {})]
    for event in events:
        match event:
            case tracked.RecipientFailed(status=status) if status in _UNKNOWN_ADDRESS:
                told.append(Sentence(mark("Check the address, and send the message again."), {}))
            case tracked.DsnSent():
                text = mark("The sender was notified on {at_ms}.")
                told.append(Sentence(text, {"at_ms": event.at_ms}))
    return tuple(told)
