"""Invitations: what calendars of real programs and of strangers say, and the answer to them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from kit.site import letter
from zajil.core.address import parse_address
from zajil.read.invitation import find_invitation, read_invitation, write_answer

EVENT = """BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VTIMEZONE
TZID:Custom
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0300
TZOFFSETTO:+0300
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:abc@south.test
SEQUENCE:2
DTSTART;TZID=Europe/Berlin:20261201T100000
DTEND;TZID=Europe/Berlin:20261201T113000
SUMMARY:Planning\\, spring
LOCATION:Room 4
ORGANIZER;CN=Noor Saleh:mailto:noor@south.test
ATTENDEE;CN=Amal;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:MAILTO:amal@north.test
ATTENDEE:mailto:basim@north.test
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def test_an_invitation_is_read() -> None:
    found = read_invitation(EVENT.encode())
    assert found is not None
    assert (found.method, found.uid, found.sequence) == ("REQUEST", "abc@south.test", 2)
    assert (found.summary, found.location) == ("Planning, spring", "Room 4")
    assert found.starts == dt.datetime(2026, 12, 1, 9, 0, tzinfo=dt.UTC)
    assert found.ends == dt.datetime(2026, 12, 1, 10, 30, tzinfo=dt.UTC)
    assert found.organizer is not None
    assert (found.organizer.name, found.organizer.address) == ("Noor Saleh", "noor@south.test")
    assert [one.address for one in found.guests] == ["amal@north.test", "basim@north.test"]
    assert not found.repeats


@pytest.mark.parametrize(
    ("start", "starts", "ends"),
    [
        ("DTSTART;VALUE=DATE:20261201", dt.date(2026, 12, 1), None),
        (
            "DTSTART;VALUE=DATE:20261201\r\nDTEND;VALUE=DATE:20261203",
            dt.date(2026, 12, 1),
            dt.date(2026, 12, 2),
        ),
        (
            "DTSTART:20261201T100000\r\nDURATION:PT1H",
            dt.datetime(2026, 12, 1, 10),  # noqa: DTZ001
            dt.datetime(2026, 12, 1, 11),  # noqa: DTZ001
        ),
        ("DTSTART;TZID=Custom:20261201T100000", dt.datetime(2026, 12, 1, 7, tzinfo=dt.UTC), None),
        ("DTSTART:20261201T100000Z", dt.datetime(2026, 12, 1, 10, tzinfo=dt.UTC), None),
        ("X-NO:1", None, None),
    ],
)
def test_times(start: str, starts: object, ends: object) -> None:
    lines = [line for line in EVENT.split("\r\n") if "Berlin" not in line]
    at = lines.index("SEQUENCE:2")
    found = read_invitation("\r\n".join([*lines[:at], start, *lines[at:]]).encode())
    assert found is not None
    assert (found.starts, found.ends) == (starts, ends)


@pytest.mark.parametrize("answer", ["ACCEPTED", "TENTATIVE", "DECLINED"])
def test_the_answer_names_the_event_and_the_guest(answer: str) -> None:
    """RFC 5546 section 3.2.3: UID, ORGANIZER and one ATTENDEE."""
    text = EVENT.replace("SEQUENCE:2", "SEQUENCE:2\r\nRECURRENCE-ID:20261208T090000Z")
    found = read_invitation(text.encode())
    assert found is not None
    who = parse_address("amal@north.test")
    written = write_answer(found, who, 'Amal "A"; X=Y', answer, 1_700_000_000_000)  # type: ignore[arg-type]
    calendar = Calendar.from_ical(written)
    event: Any = calendar.walk("VEVENT")[0]
    assert calendar["METHOD"] == "REPLY"
    assert event["UID"] == "abc@south.test"
    assert event["SEQUENCE"] == 2
    assert event["ORGANIZER"] == "mailto:noor@south.test"
    assert event["ATTENDEE"] == "mailto:amal@north.test"
    assert event["ATTENDEE"].params["PARTSTAT"] == answer
    assert event["RECURRENCE-ID"].dt == dt.datetime(2026, 12, 8, 9, tzinfo=dt.UTC)
    again = read_invitation(written)
    assert again is not None
    assert again.guests[0].answer == answer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        EVENT.replace("UID:abc@south.test\r\n", "").encode(),
        EVENT.replace("20261201T100000", "20269901T100000").encode(),
        EVENT.encode()[:200],
        b"BEGIN:VEVENT\r\n" * 5000,
        b"\xff\xfe" + EVENT.encode("utf-16"),
    ],
)
def test_what_cannot_be_read_is_no_invitation(data: bytes) -> None:
    found = read_invitation(data)
    assert found is None or found.starts is None


@given(st.lists(st.sampled_from(EVENT.split("\r\n")), max_size=25))
def test_no_calendar_makes_it_raise(lines: list[str]) -> None:
    read_invitation("\r\n".join(lines).encode())


def test_programs_send_the_same_calendar_twice() -> None:
    message = letter()
    message.add_alternative(EVENT, subtype="calendar", params={"method": "REQUEST"})
    message.add_attachment(EVENT.encode(), "application", "ics", filename="invite.ics")
    found = find_invitation(message.as_bytes())
    assert found is not None
    assert found[1].uid == "abc@south.test"
    assert find_invitation(letter().as_bytes()) is None
