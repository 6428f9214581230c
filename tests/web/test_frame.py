"""The frame of every page: its head, its fonts and symbols, the colours of people."""

from __future__ import annotations

import asyncio
import re

import pytest

from kit.site import visiting
from zajil.store.engine.open import Store
from zajil.web.avatars import HUES, hue, initial


def test_style_sheets_name_files_that_are_there(sqlite_store: Store) -> None:
    """By an address with their hash: browsers keep them for ever."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            page = await browser.get("/login")
            sheet = re.search(r'href="(/static/base\.css\?[0-9a-f]+)"', page.text)
            assert sheet
            css = (await browser.get(sheet[1])).text
            urls = set(re.findall(r'url\("([^"]+)"\)', css))
            assert len(urls) == 3
            sizes = {}
            for url in urls:
                assert re.fullmatch(r"/static/[a-z.-]+[0-9]?\?[0-9a-f]{12}", url)
                answer = (await browser.get(url)).response
                assert answer.status_code == 200
                sizes[answer.headers["content-type"], url] = len(answer.content)
            fonts = [size for (kind, _), size in sizes.items() if kind == "font/woff2"]
            assert len(fonts) == 2
            assert sum(fonts) < 150_000
            policy = page.response.headers["content-security-policy"]
            assert "font-src 'self'" in policy

    asyncio.run(scenario())


def test_each_symbol_of_a_page_is_drawn(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            await browser.log_in("amal")
            css = (await browser.get("/static/base.css")).text
            drawing = (await browser.get("/static/icons.svg")).text
            assert len(re.findall(r"<path ", drawing)) == len(re.findall(r"--at: \d+", css))
            for path in (site.inbox("amal"), "/compose", "/account"):
                names = set(
                    re.findall(r'class="icon icon-([a-z-]+)"', (await browser.get(path)).text)
                )
                assert names
                for name in names:
                    place = re.search(rf"\.icon-{name} {{ --at: (\d+); }}", css)
                    assert place, name
                    shift = 24 * int(place[1])
                    assert f'id="{name}" transform="translate(0 {shift})"' in drawing

    asyncio.run(scenario())


def test_the_search_field_is_for_those_who_are_logged_in(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            assert 'type="search"' not in (await browser.get("/login")).text
            await browser.log_in("amal")
            for path in (site.inbox("amal"), "/account", "/nothing-here"):
                text = (await browser.get(path)).text
                assert '<form class="find" role="search" action="/search">' in text
                assert 'name="q"' in text
                assert 'class="me" href="/account"' in text

    asyncio.run(scenario())


def test_a_person_has_one_colour() -> None:
    assert hue("Noor@South.test") == hue("noor@south.test")
    assert {hue(f"{number}@south.test") for number in range(300)} == set(range(HUES))


@pytest.mark.parametrize(
    ("label", "letter"),
    [
        ("Noor", "N"),
        ('"noor"', "N"),
        ("سلمى", "س"),
        ("", "?"),
        ("<>", "?"),
        ("7 days", "7"),
        ("\u202enoor", "N"),
        ("ß", "S"),
    ],
)
def test_the_letter_of_a_person(label: str, letter: str) -> None:
    assert initial(label) == letter
