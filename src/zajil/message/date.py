"""Dates of header fields (RFC 5322 section 3.3, obsolete forms of section 4.3)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

from zajil.core.moment import EARLIEST_MS, LATEST_MS, utc_datetime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBER = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_ZONES = {
    "ut": 0,
    "gmt": 0,
    "z": 0,
    "utc": 0,
    "est": -300,
    "edt": -240,
    "cst": -360,
    "cdt": -300,
    "mst": -420,
    "mdt": -360,
    "pst": -480,
    "pdt": -420,
}
# Of a text without comments, and with single spaces. The day of the week is not compared.
_DATE = re.compile(
    r"(?:[^\W\d_]{1,20}\.?[ ,]*+)?"
    r"(?P<day>[0-9]{1,2})[ .-]{0,3}(?P<month>[A-Za-z]{3})[a-z]{0,6}\.?[ -]{0,3}(?P<year>[0-9]{2,4})"
    r"(?![0-9])(?:[ ,]*(?P<hour>[0-9]{1,2}) ?[:.] ?(?P<minute>[0-9]{2})"
    r"(?: ?[:.] ?(?P<second>[0-9]{2}))?"
    r"(?: ?(?:GMT|UTC?)? ?(?P<offset>[+-][0-9]{2}:?[0-9]{2})| ?(?P<zone>[A-Za-z]{1,5}))?)?"
)
_COMMENT_BIT = re.compile(r"(?:[^()\\]|\\.)*+([()])?", re.DOTALL)
_SPACE = re.compile(r"[\x00-\x20\xa0]++")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_LENGTH = 1000


def parse_date(value: bytes | str) -> int | None:
    """Return milliseconds since 1970 UTC; ``None`` when it is no date, or none of years 1 to 9999.

    An unknown zone counts as UTC (RFC 5322 section 4.3); two-digit years as there. A date without
    a time is its first moment.
    """
    match = _match(value)
    day = None if match is None else _day(match)
    if match is None or day is None:
        return None
    hour, minute, second = (int(text or 0) for text in match.group("hour", "minute", "second"))
    try:
        local = datetime(day.year, day.month, day.day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    zone = match["offset"] or match["zone"] or ""
    at_ms = (local - _EPOCH) // timedelta(milliseconds=1) - _zone_minutes(zone) * 60_000
    return at_ms if EARLIEST_MS <= at_ms <= LATEST_MS else None


def parse_day(value: bytes | str) -> date | None:
    """Return the day as it is written, whatever its time and zone; ``None`` when it is no date."""
    match = _match(value)
    return None if match is None else _day(match)


def _match(value: bytes | str) -> re.Match[str] | None:
    text = value if isinstance(value, str) else value.decode("latin-1")
    if len(text) > _MAX_LENGTH:
        return None
    if "(" in text:
        text = _without_comments(text)
    return _DATE.match(_SPACE.sub(" ", text).strip())


def _without_comments(text: str) -> str:
    """Put a space where a comment is; comments nest (RFC 5322 section 3.2.2)."""
    kept: list[str] = []
    begin = at = depth = 0
    while match := _COMMENT_BIT.match(text, at):
        at = match.end()
        if match[1] is None:
            break
        if match[1] == "(":
            if not depth:
                kept.append(text[begin : at - 1])
            depth += 1
        elif depth:
            depth -= 1
            begin = at
    # A comment that is never closed takes the rest.
    return " ".join([*kept, "" if depth else text[begin:]])


def _day(match: re.Match[str]) -> date | None:
    month = _MONTH_NUMBER.get(match["month"].lower())
    year = int(match["year"])
    if len(match["year"]) == 2:
        year += 2000 if year < 50 else 1900
    elif len(match["year"]) == 3:
        year += 1900
    try:
        return None if month is None else date(year, month, int(match["day"]))
    except ValueError:
        return None


def _zone_minutes(zone: str) -> int:
    if zone[:1] in ("+", "-"):
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        return -minutes if zone[0] == "-" else minutes
    return _ZONES.get(zone.lower(), 0)


def format_date(at_ms: int, offset_minutes: int = 0) -> str:
    """Write a date-time: ``Mon, 23 Nov 2026 19:09:21 +0000`` (RFC 5322 section 3.3)."""
    at = utc_datetime(at_ms)
    zone = "+0000"
    if offset_minutes:
        at = at.astimezone(timezone(timedelta(minutes=offset_minutes)))
        hours, minutes = divmod(abs(offset_minutes), 60)
        zone = f"{'-' if offset_minutes < 0 else '+'}{hours:02}{minutes:02}"
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} "
        f"{at.hour:02}:{at.minute:02}:{at.second:02} {zone}"
    )
