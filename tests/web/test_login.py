"""Logging in and out, and who may come in."""

from __future__ import annotations

import asyncio

import pytest

from kit.site import PASSWORD, Site, visiting
from zajil.core.ids import AccountId
from zajil.store.engine.open import Store
from zajil.store.people.accounts import NewActive, set_active


def test_log_in_and_out_on_both_databases(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            browser = site.browser()
            assert (await browser.get("/mail")).location == "/login?next=%2Fmail"
            assert (await browser.log_in("amal")).location == "/mail"
            page = await browser.get(site.inbox("amal"))
            assert page.status == 200
            token = browser.cookies["zajil"]
            assert (await browser.post("/logout")).location == "/login"
            assert "zajil" not in browser.cookies
            # The token itself is worth nothing any more, wherever it was kept.
            browser.cookies.set("zajil", token)
            assert (await browser.get("/mail")).status == 303

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("login", "password", "status"),
    [
        ("amal", PASSWORD, 303),
        ("amal@north.test", PASSWORD, 303),
        ("سلمى@زاجل.test", PASSWORD, 303),
        ("amal", "wrong", 403),
        ("nobody", PASSWORD, 403),
        ("", "", 403),
        ("x" * 10_000, "y" * 10_000, 403),
    ],
)
def test_who_gets_in(sqlite_store: Store, login: str, password: str, status: int) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            page = await site.browser().log_in(login, password)
            assert page.status == status
            assert ("Invalid username or password." in page.text) is (status == 403)

    asyncio.run(scenario())


def test_the_session_token_is_new_at_each_log_in(sqlite_store: Store) -> None:
    """A token that somebody planted before must not become a session."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            browser.cookies.set("zajil", "a" * 64, domain="mail.test")
            await browser.log_in("amal")
            first = browser.cookies["zajil"]
            assert first != "a" * 64
            other = site.browser()
            await other.log_in("amal")
            assert other.cookies["zajil"] != first

    asyncio.run(scenario())


def test_cookies_are_kept_from_scripts_and_other_sites(sqlite_store: Store) -> None:
    async def scenario(url: str) -> None:
        async with visiting(sqlite_store, url=url, cookie_name="zajil_north") as site:
            page = await site.browser(url).log_in("amal")
            (cookie,) = [
                value
                for value in page.response.headers.get_list("set-cookie")
                if value.startswith("zajil_north=")
            ]
            assert "HttpOnly" in cookie
            assert "SameSite=lax" in cookie
            assert "Secure" in cookie

    asyncio.run(scenario("https://mail.north.test"))


async def _log_in_as(site: Site, login: str) -> int:
    browser = site.browser()
    await browser.log_in(login)
    return (await browser.get("/account")).status


def test_a_session_ends_in_time(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            await browser.log_in("amal")
            site.clock.advance(15 * 86_400_000)
            assert (await browser.get("/account")).status == 303

    asyncio.run(scenario())


def test_a_suspended_account_is_out_at_once(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            await browser.log_in("basim")
            account_id: AccountId = site.entry("basim").account_id
            await sqlite_store.write(set_active, NewActive(account_id, False))
            assert (await browser.get("/account")).status == 303
            assert await _log_in_as(site, "basim") == 303

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test",
        "\\\\evil.test",
        "javascript:alert(1)",
        "/mail\r\nSet-Cookie: a=b",
        "",
    ],
)
def test_a_log_in_leads_nowhere_else(sqlite_store: Store, target: str) -> None:
    """No open redirect, whatever stands in ``next``."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            await browser.get("/login")
            page = await browser.post("/login", login="amal", password=PASSWORD, next=target)
            assert page.location == "/mail"
            assert "a=b" not in str(page.response.headers)

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/admin", "/admin/journeys", "/admin/queue"])
def test_the_administration_does_not_exist_for_others(sqlite_store: Store, path: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for login, status in (("amal", 200), ("basim", 404)):
                browser = site.browser()
                await browser.log_in(login)
                assert (await browser.get(path)).status == status

    asyncio.run(scenario())
