"""Both languages are complete, and each visitor gets theirs."""

from __future__ import annotations

import asyncio
import re
import string
from datetime import UTC
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

import zajil.web.language
from kit.site import visiting
from zajil.store.engine.open import Store
from zajil.web.language import catalog_path, choose_language, choose_zone, load_languages

SRC = Path(zajil.web.language.__file__).parent.parent
LANGUAGES = load_languages()
EN, AR = LANGUAGES["en"], LANGUAGES["ar"]
NOW_MS = 1_795_462_000_000  # 23 November 2026, 19:26 UTC


KEYWORDS = {
    **{"_": None, "gettext": None, "ngettext": (1, 2), "mark": None},
    "pgettext": ((1, "c"), 2),
}


def texts() -> set[tuple[str | None, str]]:
    """Give every text of templates, pages and sentences of a journey, with its context."""
    found = extract_from_dir(
        SRC,
        [("web/templates/**.html", "jinja2"), ("**.py", "python")],
        {"**.html": {"newstyle_gettext": "true"}},
        keywords=KEYWORDS,
    )
    return {
        (context, message if isinstance(message, str) else message[0])
        for _, _, message, _, context in found
    }


def catalog() -> Catalog:
    with catalog_path("ar").open("rb") as file:
        return read_po(file, locale="ar")


def test_every_text_is_there_in_arabic() -> None:
    arabic = catalog()
    found = [(text, arabic.get(text, context)) for context, text in texts()]
    assert [text for text, message in found if message is None or not message.string] == []
    fuzzy = [message.id for message in arabic if message.id and message.fuzzy]
    assert fuzzy == []


def test_no_translation_is_left_over() -> None:
    known = texts()
    ids = [(one.context, one.id) for one in catalog() if one.id]
    first = [(context, one if isinstance(one, str) else one[0]) for context, one in ids]
    assert [one for one in first if one not in known] == []


def test_translations_have_the_places_of_their_texts() -> None:
    """A place that is missing would lose an address; one too many would fail the page."""

    def places(text: str) -> set[str]:
        braces = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        return braces | set(re.findall(r"%\((\w+)\)s", text))

    for message in catalog():
        if isinstance(message.id, str) and message.id:
            assert places(str(message.string)) == places(message.id), message.id
        elif message.id:
            forms = tuple(message.string or ())
            assert len(forms) == 6, "Arabic has six forms"
            assert all(places(form) <= places(message.id[1]) for form in forms)


@pytest.mark.parametrize(
    ("cookie", "header", "code"),
    [
        (None, "", "en"),
        (None, "ar", "ar"),
        (None, "ar-SA,ar;q=0.9,en;q=0.8", "ar"),
        (None, "en;q=0.5, ar;q=0.9", "ar"),
        (None, "fr, de;q=0.9", "en"),
        (None, "fr, ar;q=0.1", "ar"),
        (None, "ar;q=0", "en"),
        ("ar", "en", "ar"),
        ("en", "ar", "en"),
        ("xx", "ar", "ar"),
    ],
)
def test_the_language_of_a_visitor(cookie: str | None, header: str, code: str) -> None:
    assert choose_language(LANGUAGES, cookie, header).code == code


@given(st.text(max_size=60), st.text(max_size=60))
def test_odd_header_fields_still_get_a_language(cookie: str, header: str) -> None:
    assert choose_language(LANGUAGES, cookie, header).code in LANGUAGES


@given(st.none() | st.text(max_size=80))
def test_odd_zones_are_utc_or_a_zone(name: str | None) -> None:
    choose_zone(name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a" * 100, "", "Nowhere/X"])
def test_a_zone_is_no_path(name: str) -> None:
    assert choose_zone(name) is UTC


def test_dates_are_as_short_as_they_can_be() -> None:
    zone = choose_zone("Asia/Riyadh")
    assert EN.date(NOW_MS, NOW_MS, UTC) == "19:26"
    assert EN.date(NOW_MS, NOW_MS, zone) == "22:26"
    assert AR.date(NOW_MS - 86_400_000, NOW_MS, UTC) == "22 نوفمبر"
    assert "2025" in EN.date(NOW_MS - 400 * 86_400_000, NOW_MS, UTC)
    assert AR.moment(NOW_MS, UTC) == "23 نوفمبر 2026، 19:26"


@pytest.mark.parametrize(
    ("header", "short", "long"),
    [
        ("en-US,en;q=0.9", "Nov 22", "November 22, 2026, 19:26"),
        ("en-GB", "22 Nov", "22 November 2026, 19:26"),
        ("de, en-NZ;q=0.5", "22 Nov", "22 November 2026, 19:26"),
        ("en-XX, en-999, en-" + "x" * 99, "Nov 22", "November 22, 2026, 19:26"),
    ],
)
def test_english_dates_are_those_of_the_region(header: str, short: str, long: str) -> None:
    language = choose_language(LANGUAGES, "en", header)
    yesterday_ms = NOW_MS - 86_400_000
    assert language.date(yesterday_ms, NOW_MS, UTC) == short
    assert language.moment(yesterday_ms, UTC) == long


@pytest.mark.parametrize("at_ms", [-(1 << 63), -62_135_596_800_000, 253_402_300_799_999, 1 << 62])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_every_stored_time_has_a_text(at_ms: int, zone: str) -> None:
    """A page names a time that a client chose; one that no calendar has must not break it."""
    where = choose_zone(zone)
    for language in LANGUAGES.values():
        assert language.date(at_ms, NOW_MS, where)
        assert language.moment(at_ms, where)
        assert language.clock(at_ms, where)


def test_sizes_and_durations() -> None:
    assert [EN.size(size) for size in (1, 812, 5120, 52_428_800)] == [
        "1 byte",
        "812 bytes",
        "5.1 kB",
        "52 MB",
    ]
    assert AR.size(812) == "812 بايت"
    assert AR.size(2) == "بايتان"
    assert [EN.duration(passed) for passed in (0, 38, 2100, 600_000)] == [
        "0 ms",
        "38 ms",
        "2.1 sec",
        "10 min",
    ]


def test_arabic_reads_from_the_right(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            page = await site.browser(**{"accept-language": "ar"}).get("/login")
            assert '<html lang="ar" dir="rtl"' in page.text
            assert "تسجيل الدخول إلى بريدك" in page.text

    asyncio.run(scenario())


def test_language_and_theme_can_be_chosen(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            await browser.get("/login")
            page = await browser.post("/preferences", language="ar", next="/login")
            assert page.location == "/login"
            assert 'lang="ar"' in (await browser.get("/login")).text
            await browser.post("/preferences", theme="dark", next="/login")
            page = await browser.get("/login")
            assert 'data-theme="dark"' in page.text
            await browser.post("/preferences", language="../..", theme='"><script>', next="/")
            assert (await browser.get("/login")).text.count('data-theme="dark"') == 1
            page = await browser.post("/preferences", theme="auto", next="//evil.test")
            assert page.location == "/"
            assert "data-theme" not in (await browser.get("/login")).text

    asyncio.run(scenario())
