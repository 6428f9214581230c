"""Log-in with an authenticator app or a recovery code after the password."""

from __future__ import annotations

import asyncio
import html
import re
from typing import Any

import pyotp
import pytest

from kit.operations import runner
from kit.site import PASSWORD, Browser, Page, Site, visiting
from zajil.config.options_users import LoginOptions
from zajil.operations.second_factors import reset_second_factors
from zajil.store.engine.open import Store

SECURITY = "/account/security"
REMOVE: dict[str, Any] = {"action": "remove", "password": PASSWORD}


async def logged_in(site: Site, login: str) -> Browser:
    browser = site.browser()
    assert (await browser.log_in(login)).status == 303
    return browser


def code_of(site: Site, secret: str, later: int = 0) -> str:
    return pyotp.TOTP(secret).generate_otp(site.clock.now_ms() // 30_000 + later)


async def set_up(site: Site, browser: Browser) -> tuple[str, list[str]]:
    """Add an authenticator app; return its secret and the recovery codes."""
    page = await browser.get("/account/totp")
    secret = page.field("secret")
    assert "<svg" in page.text
    done = await browser.post("/account/totp", secret=secret, code=code_of(site, secret))
    assert done.status == 200
    codes = re.findall(r"<code[^>]*>((?:[a-z2-9]{4}-){3}[a-z2-9]{4})</code>", done.text)
    assert len(codes) == 10
    return secret, codes


async def first_step(site: Site, login: str = "basim") -> Browser:
    browser = site.browser()
    await browser.get("/login")
    answer = await browser.post("/login", login=login, password=PASSWORD, next="/contacts?q=1")
    assert (answer.status, answer.location) == (303, "/login/code?next=%2Fcontacts%3Fq%3D1")
    assert "zajil" not in browser.cookies, "no session before the second step"
    assert (await browser.get(SECURITY)).status == 303
    await browser.get(answer.location)
    return browser


async def second_step(browser: Browser, code: str) -> Page:
    return await browser.post("/login/code", code=code, next="/contacts?q=1")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_page_of_it(sqlite_store: Store, language: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = await logged_in(site, "basim")
            await browser.post("/preferences", language=language, next="/")
            await set_up(site, browser)
            assert (await browser.get(SECURITY)).status == 200
            stranger = await first_step(site)
            stranger.cookies.set("zajil_language", language)
            page = await stranger.get("/login/code")
            assert f'<html lang="{language}"' in page.text
            assert 'autocomplete="one-time-code"' in page.text

    asyncio.run(scenario())


def test_a_code_is_asked_after_the_password(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            secret, _ = await set_up(site, await logged_in(site, "basim"))
            site.clock.advance(60_000)
            browser = await first_step(site)
            wrong = await second_step(browser, "000000")
            assert wrong.status == 403
            assert 'role="alert"' in wrong.text
            right = await second_step(browser, code_of(site, secret))
            assert (right.status, right.location) == (303, "/contacts?q=1")
            assert (await browser.get(SECURITY)).status == 200
            # What the browser carried between the steps is gone, and opens nothing again.
            assert "zajil_step" not in browser.cookies

    asyncio.run(scenario())


def test_a_code_is_good_once(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            secret, _ = await set_up(site, await logged_in(site, "basim"))
            # The code that set it up is used already.
            assert (await second_step(await first_step(site), code_of(site, secret))).status == 403
            site.clock.advance(60_000)
            code = code_of(site, secret)
            assert (await second_step(await first_step(site), code)).status == 303
            assert (await second_step(await first_step(site), code)).status == 403
            earlier = code_of(site, secret, -1)
            assert (await second_step(await first_step(site), earlier)).status == 403

    asyncio.run(scenario())


@pytest.mark.parametrize(("later", "status"), [(-2, 403), (-1, 303), (0, 303), (1, 303), (2, 403)])
def test_clocks_may_differ_by_one_step(sqlite_store: Store, later: int, status: int) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            secret, _ = await set_up(site, await logged_in(site, "basim"))
            site.clock.advance(600_000)
            code = code_of(site, secret, later)
            assert (await second_step(await first_step(site), code)).status == status

    asyncio.run(scenario())


def test_recovery_codes_are_good_once_and_renewed(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            owner = await logged_in(site, "basim")
            _, codes = await set_up(site, owner)
            typed = f" {codes[0].upper().replace('-', ' ')} "
            assert (await second_step(await first_step(site), typed)).status == 303
            assert (await second_step(await first_step(site), codes[0])).status == 403
            assert "9 codes are left." in (await owner.get(SECURITY)).text
            refused = await owner.post("/account/recovery-codes", password="wrong")
            assert refused.status == 403
            assert "The current password is not right." in refused.text
            assert "9 codes are left." in refused.text
            page = await owner.post("/account/recovery-codes", password=PASSWORD)
            fresh = re.findall(r"<code[^>]*>([a-z2-9-]{19})</code>", page.text)
            assert len(fresh) == 10
            assert (await second_step(await first_step(site), codes[1])).status == 403
            assert (await second_step(await first_step(site), fresh[1])).status == 303

    asyncio.run(scenario())


def test_codes_cannot_be_guessed_for_long(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            secret, codes = await set_up(site, await logged_in(site, "basim"))
            site.clock.advance(60_000)
            browser = await first_step(site)
            for number in range(10):
                assert (await second_step(browser, f"{number:06d}")).status == 403
            for right in (code_of(site, secret), codes[0]):
                page = await second_step(browser, right)
                assert page.status == 403
                assert "15 minutes" in page.text
            site.clock.advance(900_000)
            assert (await second_step(await first_step(site), code_of(site, secret))).status == 303

    asyncio.run(scenario())


def test_the_first_step_is_worth_nothing_elsewhere(sqlite_store: Store) -> None:
    """It belongs to one browser, one account, one password and ten minutes."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            secret, codes = await set_up(site, await logged_in(site, "basim"))
            site.clock.advance(60_000)
            browser = await first_step(site)
            step = browser.cookies["zajil_step"]
            thief = site.browser()
            await thief.get("/login")
            for text in (step, step.replace(".", ".9", 1), f"1{step}", "1.2", "..", "x" * 500):
                thief.cookies.set("zajil_step", text)
                page = await thief.post("/login/code", code=code_of(site, secret))
                assert page.location.startswith("/login?next=")
            late = await first_step(site)
            site.clock.advance(600_000)
            page = await late.post("/login/code", code=codes[0])
            assert page.location.startswith("/login?next=")
            assert (await site.browser().get("/login/code")).status == 303
            forged = await first_step(site)
            assert (await forged.post("/login/code", csrf="x", code=codes[0])).status == 403

    asyncio.run(scenario())


def test_a_wrong_code_sets_nothing_up(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = await logged_in(site, "basim")
            secret = (await browser.get("/account/totp")).field("secret")
            page = await browser.post("/account/totp", secret=secret, code="000000")
            assert page.status == 400
            assert page.field("secret") == secret, "the app has it already"
            for odd in ("", "A" * 31, "a" * 32, "A" * 33, "<b>"):
                page = await browser.post("/account/totp", secret=odd, code="000000")
                assert page.status == 400
            assert (await browser.post("/account/totp", **REMOVE)).status == 404
            assert (await browser.post("/account/recovery-codes", password=PASSWORD)).status == 409
            assert (await site.browser().log_in("basim")).location == "/mail"

    asyncio.run(scenario())


def test_removing_the_app_removes_the_step_and_the_codes(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            browser = await logged_in(site, "basim")
            secret, _ = await set_up(site, browser)
            again = await browser.post("/account/totp", secret=secret, code=code_of(site, secret))
            assert again.status == 409
            for typed in ("", "wrong"):
                page = await browser.post("/account/totp", action="remove", password=typed)
                assert page.status == 403
                assert "codes are left" in page.text
            assert (await browser.post("/account/totp", **REMOVE)).location == SECURITY
            page = await browser.get(SECURITY)
            assert "codes are left" not in page.text
            assert (await site.browser().log_in("basim")).location == "/mail"

    asyncio.run(scenario())


def test_an_operator_helps_who_lost_the_phone(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            await set_up(site, await logged_in(site, "basim"))
            await first_step(site)
            row = runner(sqlite_store).run(reset_second_factors, "basim")
            assert row.login == "basim"
            assert (await site.browser().log_in("basim")).location == "/mail"

    asyncio.run(scenario())


def test_admins_may_need_one(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store, admins_need_second_factor=True) as site:
            amal = await logged_in(site, "amal")
            assert (await amal.get("/admin")).location == SECURITY
            assert "need a second step" in html.unescape((await amal.get(SECURITY)).text)
            await set_up(site, amal)
            assert (await amal.get("/admin")).status == 200
            # To others the pages do not exist, whatever they have.
            assert (await (await logged_in(site, "basim")).get("/admin")).status == 404

    asyncio.run(scenario())


def test_all_accounts_may_need_one(sqlite_store: Store) -> None:
    async def scenario() -> None:
        login = LoginOptions(second_step_required=True)
        async with visiting(sqlite_store, login_options=login) as site:
            basim = await logged_in(site, "basim")
            for path in ("/mail", site.inbox("basim"), "/account/app-passwords", "/contacts"):
                assert (await basim.get(path)).location == SECURITY
            assert "needs a second step" in html.unescape((await basim.get(SECURITY)).text)
            assert (await basim.post("/account/app-passwords")).location == SECURITY
            await set_up(site, basim)
            assert (await basim.get(site.inbox("basim"))).status == 200
            assert (await basim.post("/logout")).location == "/login"

    asyncio.run(scenario())
