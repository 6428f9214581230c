"""Templates and saved searches that were deleted come back by "Undo"."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kit.site import Browser, Page, visiting
from kit.webmail import member
from zajil.store.engine.open import Store
from zajil.store.people.settings import LONGEST_VALUE
from zajil.web import saved_searches, text_templates
from zajil.web.removed import (
    MOST,
    SETTING,
    Removed,
    find_removed,
    with_removed,
    without_removed,
)

TEMPLATES, SEARCHES = "/account/templates", "/search/saved"
LATE = "This action can no longer be undone."


async def undo(browser: Browser, path: str, page: Page) -> Page:
    """Press Undo on a page; return the page after it."""
    assert f'<form method="post" action="{path}">' in page.text
    sent = await browser.post(path, action="undo", undo=page.field("undo"))
    return await browser.get(sent.location)


async def posted(browser: Browser, path: str, **form: Any) -> Page:
    """Send a form; return the page after it."""
    sent = await browser.post(path, **form)
    assert sent.status == 303
    return await browser.get(sent.location)


def test_a_template_comes_back(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal, basim = await member(site, "amal"), await member(site, "basim")
            text = "شكرًا لك.\n\n" + "نعم " * 900
            await amal.post(TEMPLATES, name="شكر", text=text, action="save")
            page = await posted(amal, TEMPLATES, before="شكر", action="delete")
            assert "The template was deleted." in page.text
            assert "<summary>" not in page.text.partition("<main")[2]
            key = page.field("undo")
            await basim.get("/account")
            assert LATE in (await posted(basim, TEMPLATES, action="undo", undo=key)).text
            page = await undo(amal, TEMPLATES, page)
            assert "The action was undone." in page.text
            assert text.strip("\n") in page.text
            # What is back cannot be brought back once more.
            assert LATE in (await posted(amal, TEMPLATES, action="undo", undo=key)).text

    asyncio.run(scenario())


def test_a_template_does_not_replace_a_newer_one(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            await amal.post(TEMPLATES, name="Thanks", text="old", action="save")
            page = await posted(amal, TEMPLATES, before="Thanks", action="delete")
            await amal.post(TEMPLATES, name="Thanks", text="new", action="save")
            await amal.get(TEMPLATES)
            page = await undo(amal, TEMPLATES, page)
            assert LATE in page.text
            assert ">\nnew</textarea>" in page.text
            # Several deletions can be undone, in any order.
            await amal.post(TEMPLATES, name="Hello", text="hello", action="save")
            first = await posted(amal, TEMPLATES, before="Thanks", action="delete")
            second = await posted(amal, TEMPLATES, before="Hello", action="delete")
            for one in (first, second):
                assert LATE not in (await undo(amal, TEMPLATES, one)).text
            # A name that no template has is no deletion.
            page = await posted(amal, TEMPLATES, before="none", action="delete")
            assert 'value="undo"' not in page.text

    asyncio.run(scenario())


def test_a_saved_search_comes_back(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal = await member(site, "amal")
            query = "from:noor " + "subject:حديقة " * 40
            await amal.post(SEARCHES, action="save", q=query, name="Garden")
            await amal.get("/search")
            page = await posted(amal, SEARCHES, action="delete", q=query, saved="Garden")
            assert "The saved search was deleted." in page.text
            page = await undo(amal, SEARCHES, page)
            assert "The action was undone." in page.text
            assert "Saved as <bdi>Garden</bdi>" in page.text
            page = await posted(amal, SEARCHES, action="delete", q=query, saved="Garden")
            for number in range(saved_searches.MOST):
                await amal.post(SEARCHES, action="save", q="x", name=str(number))
            assert LATE in (await undo(amal, SEARCHES, page)).text

    asyncio.run(scenario())


@pytest.mark.parametrize("key", ["", "0" * 32, "\0", "x" * 5000, "~"])
def test_a_key_of_nothing_does_nothing(sqlite_store: Store, key: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            for path in (TEMPLATES, SEARCHES):
                assert LATE in (await posted(amal, path, action="undo", undo=key)).text

    asyncio.run(scenario())


def test_the_oldest_deletions_make_room() -> None:
    settings: dict[str, str] = {}
    every = [Removed("template", str(number), "x") for number in range(MOST + 2)]
    for one in every:
        settings[SETTING] = with_removed(settings, one)
    assert [find_removed(settings, "template", one.key) for one in every[:2]] == [None, None]
    assert all(find_removed(settings, "template", one.key) == one for one in every[2:])
    assert find_removed(settings, "search", every[-1].key) is None
    long = Removed("template", "long", '"' * text_templates.LONGEST_TEXT)
    for number in range(MOST):
        settings[SETTING] = with_removed(settings, Removed("template", str(number), long.value))
        assert len(settings[SETTING]) <= LONGEST_VALUE
    only = {SETTING: with_removed({}, long)}
    assert without_removed(only, long) is None


@pytest.mark.parametrize("value", ["", "{}", "[1]", "[[]]", '[["a", 1, "b"]]', "[" * 100_000])
def test_a_setting_that_is_something_else_is_no_deletion(value: str) -> None:
    one = Removed("search", "a", "b")
    assert find_removed({SETTING: value}, "search", one.key) is None
    assert find_removed({SETTING: with_removed({SETTING: value}, one)}, "search", one.key) == one
