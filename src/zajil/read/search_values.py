"""Days and sizes as people type them into the search field. Pure."""

from __future__ import annotations

import re
from datetime import date, timedelta

from zajil.message.normal_form import search_form

_DAY = re.compile(r"([0-9]{4})(?:[-/.]([0-9]{1,2})(?:[-/.]([0-9]{1,2}))?)?\Z")
_AGO = re.compile(r"([0-9]{1,4}) ?(d|w|m|y|يوم|اسبوع|شهر|سنه)\Z")
_AGO_DAYS = {"d": 1, "يوم": 1, "w": 7, "اسبوع": 7, "m": 30, "شهر": 30, "y": 365, "سنه": 365}
_SIZE = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,3}))? ?(?:([kmg]|ك|م|ج)?(?:b|ib|ب)?)\Z")
_UNITS = {"k": 1, "ك": 1, "m": 2, "م": 2, "g": 3, "ج": 3}
_TODAY = ("today", "اليوم")
_YESTERDAY = ("yesterday", "امس")


def read_days(text: str, today: date) -> tuple[date, date] | None:
    """Return the first day that a text names, and the day behind the last one.

    It names a day (``2026-01-31``), a month, a year, ``today``, ``yesterday``, or the day that was
    so long ago (``7d``, ``2w``, ``3m``, ``1y``).
    """
    text = search_form(text).strip()
    if text in _TODAY or text in _YESTERDAY:
        day = today if text in _TODAY else today - timedelta(1)
        return day, day + timedelta(1)
    try:
        if ago := _AGO.match(text):
            day = today - timedelta(int(ago[1]) * _AGO_DAYS[ago[2]])
            return day, day + timedelta(1)
        found = _DAY.match(text)
        if found is None:
            return None
        year, month = int(found[1]), int(found[2] or 1)
        day = date(year, month, int(found[3] or 1))
        if found[3]:
            return day, day + timedelta(1)
        if found[2]:
            return day, date(year + month // 12, month % 12 + 1, 1)
        return day, date(year + 1, 1, 1)
    except (ValueError, OverflowError):
        return None


def read_size(text: str) -> int | None:
    """Return a size in bytes: ``5M``, ``1.5 MB``, ``300k``; ``None``: it is none."""
    found = _SIZE.match(search_form(text).strip())
    if found is None:
        return None
    unit: int = 1024 ** _UNITS.get(found[3] or "", 0)
    thousandths = int((found[2] or "").ljust(3, "0"))
    return int(found[1]) * unit + thousandths * unit // 1000
