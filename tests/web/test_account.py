"""The pages of the account: name, language and time, reading and sending, signatures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kit.site import Browser, Site, visiting
from kit.store import NOW_MS
from zajil.core.address import parse_address
from zajil.core.moment import local_datetime
from zajil.store.engine.open import Store
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.store.people.settings import NewSettings, get_settings, set_settings
from zajil.web.language import choose_zone

TABS = ["/account", "/account/mail", "/account/signature", "/account/language"]


def kept(site: Site, login: str) -> dict[str, str]:
    """Return what an account chose, without what the site chose for it."""
    account_id = site.entry(login).account_id
    settings = site.store.read_now(lambda conn: get_settings(conn, account_id))
    return {name: value for name, value in settings.items() if (name, value) != UNDO_OFF}


UNDO_OFF = ("undo_seconds", "0")


async def logged_in(site: Site, login: str) -> Browser:
    browser = site.browser()
    assert (await browser.log_in(login)).status == 303
    return browser


@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_tab_is_a_page_that_says_what_was_saved(sqlite_store: Store, language: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = await logged_in(site, "basim")
            await browser.post("/preferences", language=language, next="/")
            for path in TABS:
                page = await browser.get(path)
                assert page.status == 200
                assert f'href="{path}" aria-current="page"' in page.text
                assert 'role="status"' not in page.text
                answer = await browser.post(path, language=language, display_name="B")
                assert (answer.status, answer.location) == (303, path)
                assert 'role="status"' in (await browser.get(path)).text
                assert 'role="status"' not in (await browser.get(path)).text

    asyncio.run(scenario())


def test_the_name_is_changed_by_its_owner(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = await logged_in(site, "basim")
            await browser.post("/account", display_name="  باسم <b>\n الحداد ")
            page = await browser.get("/account")
            assert "<bdi>باسم &lt;b&gt; الحداد</bdi>" in page.text
            for bad in ("x" * 101, "a\u202eb", "a\0b"):
                page = await browser.post("/account", display_name=bad)
                assert page.status == 400
                assert 'role="alert"' in page.text
            assert "الحداد" in (await browser.get("/account")).text

    asyncio.run(scenario())


def test_language_and_zone_follow_the_account_to_another_browser(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            first = await logged_in(site, "basim")
            await first.post("/account/language", language="ar", zone="Asia/Tokyo", digits="latn")
            other = await logged_in(site, "basim")
            page = await other.get("/account/language")
            assert '<html lang="ar" dir="rtl"' in page.text
            assert 'value="Asia/Tokyo" selected' in page.text
            tokyo = choose_zone("Asia/Tokyo")
            assert f"{local_datetime(NOW_MS, tokyo):%H:%M}</bdi>" in page.text
            # One click at the head of a page is a choice of the account, too.
            await other.post("/preferences", language="en", next="/")
            assert '<html lang="en"' in (await first.get("/account")).text
            # Nobody else is concerned.
            amal = await logged_in(site, "amal")
            assert '<html lang="en"' in (await amal.get("/account")).text
            await first.post("/account/language", language="", zone="")
            assert kept(site, "basim") == {"digits": "latn"}

    asyncio.run(scenario())


def test_choices_of_lists_are_kept_and_defaults_are_not(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = await logged_in(site, "basim")
            chosen: dict[str, Any] = {
                "density": "compact",
                "conversations": "no",
                "view": "plain",
                "write": "rich",
                "undo_seconds": "30",
            }
            await browser.post("/account/mail", **chosen)
            assert kept(site, "basim") == chosen
            page = await browser.get("/account/mail")
            assert page.text.count(" checked") == page.text.count('<fieldset class="choice"')
            assert '<option value="30" selected' in page.text
            await browser.post("/account/mail", density="comfortable", undo_seconds="10")
            assert kept(site, "basim") == {
                "conversations": "no",
                "view": "plain",
                "write": "rich",
            }

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/account/language", {"language": "xx"}),
        ("/account/language", {"zone": "Mars/Olympus"}),
        ("/account/language", {"zone": "../../etc/passwd"}),
        ("/account/language", {"digits": "roman"}),
        ("/account/mail", {"undo_seconds": "86400"}),
        ("/account/mail", {"density": "<script>"}),
        ("/account/signature", {"signature": "x" * 4001}),
        ("/account/signature", {"signature": "a\0b"}),
    ],
)
def test_what_no_form_of_ours_sends(sqlite_store: Store, path: str, form: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = await logged_in(site, "basim")
            assert (await browser.post(path, **form)).status == 400
            assert (await browser.post(path, csrf="x", **form)).status == 403
            assert kept(site, "basim") == {}

    asyncio.run(scenario())


def test_values_that_somebody_else_wrote_are_read_as_defaults(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            odd: dict[str, str | None] = dict.fromkeys(
                ["language", "zone", "digits", "density", "undo_seconds", "signatures"], "[1]\u202e"
            )
            await site.store.write(set_settings, NewSettings(site.entry("basim").account_id, odd))
            browser = await logged_in(site, "basim")
            for path in [*TABS, site.inbox("basim")]:
                assert (await browser.get(path)).status == 200

    asyncio.run(scenario())


def test_an_address_may_have_its_own_signature(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            info, basim = map(parse_address, ("info@north.test", "basim@north.test"))
            await site.store.write(create_alias, AliasRow(info, (basim,)))
            browser = await logged_in(site, "basim")
            text = "\n  Basim\r\nباسم </textarea>  \n\n"
            await browser.post("/account/signature", signature=text, signature_1="Office")
            page = await browser.get("/account/signature")
            assert "\n  Basim\nباسم &lt;/textarea&gt;</textarea>" in page.text
            assert "\nOffice</textarea>" in page.text
            assert kept(site, "basim")["signatures"] == '{"info@north.test": "Office"}'

    asyncio.run(scenario())


@pytest.mark.parametrize("way", ["saved here", "logged in here"])
def test_digits_hold_before_the_next_log_in(sqlite_store: Store, way: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            other = site.browser(**{"accept-language": "ar"})
            await other.log_in("amal")
            await other.post("/account/language", digits="arab", calendar="hijri")
            browser = other
            if way == "logged in here":
                browser = site.browser(**{"accept-language": "ar"})
                await browser.log_in("amal")
            assert (await browser.post("/logout")).location == "/login"
            page = await browser.get("/nothing")
            assert page.status == 404
            assert "٤٠٤" in page.text
            assert browser.cookies["zajil_calendar"] == "hijri"
            assert "٤٠٤" not in (await site.browser().get("/nothing")).text

    asyncio.run(scenario())
