"""Header fields, tokens, redirects: what every page promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from kit.site import PASSWORD, letter, visiting
from zajil.store.engine.open import Store
from zajil.web.body_limit import BodyLimit
from zajil.web.security import local_path


def test_every_answer_carries_the_policy(sqlite_store: Store) -> None:
    """No script but our files, nothing from elsewhere, in nobody's frame."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            for path in ("/login", "/nothing", "/static/base.css", "/mail"):
                headers = (await browser.get(path)).response.headers
                policy = headers["content-security-policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["referrer-policy"] == "same-origin"

    asyncio.run(scenario())


def test_pages_have_no_script_or_style_of_their_own(sqlite_store: Store) -> None:
    """The policy forbids them, so a page that had some would be broken."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            browser = site.browser()
            await browser.log_in("amal")
            inbox = site.inbox("amal")
            for path in ("/account", "/admin", "/compose", inbox, f"{inbox}/1"):
                text = (await browser.get(path)).text
                assert " style=" not in text
                assert "<style" not in text
                assert " onclick" not in text
                assert "<script>" not in text
                assert "http://" not in text
                assert "https://" not in text

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/login", "/logout", "/preferences", "/compose", "/admin/queue"])
def test_forms_need_their_token(sqlite_store: Store, path: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            if path != "/login":
                await browser.log_in("amal")
            token = browser.csrf
            for wrong in ("", "0" * 64, token[:-1], "é"):
                assert (await browser.post(path, csrf=wrong)).status == 403, wrong

    asyncio.run(scenario())


def test_a_token_of_one_session_is_worth_nothing_in_another(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, basim = site.browser(), site.browser()
            await amal.log_in("amal")
            await basim.log_in("basim")
            assert (await amal.post("/logout", csrf=basim.csrf)).status == 403

    asyncio.run(scenario())


def test_a_form_from_another_site_is_refused(sqlite_store: Store) -> None:
    """Even with the right token: the browser says where it comes from."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            await browser.log_in("amal")
            headers = {"sec-fetch-site": "cross-site"}
            assert (await browser.post("/logout", send_headers=headers)).status == 403
            assert (await browser.post("/logout")).status == 303

    asyncio.run(scenario())


def test_reading_changes_nothing_by_get(sqlite_store: Store) -> None:
    """What acts is a POST: a picture in a letter must not be able to delete."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            await browser.log_in("amal")
            assert (await browser.get("/logout")).status == 405
            assert (await browser.get("/preferences")).status == 405

    asyncio.run(scenario())


def test_a_body_that_is_too_large_is_refused(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            await browser.get("/login")
            page = await browser.post("/login", login="a" * 3_000_000, password=PASSWORD)
            assert page.status == 413

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "exceeds the size limit of the webmail"), ("ar", "تتجاوز الرسالة الحد الأقصى للحجم")],
)
def test_a_letter_too_large_for_the_form_is_answered_by_a_page(
    sqlite_store: Store, language: str, words: str
) -> None:
    """A form is held in memory whole, so it is small; what is just within is sent."""

    async def scenario() -> None:
        async with visiting(sqlite_store, form_size="64KiB") as site:
            browser = site.browser(**{"accept-language": language})
            await browser.log_in("basim")
            await browser.get("/compose")
            page = await browser.post("/compose", to="amal@north.test", body="ب" * 11_000)
            assert page.status == 413
            assert words in page.text
            assert f'lang="{language}"' in page.text
            page = await browser.post(
                "/compose", to="amal@north.test", subject="-", body="ب" * 10_000
            )
            assert page.status == 303

    asyncio.run(scenario())


@pytest.mark.parametrize("declared", [b"9" * 400, None])
def test_a_body_is_limited_as_it_comes(declared: bytes | None) -> None:
    """Chunked, or a lie: what counts is what is here; nothing of it reaches the page."""
    pieces = [{"type": "http.request", "body": b"x" * 60, "more_body": True}] * 9
    pieces.append({"type": "http.request", "body": b"", "more_body": False})
    seen: list[bytes] = []

    async def receive() -> Any:
        return pieces.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError(message)

    async def page(scope: Any, receive: Any, send: Any) -> None:
        while True:
            seen.append((await receive())["body"])

    headers = [(b"content-length", declared)] if declared else []
    scope = {"type": "http", "path": "/compose", "headers": headers}
    with pytest.raises(HTTPException) as refused:
        asyncio.run(BodyLimit(page, 100, 60)(scope, receive, send))
    assert refused.value.status_code == 413
    assert seen == ([] if declared else [b"x" * 60])
    assert pieces == []


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2fapp.py",
        "/static/%2e%2e/security.py",
        "/static/missing.css",
        "/mail/99999999999999999999",
        "/mail/-1",
        "/mail/1/0",
        "/mail/x/y",
        "/journey/..%2f..%2fetc",
        "/journey/" + "0" * 28,
        "/journey/" + "'" * 28,
    ],
)
def test_odd_addresses_lead_nowhere(sqlite_store: Store, path: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            browser = site.browser()
            await browser.log_in("amal")
            assert (await browser.get(path)).status == 404

    asyncio.run(scenario())


@given(st.text(max_size=40) | st.text("/\\:.@abc\t\r\n ", max_size=12))
def test_a_redirect_stays_here(text: str) -> None:
    path = local_path(text, "/otherwise")
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert path.isascii()
    assert not set(path) & set("\r\n\t\\")
