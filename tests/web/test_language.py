"""Both languages are complete, and each visitor gets theirs."""

from __future__ import annotations

import asyncio
import re
import string
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import make_catalog
import zajil.web.language
from kit.site import letter, visiting
from make_catalog import find_texts, keys_of, keys_of_text, read_catalog
from zajil.store.engine.open import Store
from zajil.web.calendars import text_in_digits
from zajil.web.language import (
    BadCatalog,
    catalog_path,
    choose_language,
    choose_zone,
    load_languages,
)

LANGUAGES = load_languages()
EN, AR = LANGUAGES["en"], LANGUAGES["ar"]
NOW_MS = 1_795_462_000_000  # 23 November 2026, 19:26 UTC


def catalog_codes() -> list[str]:
    return [code for code in LANGUAGES if code != "en"]


def test_every_text_is_there_in_arabic() -> None:
    known = keys_of(read_catalog("ar"))
    assert [text for text in find_texts() if not known.get(text)] == []


def test_no_translation_is_left_over() -> None:
    known = find_texts()
    assert [one for one in keys_of(read_catalog("ar")) if one not in known] == []


@pytest.mark.parametrize("code", catalog_codes())
def test_no_text_is_translated_twice(code: str) -> None:
    """Two people may add the same text at the same time; the second translation would be lost."""
    keys = Counter(keys_of_text(catalog_path(code).read_text(encoding="utf-8")))
    assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize("code", catalog_codes())
def test_translations_have_the_places_of_their_texts(code: str) -> None:
    """A place that is missing would lose an address; one too many would fail the page."""

    def places(text: str) -> set[str]:
        braces = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        return braces | set(re.findall(r"%\((\w+)\)s", text))

    catalog = read_catalog(code)
    for message in catalog:
        if not message.id or not message.string or not any(message.string):
            continue
        if isinstance(message.id, str):
            assert places(str(message.string)) == places(message.id), message.id
        else:
            assert len(message.string) == catalog.num_plurals
            assert all(places(form) <= places(message.id[1]) for form in message.string)


def test_arabic_has_six_forms() -> None:
    assert read_catalog("ar").num_plurals == 6


