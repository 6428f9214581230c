"""The owner's page of app passwords, in both languages."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from kit.site import visiting
from zajil.store.engine.open import Store

PATH = "/account/app-passwords"


@pytest.mark.parametrize("language", ["en", "ar"])
def test_make_one_see_it_once_remove_it(sqlite_store: Store, language: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            await browser.log_in("basim")
            await browser.post("/preferences", language=language, next="/")
            await browser.get(PATH)
            made = await browser.post(PATH, action="add", name="<b>هاتف</b>", scope="imap")
            assert made.status == 200
            found = re.search(r"(?:[a-z2-9]{4}-){5}[a-z2-9]{4}", made.text)
            assert found
            assert "<b>" not in made.text.partition("<main")[2]
            page = await browser.get(PATH)
            assert found[0] not in page.text
            assert found[0][:4] in page.text
            again = await browser.post(PATH, action="add", name="<b>هاتف</b>", scope="imap")
            assert again.status == 400
            other = site.browser()
            await other.log_in("amal")
            await other.get(PATH)
            number = page.field("id")
            assert (await other.post(PATH, action="remove", id=number)).status == 404
            assert (await browser.post(PATH, action="remove", id=number)).status == 303
            assert found[0][:4] not in (await browser.get(PATH)).text

    asyncio.run(scenario())


def test_what_no_form_of_ours_sends(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            assert (await browser.get(PATH)).status == 303
            await browser.log_in("basim")
            await browser.get(PATH)
            forms: tuple[dict[str, Any], ...] = (
                {"action": "add", "name": "", "scope": "all"},
                {"action": "add", "name": "x" * 65, "scope": "all"},
                {"action": "add", "name": "a\u202eb", "scope": "all"},
                {"action": "add", "name": "x", "scope": "web"},
                {"action": "add"},
                {"action": "remove", "id": "-1"},
                {"action": "remove"},
                {"action": "other"},
            )
            for form in forms:
                assert (await browser.post(PATH, **form)).status == 400, form
            huge = await browser.post(PATH, action="remove", id="9" * 60)
            assert huge.status == 404
            assert (await browser.post(PATH, csrf="x", action="add", name="y")).status == 403

    asyncio.run(scenario())
