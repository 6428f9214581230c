"""Attacks L on every address of the web pages: the table of routes is read, so none is left out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.routing import Route

from kit.site import Browser, Site, letter, visiting
from zajil.store.engine.open import Store
from zajil.web.client_settings.pages import is_settings_path

PUBLIC = {"/", "/login", "/preferences", "/push-worker.js", "/static/{name}"}
"""What a browser without a log-in may ask for; the log-in itself has more below ``/login``."""

EVIL = [
    "https://evil.test/",
    "//evil.test/",
    "/\\evil.test/",
    "\\\\evil.test/",
    "/\t/evil.test/",
    "///evil.test",
    "javascript:alert(1)",
    "https:evil.test",
    "/%0d%0aLocation:https://evil.test",
]


_TOKEN_BY_GET = re.compile(
    r'<form\b(?![^>]*method="(?:post|dialog)")[^>]*>(?:(?!</form>).)*name="csrf"', re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Address:
    """One method of one route."""

    method: str
    path: str

    @property
    def is_admin(self) -> bool:
        """Whether it belongs to the administration."""
        return self.path.startswith("/admin")

    @property
    def is_public(self) -> bool:
        """Whether it may be asked for without a log-in."""
        return self.path in PUBLIC or self.path.startswith("/login/") or self.is_for_programs

    @property
    def is_for_programs(self) -> bool:
        """Whether mail programs ask here for settings: nothing is changed, and nobody known."""
        return is_settings_path(self.path)

    def filled(self, values: dict[str, str]) -> str:
        """Return it with these values in the place of its parameters; ``1`` for others."""
        return re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: values.get(match[1], "1"), self.path)


def addresses(site: Site, *methods: str) -> Iterator[Address]:
    """Return all of the application's addresses that have one of these methods."""
    for route in site.application.routes:
        assert isinstance(route, Route), f"{route} is not tested"
        for method in sorted(set(route.methods or ()) & set(methods)):
            yield Address(method, route.path)


def on_site(store: Store, scenario: Any) -> None:
    """Run a coroutine with a site that has mail of Amal, who is an admin, and of Basim."""

    async def run() -> None:
        async with visiting(store) as site:
            with_file = letter()
            with_file.add_attachment(b"x", maintype="image", subtype="png", filename="x.png")
            values = {
                "mailbox_id": str(site.entry("amal").inbox),
                "uid": "1",
                "number": "1",
                "mail_id": str(site.deliver("amal", with_file)),
            }
            site.deliver("basim", letter("Basim's"))
            await scenario(site, values)

    asyncio.run(run())


async def logged_in(site: Site, login: str) -> Browser:
    """Return a new browser that is logged in."""
    browser = site.browser()
    assert (await browser.log_in(login)).status == 303
    return browser


def test_every_form_needs_its_token(sqlite_store: Store) -> None:
    """No POST works without it, with a wrong one, or from another site."""

    async def scenario(site: Site, values: dict[str, str]) -> None:
        browser = await logged_in(site, "amal")
        wrong: list[tuple[str, str, int]] = []
        tested = 0
        for address in addresses(site, "POST", "PUT", "DELETE", "PATCH"):
            if address.is_for_programs:
                continue
            path = address.filled(values)
            for what, sent, headers in (
                ("none", "", {}),
                ("zeros", "0" * 64, {}),
                ("elsewhere", browser.csrf, {"sec-fetch-site": "cross-site"}),
            ):
                page = await browser.post(path, csrf=sent, send_headers=headers)
                tested += 1
                if page.status != 403:
                    wrong.append((path, what, page.status))
        assert wrong == []
        assert tested > 15

    on_site(sqlite_store, scenario)


def test_every_page_needs_a_log_in(sqlite_store: Store) -> None:
    async def scenario(site: Site, values: dict[str, str]) -> None:
        wrong: list[tuple[str, int]] = []
        for address in addresses(site, "GET", "POST"):
            if address.is_public:
                continue
            browser = site.browser()
            path = address.filled(values)
            page = await (browser.get(path) if address.method == "GET" else browser.post(path))
            to_log_in = page.status == 303 and page.location.startswith("/login")
            if not to_log_in and page.status not in (401, 403, 404):
                wrong.append((f"{address.method} {path}", page.status))
        assert wrong == []

    on_site(sqlite_store, scenario)


def test_the_administration_does_not_exist_for_others(sqlite_store: Store) -> None:
    async def scenario(site: Site, values: dict[str, str]) -> None:
        browser = await logged_in(site, "basim")
        wrong: list[tuple[str, int]] = []
        tested = 0
        for address in addresses(site, "GET", "POST"):
            if not address.is_admin:
                continue
            path = address.filled(values)
            page = await (browser.get(path) if address.method == "GET" else browser.post(path))
            tested += 1
            if page.status != 404:
                wrong.append((f"{address.method} {path}", page.status))
        assert wrong == []
        assert tested > 2

    on_site(sqlite_store, scenario)


