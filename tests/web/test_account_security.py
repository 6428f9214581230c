"""The password, and where one is logged in."""

from __future__ import annotations

import asyncio
import re

import pytest

from kit.site import PASSWORD, Browser, Site, visiting
from zajil.operations.audit import show_audit
from zajil.store.engine.open import Store

NEW = "seven quiet lemons"
PATH = "/account/security"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)


async def logged_in(site: Site, login: str, agent: str = FIREFOX) -> Browser:
    browser = site.browser(**{"user-agent": agent})
    assert (await browser.log_in(login)).status == 303
    return browser


def test_a_new_password_ends_all_other_log_ins(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            browser, other = await logged_in(site, "basim"), await logged_in(site, "basim")
            before = browser.cookies["zajil"]
            answer = await browser.post("/account/password", old=PASSWORD, new=NEW, again=NEW)
            assert (answer.status, answer.location) == (303, PATH)
            assert browser.cookies["zajil"] != before
            page = await browser.get(PATH)
            assert page.status == 200
            assert 'role="status"' in page.text
            assert (await other.get(PATH)).status == 303
            assert (await site.browser().log_in("basim")).status == 403
            assert (await site.browser().log_in("basim", NEW)).status == 303
            events = store.read_now(lambda conn: show_audit(conn, about="basim"))
            assert [event.name for event in events] == ["account.password"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "form",
    [
        {"old": "wrong", "new": NEW, "again": NEW},
        {"old": PASSWORD, "new": NEW, "again": NEW + "x"},
        {"old": PASSWORD, "new": "short", "again": "short"},
        {"old": PASSWORD, "new": "basim@north.test", "again": "basim@north.test"},
        {"old": PASSWORD, "new": "Basim-123456", "again": "Basim-123456"},
        {"old": PASSWORD, "new": "password1234", "again": "password1234"},
        {"old": PASSWORD, "new": "aaaaaaaaaaaaaaa", "again": "aaaaaaaaaaaaaaa"},
        {"old": PASSWORD, "new": "x" * 2000, "again": "x" * 2000},
        {"old": PASSWORD, "new": "ten letters\0", "again": "ten letters\0"},
        {},
    ],
)
def test_a_password_that_is_not_changed(sqlite_store: Store, form: dict[str, str]) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = await logged_in(site, "basim")
            page = await browser.post("/account/password", None, **form)
            assert page.status == 400
            assert 'role="alert"' in page.text
            assert "quiet lemons" not in page.text
            assert (await site.browser().log_in("basim")).status == 303
            assert (await browser.get(PATH)).status == 200

    asyncio.run(scenario())


def test_sessions_are_listed_and_ended(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            mine = await logged_in(site, "basim")
            phone = await logged_in(site, "basim", IPHONE)
            tablet = await logged_in(site, "basim", "<b>odd</b>")
            page = await mine.get(PATH)
            shown = re.sub(r"<[^>]+>", "", page.text)
            assert "Firefox on Linux" in shown
            assert "Safari on iPhone" in shown
            assert "Unknown browser" in shown
            assert "odd" not in shown
            assert shown.count("This browser") == 1
            hashes = re.findall(r'name="session" value="([0-9a-f]{64})"', page.text)
            assert len(hashes) == 2
            # Nobody ends what belongs to another.
            amal = await logged_in(site, "amal")
            assert (await amal.post("/account/sessions", session=hashes[0])).status == 303
            assert (await phone.get(PATH)).status == 200
            assert (await tablet.get(PATH)).status == 200
            await mine.post("/account/sessions", session=hashes[0])
            ended = [(await one.get(PATH)).status for one in (phone, tablet)]
            assert sorted(ended) == [200, 303]
            await mine.post("/account/sessions", session="others")
            assert (await phone.get(PATH)).status == (await tablet.get(PATH)).status == 303
            assert (await mine.get(PATH)).status == 200
            assert (await amal.get(PATH)).status == 200
            events = store.read_now(lambda conn: show_audit(conn, about="basim"))
            assert [event.name for event in events] == ["account.sessions", "account.sessions"]

    asyncio.run(scenario())


def test_odd_forms(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = await logged_in(site, "basim")
            assert (await browser.post("/account/sessions")).status == 400
            odd = await browser.post("/account/sessions", session="x" * 5000)
            assert odd.status == 303
            assert (await browser.post("/account/sessions", csrf="x")).status == 403
            assert (await browser.post("/account/password", csrf="x")).status == 403
            assert (await browser.get(PATH)).status == 200

    asyncio.run(scenario())


def test_when_a_session_was_used_is_told(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            phone = await logged_in(site, "basim", IPHONE)
            site.clock.advance(3 * 86_400_000)
            browser = await logged_in(site, "basim")
            await phone.get(PATH)
            async with asyncio.timeout(60):
                texts = [""]
                while not all(":" in text for text in texts):  # both today, once that is written
                    page = await browser.get(PATH)
                    texts = re.findall(r"last used <time[^>]*>(?:<bdi>)?([^<]*)<", page.text)
            assert len(texts) == 2
            logged = re.findall(r"logged in <time[^>]*>(?:<bdi>)?([^<]*)<", page.text)
            assert [":" in text for text in logged] == [True, False]

    asyncio.run(scenario())
