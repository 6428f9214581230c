"""Dates as IMAP writes them: ``"17-Jul-1996 02:44:25 -0700"``. (RFC 3501 section 9)"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone

from zajil.core.moment import EARLIEST_MS, LATEST_MS, utc_datetime
from zajil.imap.grammar import Scanner, bad

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = {name.upper().encode(): number for number, name in enumerate(_MONTHS, 1)}
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_DATE_TIME = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) '
    rb'([+-])([0-9]{2})([0-9]{2})"'
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_date(scanner: Scanner) -> date:
    """Take a date without time: ``1-Feb-1994``, quoted or not."""
    found = scanner.match(_DATE, "date")
    try:
        return date(int(found[4]), _MONTH[found[3].upper()], int(found[2]))
    except (KeyError, ValueError):
        raise bad("no such date") from None


def parse_date_time(scanner: Scanner) -> int:
    """Take a quoted date with time; give milliseconds since 1970 UTC.

    Raises:
        CommandError: BAD, no such day, time or zone, or a moment that is in UTC before year 1 or
            after year 9999: INTERNALDATE is written in UTC, and has four digits for the year.
    """
    found = scanner.match(_DATE_TIME, "date-time")
    if int(found[9]) > 59:
        raise bad("no such time zone")
    offset = timedelta(hours=int(found[8]), minutes=int(found[9]))
    try:
        when = datetime(
            int(found[3]),
            _MONTH[found[2].upper()],
            int(found[1]),
            int(found[4]),
            int(found[5]),
            # A leap second (60) is the last second of its minute here.
            min(int(found[6]), 59) if int(found[6]) <= 60 else 61,
            tzinfo=timezone(-offset if found[7] == b"-" else offset),
        )
    except (KeyError, ValueError):
        raise bad("no such date") from None
    value_ms = (when - _EPOCH) // timedelta(milliseconds=1)
    if not EARLIEST_MS <= value_ms <= LATEST_MS:
        raise bad("date is out of range")
    return value_ms


def format_date_time(value_ms: int) -> bytes:
    """Write milliseconds since 1970 as a quoted date with time, in UTC."""
    when = utc_datetime(value_ms)
    text = (
        f'"{when.day:2d}-{_MONTHS[when.month - 1]}-{when.year:04d}'
        f' {when.hour:02d}:{when.minute:02d}:{when.second:02d} +0000"'
    )
    return text.encode("ascii")


def format_date_times(values_ms: Iterable[int]) -> list[bytes]:
    """Write many times as ``format_date_time`` does; a day is looked at once."""
    days: dict[int, bytes] = {}
    written: list[bytes] = []
    for value_ms in values_ms:
        day, seconds = divmod(value_ms // 1000, 86_400)
        text = days.get(day)
        if text is None:
            if not EARLIEST_MS <= value_ms <= LATEST_MS:
                written.append(format_date_time(value_ms))
                continue
            text = days[day] = format_date_time(day * 86_400_000)[:13]
        minutes = seconds // 60
        written.append(
            b'%b%02d:%02d:%02d +0000"' % (text, minutes // 60, minutes % 60, seconds % 60)
        )
    return written


def date_of(value_ms: int) -> date:
    """Return the day, in UTC, of milliseconds since 1970."""
    return utc_datetime(value_ms).date()


def day_ms(day: date) -> int:
    """Return the first moment of a day in UTC, as milliseconds since 1970."""
    return (day.toordinal() - _EPOCH.toordinal()) * 86_400_000
