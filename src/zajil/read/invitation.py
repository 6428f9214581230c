"""Invitations to events: what a calendar part says, and the answer to it. Pure.

iTIP (RFC 5546) in iCalendar (RFC 5545), sent by mail (RFC 6047). Of several events in one part the
first is shown; a calendar is needed for more.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from zajil.core.address import Address, BadAddress, parse_address
from zajil.core.value_class import value_class
from zajil.message.header_view import one_line
from zajil.message.parse import parse_message
from zajil.message.part import Part

Answer = Literal["ACCEPTED", "TENTATIVE", "DECLINED"]
ANSWERS: tuple[Answer, ...] = ("ACCEPTED", "TENTATIVE", "DECLINED")
CALENDARS = frozenset({"text/calendar", "application/ics"})
MAX_CALENDAR = 262_144
"""Bytes of a calendar part that are read."""
_MOST_GUESTS = 200
_METHODS = frozenset({"REQUEST", "CANCEL", "REPLY", "PUBLISH", "ADD", "COUNTER"})


@value_class(frozen=True, slots=True)
class Guest:
    """Somebody who is invited, or invites."""

    name: str
    address: str
    """As it stands there, without ``mailto:``."""
    answer: str = ""
    """``PARTSTAT``: ``ACCEPTED``, ``DECLINED``, ``TENTATIVE``, ``NEEDS-ACTION``."""


@value_class(frozen=True, slots=True, kw_only=True)
class Invitation:
    """One event of a calendar part."""

    method: str
    """``REQUEST``, ``CANCEL``, ``REPLY`` ...; ``PUBLISH``: it asks for nothing."""
    uid: str
    sequence: int
    summary: str
    location: str
    starts: dt.datetime | dt.date | None
    """A time without zone is one of the reader's own; a date: the whole day."""
    ends: dt.datetime | dt.date | None
    """Of whole days the last one."""
    repeats: bool
    recurrence: str
    """RECURRENCE-ID as written, where only one event of a series is meant."""
    organizer: Guest | None
    guests: tuple[Guest, ...]

    def answer_address(self) -> Address | None:
        """Return where an answer goes; ``None``: nowhere."""
        if self.organizer is None:
            return None
        try:
            return parse_address(self.organizer.address)
        except BadAddress:
            return None


def find_invitation(message: bytes) -> tuple[str, Invitation] | None:
    """Return the first event of a message, and the number of its part."""
    for number, part in _calendar_parts(parse_message(message)):
        content, is_cut = part.read_content(message, MAX_CALENDAR)
        if not is_cut and (found := read_invitation(content)) is not None:
            return number, found
    return None


def read_invitation(data: bytes) -> Invitation | None:
    """Return the first event of a calendar; ``None``: there is none that can be read."""
    # Imported here, because icalendar takes 150 ms, and few messages are invitations.
    from icalendar import Calendar

    try:
        calendar = Calendar.from_ical(data)
        events = calendar.walk("VEVENT")
        return _read_event(str(calendar.get("METHOD", "PUBLISH")).upper(), events[0])
    except Exception:  # whatever the library makes of a stranger's bytes must not hide the message
        return None


def write_answer(
    invitation: Invitation, who: Address, name: str, answer: Answer, now_ms: int
) -> bytes:
    """Make the calendar that answers an invitation (RFC 5546 section 3.2.3).

    Args:
        invitation: with an organizer.
        who: answers; one of the reader's own addresses.
        name: of who answers; ``""`` for none.
        answer: of the guest.
        now_ms: DTSTAMP.
    """
    from icalendar import Calendar, Event, vCalAddress, vText

    calendar, event = Calendar(), Event()
    calendar.add("PRODID", "-//Zajil//Webmail//EN")
    calendar.add("VERSION", "2.0")
    calendar.add("METHOD", "REPLY")
    event.add("UID", invitation.uid)
    event.add("DTSTAMP", dt.datetime.fromtimestamp(now_ms // 1000, dt.UTC))
    event.add("SEQUENCE", invitation.sequence)
    event.add("SUMMARY", invitation.summary)
    if invitation.starts is not None:
        event.add("DTSTART", invitation.starts)
    if invitation.organizer is not None:
        event["ORGANIZER"] = vCalAddress(f"mailto:{invitation.organizer.address}")
    guest = vCalAddress(f"mailto:{who}")
    guest.params["PARTSTAT"] = vText(answer)
    if name:
        guest.params["CN"] = vText(one_line(name, 200).replace('"', "'"))
    event.add("ATTENDEE", guest)
    calendar.add_component(event)
    lines: bytes = calendar.to_ical()
    if invitation.recurrence:
        lines = lines.replace(
            b"END:VEVENT", f"RECURRENCE-ID{invitation.recurrence}\r\nEND:VEVENT".encode()
        )
    return lines


def _calendar_parts(root: Part) -> list[tuple[str, Part]]:
    found: list[tuple[str, Part]] = []
    stack = [("" if root.is_multipart else "1", root)]
    while stack and len(found) < 10:
        number, part = stack.pop()
        if part.is_multipart:
            prefix = f"{number}." if number else ""
            inside = [(f"{prefix}{at}", child) for at, child in enumerate(part.children, 1)]
            stack += reversed(inside)
        elif part.type in CALENDARS:
            found.append((number, part))
    return found


def _read_event(method: str, event: Any) -> Invitation:
    starts, ends = _time(event.get("DTSTART")), _time(event.get("DTEND"))
    length = getattr(event.get("DURATION"), "dt", None)
    if ends is None and starts is not None and isinstance(length, dt.timedelta):
        ends = starts + length
    if ends is not None and not isinstance(ends, dt.datetime):
        # The end of whole days is the day after (RFC 5545 section 3.6.1).
        ends -= dt.timedelta(days=1)
    guests = event.get("ATTENDEE", [])
    guests = guests if isinstance(guests, list) else [guests]
    organizer = event.get("ORGANIZER")
    return Invitation(
        method=method if method in _METHODS else "PUBLISH",
        uid=str(event["UID"])[:1000],
        sequence=max(0, min(int(event.get("SEQUENCE", 0)), 2**31 - 1)),
        summary=one_line(str(event.get("SUMMARY", "")), 300),
        location=one_line(str(event.get("LOCATION", "")), 300),
        starts=starts,
        ends=ends,
        repeats="RRULE" in event or "RDATE" in event,
        recurrence=_recurrence(event.get("RECURRENCE-ID")),
        organizer=_guest(organizer) if organizer is not None else None,
        guests=tuple([_guest(one) for one in guests[:_MOST_GUESTS]]),
    )


def _time(value: Any) -> dt.datetime | dt.date | None:
    found = getattr(value, "dt", None)
    if isinstance(found, dt.datetime):
        # A zone whose offset cannot be computed raises here, and not on a page.
        return found.astimezone(dt.UTC) if found.tzinfo is not None else found
    return found if isinstance(found, dt.date) else None


def _recurrence(value: Any) -> str:
    if value is None:
        return ""
    at = _time(value)
    if isinstance(at, dt.datetime):
        return f":{at:%Y%m%dT%H%M%S}{'Z' if at.tzinfo is not None else ''}"
    return f";VALUE=DATE:{at:%Y%m%d}" if at is not None else ""


def _guest(value: Any) -> Guest:
    address = str(value)[:400]
    if address.lower().startswith("mailto:"):
        address = address[7:]
    name = one_line(str(value.params.get("CN", "")), 200)
    answer = str(value.params.get("PARTSTAT", "")).upper()[:20]
    return Guest(name, one_line(address, 320), answer)
