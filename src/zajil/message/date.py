"""Dates of header fields (RFC 5322 section 3.3, obsolete forms of section 4.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

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
_DATE = re.compile(
    r"(?:[A-Za-z]{1,20} ?,? ?)?"
    r"([0-9]{1,2})[ -]([A-Za-z]{3})[a-z]{0,6}[ -]([0-9]{2,4}),? "
    r"([0-9]{1,2}) ?: ?([0-9]{2})(?: ?: ?([0-9]{2}))?"
    r"(?: ?([+-][0-9]{4}|[A-Za-z]{1,5}))?"
)
_COMMENT = re.compile(r"\([^()]*+\)")
_SPACE = re.compile(r"[ \t\r\n]++")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_LENGTH = 200


def parse_date(value: bytes | str) -> int | None:
    """Give milliseconds since 1970 UTC; ``None`` when it is no date, or none of years 1 to 9999.

    An unknown zone counts as UTC (RFC 5322 section 4.3); two-digit years as there.
    """
    text = value if isinstance(value, str) else value.decode("latin-1")
    if len(text) > _MAX_LENGTH:
        return None
    match = _DATE.match(_SPACE.sub(" ", _COMMENT.sub(" ", text)).strip())
    if match is None:
        return None
    day, month_name, year_text, hour, minute, second, zone = match.groups()
    month = _MONTH_NUMBER.get(month_name.lower())
    if month is None:
        return None
    year = int(year_text)
    if len(year_text) == 2:
        year += 2000 if year < 50 else 1900
    elif len(year_text) == 3:
        year += 1900
    try:
        local = datetime(
            year, month, int(day), int(hour), int(minute), min(int(second or 0), 59), tzinfo=UTC
        )
    except ValueError:
        return None
    at_ms = (local - _EPOCH) // timedelta(milliseconds=1) - _zone_minutes(zone or "") * 60_000
    return at_ms if EARLIEST_MS <= at_ms <= LATEST_MS else None


def _zone_minutes(zone: str) -> int:
    if zone[:1] in ("+", "-"):
        minutes = int(zone[1:3]) * 60 + int(zone[3:5])
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
