"""Single sign-on by Glewlwyd, an OpenID provider that we did not write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from kit.glewlwyd import CLIENT_ID, CLIENT_SECRET, Glewlwyd, glewlwyd
from kit.site import Browser, Site, visiting
from zajil.config.options_sign_on import SignOnOptions
from zajil.operations.accounts import find_account
from zajil.store.engine.open import Store
from zajil.store.people.identities import identities_of

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Glewlwyd]:
    folder = tmp_path_factory.mktemp("glewlwyd")
    with glewlwyd(folder, "http://mail.test/login/sso/back") as made:
        made.add_person("amal", "amal@north.test", is_verified=True)
        made.add_person("mallory", "basim@north.test", is_verified=False)
        yield made


async def come_back(browser: Browser, provider: Glewlwyd, login: str) -> str:
    """Log in at the provider; return the path that it sends the browser back to."""
    there = (await browser.get("/login/sso?next=/account")).location
    back = urlsplit(await asyncio.to_thread(provider.approve, login, there))
    assert f"{back.scheme}://{back.netloc}" == "http://mail.test"
    return f"{back.path}?{back.query}"


def test_people_sign_on(sqlite_store: Store, provider: Glewlwyd) -> None:
    """The code flow with PKCE, discovery and keys; a code counts once, an unverified address not.

    OpenID Connect Core 1.0 section 3.1, RFC 7636.
    """
    options = SignOnOptions(
        issuer=provider.issuer,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        domains=("north.test",),
    )

    async def run() -> None:
        async with visiting(sqlite_store, sign_on=options) as site:
            site.clock.advance(time.time_ns() // 1_000_000 - site.clock.now_ms())
            await scenario(site)

    async def scenario(site: Site) -> None:
        browser = site.browser()
        back = await come_back(browser, provider, "amal")
        assert (await browser.get(back)).location == "/account"
        assert "amal@north.test" in (await browser.get("/account")).text
        row = sqlite_store.read_now(lambda conn: find_account(conn, "amal"))
        (found,) = sqlite_store.read_now(lambda conn: identities_of(conn, row.account_id))
        assert found.source == provider.issuer
        assert (await browser.get("/login/sso/out")).location.startswith(provider.base)
        # The same answer in another browser, and again in this one.
        for other in (site.browser(), browser):
            await other.post("/logout")
            await other.get(back)
            assert (await other.get("/account")).status != 200
        stranger = site.browser()
        await stranger.get(await come_back(stranger, provider, "mallory"))
        assert (await stranger.get("/account")).status != 200

    asyncio.run(run())
