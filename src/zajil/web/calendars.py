"""Digits and calendars that a visitor chose for the pages. Pure.

Babel writes Latin digits and the Gregorian calendar; what is made of them here holds for numbers,
dates and sizes that are ours, never for addresses, ids and texts of others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from hijridate import Gregorian

from zajil.tracking.check_names import mark

LATIN_DIGITS = "0123456789"
_NUMBER = re.compile(
    r"""
    (?<![A-Za-z0-9_=.#-])(?<![A-Za-z][ ])   # SHA-256, base64 and RFC 5322 stay as they are
    [0-9]+(?:[.:/,][0-9]+)*
    (?![A-Za-z0-9_=-])
    """,
    re.VERBOSE,
)
_DECIMAL_POINT = re.compile(r"(?<=[0-9])\.(?=[0-9])")
_PLACE = re.compile(r"(%\([^)]*\)s|\{[^}]*\})")
HIJRI_MONTHS = (
    *(mark("Muharram"), mark("Safar"), mark("Rabi I"), mark("Rabi II"), mark("Jumada I")),
    *(mark("Jumada II"), mark("Rajab"), mark("Shaban"), mark("Ramadan"), mark("Shawwal")),
    *(mark("Dhu al-Qadah"), mark("Dhu al-Hijjah")),
)
"""Keys of the catalogs."""


@dataclass(frozen=True, slots=True)
class HijriDay:
    """A day of the calendar Umm al-Qura."""

    year: int
    month: str
    """The name in English, a key of the catalogs."""
    day: int


def hijri_day(day: date) -> HijriDay | None:
    """Return a day of the Gregorian calendar in that of Umm al-Qura.

    ``None``: it is not in 1343 to 1500 AH, the years of which the calendar is known.
    """
    try:
        found = Gregorian(day.year, day.month, day.day).to_hijri()
    except (OverflowError, ValueError):
        return None
    return HijriDay(found.year, HIJRI_MONTHS[found.month - 1], found.day)


def in_digits(text: str, digits: str) -> str:
    """Return a number, a time or a size with other digits.

    Args:
        text: of ours, with Latin digits.
        digits: the ten digits from zero on; Arabic-Indic ones get their own decimal separator.
    """
    if "٠" in digits:
        text = _DECIMAL_POINT.sub("٫", text)
    return text.translate(str.maketrans(LATIN_DIGITS, digits))


def text_in_digits(text: str, digits: str) -> str:
    """Return a translated text whose numbers have other digits; places and terms stay."""
    pieces = _PLACE.split(text)
    pieces[::2] = [
        _NUMBER.sub(lambda found: in_digits(found[0], digits), one) for one in pieces[::2]
    ]
    return "".join(pieces)
