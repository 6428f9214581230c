"""Languages of the pages: catalogs, direction, numbers and dates.

A language is one catalog, ``locale/CODE/LC_MESSAGES/messages.po``. Its header fields ``X-Name`` and
``X-Direction`` hold what the pages need besides texts; nothing else names a language. Catalogs are
compiled when the server starts, so that there is no build step and no file that can be stale.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, tzinfo
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, get_timezone
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from babel.units import format_unit

from zajil.core.errors import Invalid
from zajil.core.moment import local_datetime
from zajil.tracking.check_names import mark
from zajil.web.calendars import LATIN_DIGITS, hijri_day, in_digits, text_in_digits

LOCALE_FOLDER = Path(__file__).parent / "locale"
OWN_LANGUAGE = "en"
"""What the templates are written in."""
_OWN_HEADER = {"x-name": "English", "x-direction": "ltr"}
_HEADER_LINE = re.compile(r'"(X-[A-Za-z-]+): ?([^"\\]*)\\n"')


class BadCatalog(Invalid):
    """A catalog lacks a header field that the pages need, or has a wrong value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language that the pages speak."""

    code: str
    """BCP 47: ``en``, ``ar``, ``pt-BR``."""
    name: str
    """In the language itself."""
    direction: str
    """``ltr`` or ``rtl``."""
    locale: Locale
    """Babel loads its data with the first page that shows a date in it."""
    translations: NullTranslations
    native_digits: str = ""
    """The ten digits of its script, where they are not the Latin ones."""
    digits: str = ""
    """The ten digits that numbers are written with; ``""``: Latin ones."""
    hijri: bool = False
    """Whether dates are those of the calendar Umm al-Qura, as far as it is known."""

    def written(self, digits: str, calendar: str) -> Language:
        """Return this language as one visitor reads it.

        Args:
            digits: ``arab`` for those of the script, where the language has some; else Latin ones.
            calendar: ``hijri``, or anything else for the Gregorian one.
        """
        chosen = self.native_digits if digits == "arab" else ""
        return replace(self, digits=chosen, hijri=calendar == "hijri")

    def gettext(self, text: str) -> str:
        """Return a text in this language."""
        return self._in_own_digits(self.translations.gettext(text))

    def pgettext(self, context: str, text: str) -> str:
        """Return a text that has another meaning in another context."""
        return self._in_own_digits(self.translations.pgettext(context, text))

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """Return a text for a number of things in this language; Arabic has six forms."""
        return self._in_own_digits(self.translations.ngettext(singular, plural, number))

    def _in_own_digits(self, text: str) -> str:
        return text_in_digits(text, self.digits) if self.digits else text

    def number(self, number: float | str) -> str:
        """Return a number, or a time or size with numbers, in the digits of the visitor."""
        shown = str(number)
        return in_digits(shown, self.digits) if self.digits else shown

    def date(self, at_ms: int, now_ms: int, zone: tzinfo) -> str:
        """Return a date as short as it can be: the time today, the day this year."""
        at, now = local_datetime(at_ms, zone), local_datetime(now_ms, zone)
        if at.date() == now.date():
            return self.number(f"{at:%H:%M}")
        skeleton = "MMMd" if at.year == now.year else "yMMMd"
        return self._hijri(at, now) or self.number(_spell(self.locale, skeleton, at.date()))

    def day(self, at_ms: int, zone: tzinfo) -> str:
        """Return the day in words, with its year."""
        at = local_datetime(at_ms, zone)
        return self._hijri(at) or self.number(_spell(self.locale, "", at.date()))

    def moment(self, at_ms: int, zone: tzinfo) -> str:
        """Return day and time in words."""
        time = self.number(f"{local_datetime(at_ms, zone):%H:%M}")
        return f"{self.day(at_ms, zone)}{self.gettext(', ')}{time}"

    def _hijri(self, at: datetime, now: datetime | None = None) -> str:
        """Return a Hijri date, without its year if that is the year of ``now``.

        ``""``: another calendar was chosen, or this one does not reach as far.
        """
        day = hijri_day(at.date()) if self.hijri else None
        if day is None:
            return ""
        this = hijri_day(now.date()) if now is not None else None
        same = this is not None and this.year == day.year
        text = self.gettext(mark("{day} {month}") if same else mark("{day} {month} {year} AH"))
        return text.format(
            day=self.number(day.day), month=self.gettext(day.month), year=self.number(day.year)
        )

    def clock(self, at_ms: int, zone: tzinfo) -> str:
        """Return the time of day to the millisecond: a whole journey may take a few."""
        at = local_datetime(at_ms, zone)
        return self.number(f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}")

    def size(self, size: int) -> str:
        """Return a size in bytes as people say it."""
        for scale, unit in ((10**9, "gigabyte"), (10**6, "megabyte"), (10**3, "kilobyte")):
            if size >= scale:
                number = size / scale
                return self._units(round(number, 1 if number < 10 else None), f"digital-{unit}")
        text = self.ngettext("%(num)s byte", "%(num)s bytes", size)
        return text % {"num": self.number(size)}

    def duration(self, passed_ms: int) -> str:
        """Return a time that passed, in the largest unit that makes it one or more."""
        for scale, unit in _DURATIONS:
            if passed_ms >= scale:
                number = passed_ms / scale
                whole = scale == 1 or number >= 10
                return self._units(round(number, None if whole else 1), f"duration-{unit}")
        return self._units(0, "duration-millisecond")

    def _units(self, number: float, unit: str) -> str:
        return self.number(format_unit(number, unit, "short", locale=self.locale))


_DURATIONS = (
    (86_400_000, "day"),
    (3_600_000, "hour"),
    (60_000, "minute"),
    (1000, "second"),
    (1, "millisecond"),
)


@functools.cache
def load_languages() -> Mapping[str, Language]:
    """Compile the catalogs of all languages; once, before a fork, so that workers share them.

    The own language of the templates is the first, the others are in the order of their codes.

    Raises:
        BadCatalog: a header field of one is missing or wrong.
    """
    found = sorted(path.parent.parent.name for path in LOCALE_FOLDER.glob("*/LC_MESSAGES/*.po"))
    codes = [OWN_LANGUAGE, *(name.replace("_", "-") for name in found)]
    return {code: _load_language(code) for code in codes}


def own_language() -> Language:
    """Return English alone: for the command line, which has no time to compile the others."""
    return _load_language(OWN_LANGUAGE)


def _load_language(code: str) -> Language:
    is_own = code == OWN_LANGUAGE
    header = _OWN_HEADER if is_own else read_header(catalog_path(code))
    name, direction = header.get("x-name", ""), header.get("x-direction", "")
    if not name or direction not in ("ltr", "rtl"):
        raise BadCatalog(f"{code}: X-Name must be set, and X-Direction must be ltr or rtl")
    digits = header.get("x-digits", LATIN_DIGITS)
    if len(digits) != 10 or not digits.isdecimal():
        raise BadCatalog(f"{code}: X-Digits must be the ten digits, zero first")
    translations = NullTranslations() if is_own else _compile(code)
    native = "" if digits == LATIN_DIGITS else digits
    return Language(
        code=code,
        name=name,
        direction=direction,
        locale=Locale.parse(code, sep="-"),
        translations=translations,
        native_digits=native,
    )


def read_header(path: Path) -> Mapping[str, str]:
    """Return the ``X-`` fields of a catalog's header, their names in lower case."""
    header = re.split(r"^msgid ", path.read_text(encoding="utf-8"), maxsplit=2, flags=re.M)[1]
    return {name.lower(): value.strip() for name, value in _HEADER_LINE.findall(header)}