def test_a_language_is_one_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a translator makes with the tool is a language of the pages; the rest is English."""
    monkeypatch.setattr(zajil.web.language, "LOCALE_FOLDER", tmp_path)
    monkeypatch.setattr(make_catalog, "LOCALE_FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["make_catalog", "pt-BR", "--name", "Português (Brasil)"])
    assert make_catalog.main() == 0
    path = catalog_path("pt-BR")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('msgid "Send"\nmsgstr ""', 'msgid "Send"\nmsgstr "Enviar"'))
    languages = load_languages.__wrapped__()
    assert list(languages) == ["en", "pt-BR"]
    brazilian = choose_language(languages, None, "en;q=0.1, pt-br")
    assert (brazilian.name, brazilian.direction) == ("Português (Brasil)", "ltr")
    assert brazilian.gettext("Send") == "Enviar"
    assert brazilian.gettext("Reply all") == "Reply all"
    assert choose_language(languages, None, "pt").code == "en"
    # An update keeps what was translated.
    assert make_catalog.main() == 0
    assert "Enviar" in path.read_text(encoding="utf-8")


def test_a_catalog_without_a_name_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zajil.web.language, "LOCALE_FOLDER", tmp_path)
    catalog_path("xx").parent.mkdir(parents=True)
    catalog_path("xx").write_text('msgid ""\nmsgstr ""\n"X-Name: X\\n"\n')
    with pytest.raises(BadCatalog, match="xx: X-Name must be set"):
        load_languages.__wrapped__()


@pytest.mark.parametrize(
    ("cookie", "header", "code"),
    [
        (None, "", "en"),
        (None, "ar", "ar"),
        (None, "ar-SA,ar;q=0.9,en;q=0.8", "ar"),
        (None, "en;q=0.5, ar;q=0.9", "ar"),
        (None, "fi, de;q=0.9", "en"),
        (None, "fi, ar;q=0.1", "ar"),
        (None, "fr-CA, ar;q=0.1", "fr"),
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


def test_digits_and_calendar_are_those_of_the_visitor() -> None:
    yesterday_ms = NOW_MS - 86_400_000
    own = AR.written("arab", "hijri")
    assert own.moment(NOW_MS, UTC) == "١٣ جمادى الآخرة ١٤٤٨ هـ، ١٩:٢٦"
    assert own.date(yesterday_ms, NOW_MS, UTC) == "١٢ جمادى الآخرة"
    assert own.date(NOW_MS - 400 * 86_400_000, NOW_MS, UTC) == "٢٧ ربيع الآخر ١٤٤٧ هـ"
    assert own.clock(NOW_MS, UTC) == "١٩:٢٦:٤٠٫٠٠٠"
    assert own.size(5120) == "٥٫١ كيلوبايت"
    assert own.size(812) == "٨١٢ بايت"
    assert AR.written("arab", "").moment(NOW_MS, UTC) == "٢٣ نوفمبر ٢٠٢٦، ١٩:٢٦"
    # A language without digits of its own keeps the Latin ones.
    english = EN.written("arab", "hijri")
    assert english.moment(NOW_MS, UTC) == "13 Jumada II 1448 AH, 19:26"
    assert AR.written("latn", "gregorian") == AR


def test_the_hijri_calendar_ends_where_its_tables_end() -> None:
    own = AR.written("", "hijri")
    for day, shown in (
        (datetime(1924, 8, 1, tzinfo=UTC), "1 محرم 1343 هـ، 00:00"),
        (datetime(1924, 7, 31, tzinfo=UTC), "31 يوليو 1924، 00:00"),
        (datetime(2077, 11, 16, tzinfo=UTC), "30 ذو الحجة 1500 هـ، 00:00"),
        (datetime(2077, 11, 17, tzinfo=UTC), "17 نوفمبر 2077، 00:00"),
    ):
        assert own.moment(int(day.timestamp()) * 1000, UTC) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("سطر أطول من 998 بايت", "سطر أطول من ٩٩٨ بايت"),
        ("من 1 إلى 64 حرفًا، 2.5 في المئة", "من ١ إلى ٦٤ حرفًا، ٢٫٥ في المئة"),
        ("SHA-256 وbase64 وRFC 8617 وIPv6", "SHA-256 وbase64 وRFC 8617 وIPv6"),
        ("%(a1)s {b2} 3", "%(a1)s {b2} ٣"),
    ],
)
def test_digits_of_terms_and_places_stay(text: str, shown: str) -> None:
    assert text_in_digits(text, AR.native_digits) == shown


def test_numbers_of_a_page_are_in_the_chosen_digits(sqlite_store: Store) -> None:
    """Ours are; those in subjects, addresses and ids stay as they are."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            sender = "Noor 77 <noor77@south.test>"
            for _ in range(2):
                site.deliver("amal", letter("Order 4711", "Call 555 1234.\n", sender=sender))
            browser = site.browser(**{"accept-language": "ar"})
            await browser.log_in("amal")
            await browser.post(
                "/account/language", language="", zone="", digits="arab", calendar="hijri"
            )
            page = (await browser.get(site.inbox("amal"))).text
            for text in ("Order 4711", "Noor 77", "Call 555 1234."):
                assert text in page
            assert re.search(r'class="count">.*</span> ٢<', page)
            page = (await browser.get(f"{site.inbox('amal')}/1")).text
            assert "noor77@south.test" in page
            assert re.search("[٠-٩]+ ربيع الآخر ١٤٤٥ هـ", page)
            assert re.search(r'<code class="id">\w+</code>|/journey/\w{20}', page)

    asyncio.run(scenario())


def test_arabic_reads_from_the_right(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            page = await site.browser(**{"accept-language": "ar"}).get("/login")
            assert '<html lang="ar" dir="rtl"' in page.text
            assert "تسجيل الدخول إلى <bdi>north.test</bdi>" in page.text

    asyncio.run(scenario())


def test_another_language_is_one_click_away_or_in_a_menu(sqlite_store: Store) -> None:
    """The first two languages are each other's one click, whatever is added behind them."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for header, near, further in (
                ("en", ["ar"], ["fr"]),
                ("ar", ["en"], ["fr"]),
                ("fr", ["en"], ["ar"]),
            ):
                page = (await site.browser(**{"accept-language": header}).get("/login")).text
                before, menu, after = re.split(r'<details class="languages">|</details>', page)
                offered = r'name="language" value="([^"]+)"'
                assert re.findall(offered, before) == near
                assert re.findall(offered, menu) == further
                assert re.findall(offered, after) == []
            assert "Se connecter à" in page

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