def test_what_belongs_to_another_account_does_not_exist(sqlite_store: Store) -> None:
    """Every address with an id, asked for with the ids of somebody else."""

    async def scenario(site: Site, values: dict[str, str]) -> None:
        amal, basim = await logged_in(site, "amal"), await logged_in(site, "basim")
        wrong: list[tuple[str, int]] = []
        for address in addresses(site, "GET", "POST"):
            if "{" not in address.path or address.is_admin or address.is_public:
                continue
            if not set(re.findall(r"\{(\w+)", address.path)) & set(values):
                continue
            path = address.filled(values)
            if address.method == "GET":
                assert (await amal.get(path)).status != 500, path
                page = await basim.get(path)
            else:
                page = await basim.post(path, uid="1", action="delete")
            if page.status != 404:
                wrong.append((f"{address.method} {path}", page.status))
        box = values["mailbox_id"]
        for path in (f"/compose?reply={box}.1", f"/compose?reply={box}.1&all=1"):
            page = await basim.get(path)
            if page.status != 404 and "Words." in page.text:
                wrong.append((path, page.status))
        assert wrong == []

    on_site(sqlite_store, scenario)


@pytest.mark.parametrize("evil", EVIL)
def test_a_redirect_never_leaves_the_site(sqlite_store: Store, evil: str) -> None:
    """Whatever form it stands in, and in the address of the page."""

    async def scenario(site: Site, values: dict[str, str]) -> None:
        wrong: list[tuple[str, str]] = []
        browser = await logged_in(site, "basim")
        for address in addresses(site, "GET", "POST"):
            if address.is_admin:
                continue  # forms that change the server: their redirects are fixed
            path = address.filled(values)
            if path in ("/live",):
                continue  # never ends
            if (await browser.get("/account")).status != 200:  # the last form ended the session
                browser = await logged_in(site, "basim")
            fields = {"next": evil, "back": evil, "return": evil, "url": evil}
            if address.method == "GET":
                page = await browser.get(f"{path}?{urlencode(fields)}")
            else:
                page = await browser.post(path, send_headers={"referer": evil}, **fields)
            place = page.response.headers.get("location", "/")
            if not re.match(r"/(?![/\\])", place) or re.search(r"[\\\t\r\n]", place):
                wrong.append((f"{address.method} {path}", place))
        assert wrong == []

    on_site(sqlite_store, scenario)


def test_no_secret_stands_in_an_address(sqlite_store: Store) -> None:
    """Addresses are kept in histories and logs; tokens of log-ins and forms are not in them."""

    async def scenario(site: Site, values: dict[str, str]) -> None:
        browser = await logged_in(site, "amal")
        secrets = {value for value in browser.cookies.values() if len(value) > 12}
        secrets.add(browser.csrf)
        assert len(secrets) > 1
        wrong: list[tuple[str, str]] = []
        for address in addresses(site, "GET"):
            path = address.filled(values)
            if path == "/live":
                continue
            page = await browser.get(path)
            secrets.add(browser.csrf)
            if not page.response.headers.get("content-type", "").startswith("text/html"):
                continue
            found = re.findall(r'\b(?:href|src|action)="([^"]*)"', page.text)
            found.append(page.response.headers.get("location", ""))
            for one in map(unescape, found):
                wrong += [(path, one) for secret in (*secrets, "csrf") if secret in one]
            if _TOKEN_BY_GET.search(page.text):
                wrong.append((path, "a form sends its token by GET"))
        assert wrong == []

    on_site(sqlite_store, scenario)


def test_every_page_has_the_policy(sqlite_store: Store) -> None:
    """Nothing unsafe in a policy of ours; a message's own document runs no script."""

    async def scenario(site: Site, values: dict[str, str]) -> None:
        browser = await logged_in(site, "amal")
        wrong: list[tuple[str, str]] = []
        for address in addresses(site, "GET"):
            path = address.filled(values)
            if path == "/live":
                continue
            headers = (await browser.get(path)).response.headers
            policy = headers["content-security-policy"]
            unsafe = policy.replace("style-src 'unsafe-inline'", "") if "/html" in path else policy
            if policy == "sandbox":  # the file as it came: a document of nobody's origin
                continue
            if "default-src 'none'" not in policy or "unsafe" in unsafe or "*" in policy:
                wrong.append((path, policy))
            if "script-src 'self'" not in policy and "script-src" in policy:
                wrong.append((path, policy))
            if headers["x-content-type-options"] != "nosniff":
                wrong.append((path, "x-content-type-options"))
        assert wrong == []

    on_site(sqlite_store, scenario)


@pytest.mark.parametrize("secure", [True, False])
def test_cookies_are_kept_from_scripts_and_other_sites(sqlite_store: Store, secure: bool) -> None:
    """What holds a secret is HttpOnly, and Secure where the pages are served with TLS."""

    async def run() -> None:
        scheme = "https" if secure else "http"
        async with visiting(sqlite_store, url=f"{scheme}://mail.test") as site:
            browser = site.browser(f"{scheme}://mail.test")
            pages = [await browser.get("/login"), await browser.log_in("amal")]
            pages.append(await browser.get("/account"))
            found = [one for page in pages for one in page.response.headers.get_list("set-cookie")]
            kept = [one for one in found if not re.search(r"max-age=0", one, re.I)]
            assert len(kept) >= 2
            for one in kept:
                assert re.search("samesite=(lax|strict)", one, re.I), one
                assert ("; secure" in one.lower()) == secure, one
                if not re.match(r"\w+_(language|theme|zone)=", one):
                    assert "httponly" in one.lower(), one

    asyncio.run(run())