def catalog_path(code: str) -> Path:
    """Return the place of a language's ``.po`` file."""
    return LOCALE_FOLDER / code.replace("-", "_") / "LC_MESSAGES" / "messages.po"


def _compile(code: str) -> NullTranslations:
    with catalog_path(code).open("rb") as file:
        catalog = read_po(file, locale=code.replace("-", "_"))
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)


@functools.lru_cache(maxsize=4096)
def _spell(locale: Locale, skeleton: str, day: date) -> str:
    """Return a day as a region writes it; a list shows the same days again and again.

    Args:
        locale: of the region.
        skeleton: the parts that are shown (CLDR); ``""``: all of them, in words.
        day: in the Gregorian calendar.
    """
    if not skeleton:
        return format_date(day, "long", locale=locale)
    return format_skeleton(skeleton, datetime.combine(day, time(), UTC), locale=locale)


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
        code = _look_up(languages, tag.strip())
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if code is not None and weight > 0:
            wanted.append((weight, code))
    best = max(wanted, key=lambda pair: pair[0], default=(0.0, OWN_LANGUAGE))
    return _for_region(languages[best[1]], accept_language)


def _look_up(languages: Mapping[str, Language], tag: str) -> str | None:
    """Return the language of a tag, or of its beginning: ``fr`` for ``fr-CA`` ."""
    by_tag = {code.lower(): code for code in languages}
    subtags = tag.lower().split("-")[:4]
    return next(
        (
            by_tag["-".join(subtags[:count])]
            for count in range(len(subtags), 0, -1)
            if "-".join(subtags[:count]) in by_tag
        ),
        None,
    )


def _for_region(language: Language, accept_language: str) -> Language:
    """Return a language as the browser's region writes dates: 27 Nov in Britain, Nov 27 in the US.

    Not one with digits of its own: the regions of Arabic differ in digits and names of months, and
    a page has one kind of them.
    """
    if language.native_digits:
        return language
    for item in accept_language.split(",")[:20]:
        code, _, region = item.partition(";")[0].strip().rpartition("-")
        if code.lower() == language.code and re.fullmatch(r"[A-Za-z]{2}|[0-9]{3}", region):
            with suppress(UnknownLocaleError):
                return replace(language, locale=Locale(language.code, region.upper()))
    return language


def choose_zone(name: str | None) -> tzinfo:
    """Return the time zone that the visitor's browser named in a cookie; UTC for anything odd."""
    if not name or len(name) > 64:
        return UTC
    try:
        return get_timezone(name)
    except (LookupError, ValueError, OSError):
        return UTC
