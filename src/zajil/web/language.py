"""Languages of the pages: catalogs, direction, dates. English and Arabic are both first.

The catalogs are compiled from their ``.po`` files when the server starts, so that there is no
build step and no file that can be stale.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time, get_timezone
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from babel.units import format_unit

from zajil.core.moment import local_datetime

LOCALE_FOLDER = Path(__file__).parent / "locale"
OWN_LANGUAGE = "en"
"""What the templates are written in."""
_NAMES = {OWN_LANGUAGE: ("English", "ltr"), "ar": ("العربية", "rtl")}
"""Name and direction of each language. Babel knows both, but at the price of 7 MiB: what it knows
of a language is loaded with the first page that shows a date in it."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language that the pages speak."""

    code: str
    """BCP 47: ``en``, ``ar``."""
    name: str
    """In the language itself."""
    direction: str
    """``ltr`` or ``rtl``."""
    locale: Locale
    translations: NullTranslations

    def gettext(self, text: str) -> str:
        """Return a text in this language."""
        return self.translations.gettext(text)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """Return a text for a number of things in this language; Arabic has six forms."""
        return self.translations.ngettext(singular, plural, number)

    def date(self, at_ms: int, now_ms: int, zone: tzinfo) -> str:
        """Return a date as short as it can be: the time today, the day this year."""
        at, now = local_datetime(at_ms, zone), local_datetime(now_ms, zone)
        if at.date() == now.date():
            return format_time(at, "HH:mm", locale=self.locale)
        return format_skeleton("MMMd" if at.year == now.year else "yMMMd", at, locale=self.locale)

    def moment(self, at_ms: int, zone: tzinfo) -> str:
        """Return day and time in words."""
        comma = "،" if self.direction == "rtl" else ","
        at = local_datetime(at_ms, zone)
        day = format_date(at, "long", locale=self.locale)
        return f"{day}{comma} {format_time(at, 'HH:mm', locale=self.locale)}"

    def clock(self, at_ms: int, zone: tzinfo) -> str:
        """Return the time of day to the millisecond: a whole journey may take a few."""
        at = local_datetime(at_ms, zone)
        return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"

    def size(self, size: int) -> str:
        """Return a size in bytes as people say it."""
        for scale, unit in ((10**9, "gigabyte"), (10**6, "megabyte"), (10**3, "kilobyte")):
            if size >= scale:
                number = size / scale
                shown = round(number, 1) if number < 10 else round(number)
                return format_unit(shown, f"digital-{unit}", "short", locale=self.locale)
        return self.ngettext("%(num)s byte", "%(num)s bytes", size) % {"num": size}

    def duration(self, passed_ms: int) -> str:
        """Return a time that passed, in the largest unit that makes it one or more."""
        for scale, unit in _DURATIONS:
            if passed_ms >= scale:
                number = passed_ms / scale
                shown = round(number) if scale == 1 or number >= 10 else round(number, 1)
                return format_unit(shown, f"duration-{unit}", "short", locale=self.locale)
        return format_unit(0, "duration-millisecond", "short", locale=self.locale)


_DURATIONS = (
    (86_400_000, "day"),
    (3_600_000, "hour"),
    (60_000, "minute"),
    (1000, "second"),
    (1, "millisecond"),
)


@functools.cache
def load_languages() -> Mapping[str, Language]:
    """Compile the catalogs of all languages; once, before a fork, so that workers share them."""
    return {code: _load_language(code) for code in _NAMES}


def _load_language(code: str) -> Language:
    name, direction = _NAMES[code]
    translations = NullTranslations() if code == OWN_LANGUAGE else _compile(code)
    return Language(code, name, direction, Locale(code), translations)


def catalog_path(code: str) -> Path:
    """Return the place of a language's ``.po`` file."""
    return LOCALE_FOLDER / code / "LC_MESSAGES" / "messages.po"


def _compile(code: str) -> NullTranslations:
    with catalog_path(code).open("rb") as file:
        catalog = read_po(file, locale=code)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)


def choose_language(
    languages: Mapping[str, Language], chosen: str | None, accept_language: str
) -> Language:
    """Return the language of a visitor: what they chose, else what the browser prefers.

    Args:
        languages: those we have.
        chosen: value of our cookie; may be anything.
        accept_language: the header field; may be anything (RFC 9110 section 12.5.4).
    """
    if chosen is not None and chosen in languages:
        return _for_region(languages[chosen], accept_language)
    wanted: list[tuple[float, str]] = []
    for item in accept_language.split(",")[:20]:
        tag, _, quality = item.strip().partition(";q=")
        code = tag.strip().lower().partition("-")[0]
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if code in languages and weight > 0:
            wanted.append((weight, code))
    best = max(wanted, key=lambda pair: pair[0], default=(0.0, OWN_LANGUAGE))
    return _for_region(languages[best[1]], accept_language)


def _for_region(language: Language, accept_language: str) -> Language:
    """Return English as the browser's region writes dates: 27 Nov in Britain, Nov 27 in the US.

    The regions of Arabic differ in digits, and a page has one kind of them.
    """
    for item in accept_language.split(",")[:20] if language.code == "en" else ():
        code, _, region = item.partition(";")[0].strip().partition("-")
        if code.lower() == "en" and re.fullmatch(r"[A-Za-z]{2}|[0-9]{3}", region):
            with suppress(UnknownLocaleError):
                return replace(language, locale=Locale("en", region.upper()))
    return language


def choose_zone(name: str | None) -> tzinfo:
    """Return the time zone that the visitor's browser named in a cookie; UTC for anything odd."""
    if not name or len(name) > 64:
        return UTC
    try:
        return get_timezone(name)
    except (LookupError, ValueError, OSError):
        return UTC
