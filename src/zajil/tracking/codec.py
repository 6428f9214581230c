"""Conversion of events to stored text and back.

One row of the store contains all events of one transaction and mail as one JSON array. This code
runs for every mail, so it uses no reflection per event.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from zajil.tracking.audit import AUDIT_EVENTS
from zajil.tracking.events import EVENTS, TrackingEvent

ALL_EVENTS: dict[str, type[TrackingEvent]] = {**EVENTS, **AUDIT_EVENTS}
"""Journeys and audit trail: every event by its stored name."""

_FIELDS: dict[type[TrackingEvent], tuple[str, ...]] = {
    event: tuple(field.name for field in fields(event)) for event in ALL_EVENTS.values()
}
_VALUES: dict[type[TrackingEvent], Callable[[Any], tuple[Any, ...]]] = {
    # Of a single name attrgetter gives no tuple.
    event: attrgetter(*names) if len(names) > 1 else lambda event: (event.at_ms,)
    for event, names in _FIELDS.items()
}
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def encode_events(events: Sequence[TrackingEvent]) -> str:
    """Return the stored form: a JSON array of ``[name, field, field, ...]``, fields in order."""
    return _encode([(event.name, *_VALUES[type(event)](event)) for event in events])


def decode_events(text: str) -> list[TrackingEvent]:
    """Return the events that ``encode_events`` stored.

    Fields that a later version added at the end are ignored by an older one; an unknown event
    is left out: an older program may read a newer store.
    """
    events: list[TrackingEvent] = []
    for name, *values in json.loads(text):
        cls = ALL_EVENTS.get(name)
        if cls is None:
            continue
        make: Callable[..., TrackingEvent] = cls
        known = [_as_tuple(value) for value in values]
        events.append(make(*known[: len(_FIELDS[cls])]))
    return events


def _as_tuple(value: Any) -> Any:
    """JSON has lists only; an event has tuples, perhaps of tuples."""
    return tuple([_as_tuple(item) for item in value]) if isinstance(value, list) else value


def event_to_dict(event: TrackingEvent) -> dict[str, Any]:
    """Return the event as ``journey show --json`` prints it."""
    cls = type(event)
    return {"name": event.name, **dict(zip(_FIELDS[cls], _VALUES[cls](event), strict=True))}
