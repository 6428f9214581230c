"""Single sign-on with a real provider (Authlib's server side), and with one that lies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwk

from kit.openid import CLIENT_ID, CLIENT_SECRET, Provider, as_hmac, as_none, openid_provider
from kit.operations import runner
from kit.site import PASSWORD, Browser, Page, Site, visiting
from kit.store import NOW_MS
from zajil.config.options_sign_on import SignOnOptions
from zajil.core.password import NO_PASSWORD
from zajil.operations.accounts import find_account, suspend_account
from zajil.operations.second_factors import NewPasskey, register_passkey
from zajil.store.engine.open import Store
from zajil.store.people.accounts import find_by_login
from zajil.store.people.audit import AuditQuery, find_audit
from zajil.store.people.identities import identities_of
from zajil.tracking.audit_sentences import describe_change

AMAL: dict[str, Any] = {"sub": "u1", "email": "amal@north.test", "email_verified": True}
Scenario = Callable[[Site, Provider], Awaitable[None]]


@pytest.fixture(scope="module")
def running_provider() -> Iterator[Provider]:
    with openid_provider("http://mail.test/login/sso/back", NOW_MS) as provider:
        yield provider


@pytest.fixture
def provider(running_provider: Provider) -> Provider:
    """A provider that tells the truth, and vouches for Amal."""
    running_provider.user = dict(AMAL)
    running_provider.metadata, running_provider.forge = {}, None
    running_provider.asked.clear()
    return running_provider


def play(store: Store, provider: Provider, scenario: Scenario, **options: Any) -> None:
    values: dict[str, Any] = {
        "issuer": provider.issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "domains": ("north.test",),
        "name": "South SSO",
    }
    chosen = SignOnOptions(**{**values, **options})

    async def run() -> None:
        async with visiting(store, sign_on=chosen) as site:
            await scenario(site, provider)

    asyncio.run(run())


async def ask(browser: Browser, onward: str = "/mail") -> str:
    """Go to the provider; return the path that it sends the browser back to."""
    there = (await browser.get(f"/login/sso?next={onward}")).location
    async with httpx.AsyncClient() as client:
        answer = await client.get(there)
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}" == "http://mail.test"
    return f"{back.path}?{back.query}"


async def sign_on(browser: Browser, onward: str = "/mail") -> Page:
    return await browser.get(await ask(browser, onward))


async def is_inside(browser: Browser) -> bool:
    return (await browser.get("/account")).status == 200


def test_the_first_log_in_links_by_address_and_later_ones_by_subject(
    sqlite_store: Store, provider: Provider
) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        browser = site.browser()
        assert "Sign in with" in (await browser.get("/login")).text
        assert (await sign_on(browser, "/account")).location == "/account"
        assert await is_inside(browser)
        provider.user = {**AMAL, "email": "basim@north.test"}
        again = site.browser()
        await sign_on(again)
        assert "amal@north.test" in (await again.get("/account")).text
        row = sqlite_store.read_now(lambda conn: find_account(conn, "amal"))
        found = sqlite_store.read_now(lambda conn: identities_of(conn, row.account_id))
        assert [(one.source, one.subject) for one in found] == [(provider.issuer, "u1")]
        (change,) = sqlite_store.read_now(lambda conn: find_audit(conn, AuditQuery(limit=9)))
        assert "was linked with" in describe_change(change).plain()
        out = await browser.post("/logout")
        assert out.location == "/login?out=1"
        assert "/login/sso/out" in (await browser.get(out.location)).text
        away = (await browser.get("/login/sso/out")).location
        assert parse_qs(urlsplit(away).query)["client_id"] == [CLIENT_ID]

    play(sqlite_store, provider, scenario)


@pytest.mark.parametrize(
    "user",
    [
        {**AMAL, "email_verified": False},
        {**AMAL, "email_verified": "true"},
        {"sub": "u1", "email": "amal@north.test"},
        {"sub": "u1"},
        {**AMAL, "email": "salma@xn--mgbkq8e.test"},
        {**AMAL, "email": "nobody@north.test"},
        {**AMAL, "email": "*@north.test"},
        {**AMAL, "email": ["amal@north.test"]},
        {**AMAL, "email": "postmaster@north.test"},
    ],
)
def test_nobody_else_gets_in(sqlite_store: Store, provider: Provider, user: dict[str, Any]) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        provider.user = user
        browser = site.browser()
        page = await sign_on(browser)
        assert page.status == 403
        assert "There is no account here for you" in page.text
        assert not await is_inside(browser)

    play(sqlite_store, provider, scenario)


def test_a_linked_or_suspended_account_is_not_taken_over(
    sqlite_store: Store, provider: Provider
) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        await sign_on(site.browser())
        provider.user = {**AMAL, "sub": "u2"}
        assert (await sign_on(site.browser())).status == 403
        provider.user = AMAL
        runner(sqlite_store).run(suspend_account, "amal")
        assert (await sign_on(site.browser())).status == 403

    play(sqlite_store, provider, scenario)


def test_accounts_are_created_if_that_is_wanted(sqlite_store: Store, provider: Provider) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        provider.user = {"sub": "u7", "email": "hoda@north.test", "email_verified": True}
        provider.user["name"] = "هدى"
        browser = site.browser()
        assert (await sign_on(browser)).status == 303
        assert await is_inside(browser)
        row = sqlite_store.read_now(lambda conn: find_account(conn, "hoda"))
        assert (row.password_hash, row.display_name, row.admin) == (NO_PASSWORD, "هدى", False)
        assert (await site.browser().log_in("hoda", NO_PASSWORD)).status == 403
        page = (await browser.get("/account/security")).text
        assert "You sign in with" in page
        assert 'action="/account/password"' not in page

    play(sqlite_store, provider, scenario, create_accounts=True)


def test_the_second_step_of_the_account_is_asked(sqlite_store: Store, provider: Provider) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        runner(sqlite_store).run(register_passkey, "amal", NewPasskey("aWQ", b"key", 0, "phone"))
        browser = site.browser()
        page = await sign_on(browser)
        assert page.status == 200
        assert 'action="/login/code"' in page.text
        assert not await is_inside(browser)
        assert (await browser.post("/login/code", code="000000")).status == 403

    play(sqlite_store, provider, scenario)


OTHER = jwk.RSAKey.generate_key(2048, {"kid": "k1"})


def _lies(provider: Provider) -> dict[str, Callable[[dict[str, Any]], str]]:
    sign = provider.sign
    public = provider.key.as_pem(private=False)
    return {
        "another nonce": lambda claims: sign({**claims, "nonce": "x"}),
        "no nonce": lambda claims: sign({k: v for k, v in claims.items() if k != "nonce"}),
        "another audience": lambda claims: sign({**claims, "aud": "other"}),
        "several audiences": lambda claims: sign({**claims, "aud": [CLIENT_ID, "other"]}),
        "another party": lambda claims: sign({**claims, "azp": "other", "aud": [CLIENT_ID, "o"]}),
        "another issuer": lambda claims: sign({**claims, "iss": "https://evil.test"}),
        "expired": lambda claims: sign({**claims, "exp": NOW_MS // 1000 - 3600}),
        "of the future": lambda claims: sign({**claims, "iat": NOW_MS // 1000 + 3600}),
        "without an end": lambda claims: sign({k: v for k, v in claims.items() if k != "exp"}),
        "no subject": lambda claims: sign({**claims, "sub": ""}),
        "odd subject": lambda claims: sign({**claims, "sub": ["u1"]}),
        "no signature": as_none,
        "our secret": lambda claims: as_hmac(claims, CLIENT_SECRET.encode(), provider.key.kid),
        "public key as secret": lambda claims: as_hmac(claims, public, provider.key.kid),
        "another key": lambda claims: sign(claims, OTHER, kid=provider.key.kid),
        "its own key": lambda claims: sign(claims, OTHER, jwk=OTHER.as_dict(private=False)),
        "unknown key": lambda claims: sign(claims, OTHER, kid="zzz"),
        "no token": lambda claims: "x",
    }


@pytest.mark.parametrize("lie", list(_lies(Provider("", "", 0))))
def test_a_forged_token_opens_nothing(sqlite_store: Store, provider: Provider, lie: str) -> None:
    """OpenID Connect Core 1.0 section 3.1.3.7; RFC 8725 section 3.1."""
    provider.forge = _lies(provider)[lie]

    async def scenario(site: Site, provider: Provider) -> None:
        browser = site.browser()
        page = await sign_on(browser)
        assert page.status == 403
        assert "The log-in was not completed" in page.text
        assert not await is_inside(browser)
        row = sqlite_store.read_now(lambda conn: find_account(conn, "amal"))
        assert not sqlite_store.read_now(lambda conn: identities_of(conn, row.account_id))

    play(sqlite_store, provider, scenario)


def test_an_answer_is_good_once_and_in_one_browser(sqlite_store: Store, provider: Provider) -> None:
    """RFC 9700 section 4.7: state fixation, injected and replayed codes."""

    async def scenario(site: Site, provider: Provider) -> None:
        mine, other = site.browser(), site.browser()
        back = await ask(mine)
        provider.asked.clear()
        assert (await other.get(back)).status == 403  # a browser that began nothing
        await ask(other)
        assert (await other.get(back)).status == 403  # one that began another log-in
        assert (await mine.get(back + "x&state=y")).status == 403
        assert "/token" not in provider.asked
        back = await ask(mine)
        assert (await mine.get(back)).status == 303
        again = site.browser()
        assert (await again.get(back)).status == 403
        # The same browser, with the cookie put back: the provider refuses the code.
        kept = await ask(again)
        cookie = again.cookies["zajil_sso"]
        assert (await again.get(kept)).status == 303
        thief = site.browser()
        thief.cookies.set("zajil_sso", cookie)
        assert (await thief.get(kept)).status == 403
        assert not await is_inside(thief)
        # An old one.
        late = site.browser()
        kept = await ask(late)
        site.clock.advance(600_000)
        assert (await late.get(kept)).status == 403

    play(sqlite_store, provider, scenario)


def test_an_answer_of_another_provider_is_refused(sqlite_store: Store, provider: Provider) -> None:
    """RFC 9207: mix-up."""

    async def scenario(site: Site, provider: Provider) -> None:
        browser = site.browser()
        assert (await browser.get(await ask(browser) + "&iss=https://evil.test")).status == 403
        provider.metadata = {"authorization_response_iss_parameter_supported": True}
        fresh = site.browser()
        site.clock.advance(3_600_000)
        assert (await fresh.get(await ask(fresh))).status == 403
        back = await ask(fresh) + f"&iss={provider.issuer}"
        provider.forge = lambda claims: provider.sign(
            {**claims, "exp": site.clock.now_ms() // 1000 + 60}
        )
        assert (await fresh.get(back)).status == 303

    play(sqlite_store, provider, scenario)


@pytest.mark.parametrize("onward", ["//evil.test", "https://evil.test", "/\\evil.test", "x"])
def test_no_redirect_leads_elsewhere(sqlite_store: Store, provider: Provider, onward: str) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        assert (await sign_on(site.browser(), onward)).location == "/mail"

    play(sqlite_store, provider, scenario)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.test"},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "http://192.0.2.1/x"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "file:///etc/passwd"},
        {"authorization_endpoint": ["x"]},
    ],
)
def test_a_configuration_that_cannot_be_right_is_refused(
    sqlite_store: Store, provider: Provider, metadata: dict[str, Any]
) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        provider.metadata = metadata
        page = await site.browser().get("/login/sso")
        assert page.status == 403
        assert "cannot be reached" in page.text

    play(sqlite_store, provider, scenario)


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri"])
def test_requests_go_nowhere_unencrypted(
    sqlite_store: Store, provider: Provider, name: str
) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        provider.metadata = {name: "http://169.254.169.254/latest"}
        assert "cannot be reached" in (await sign_on(site.browser())).text

    play(sqlite_store, provider, scenario)


def test_a_new_key_of_the_provider_is_learned(sqlite_store: Store, provider: Provider) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        assert (await sign_on(site.browser())).status == 303
        provider.rotate(f"k{len(provider.asked)}")
        assert (await sign_on(site.browser())).status == 403  # asked a moment ago
        site.clock.advance(60_000)
        assert (await sign_on(site.browser())).status == 303

    play(sqlite_store, provider, scenario)


def test_a_provider_may_want_the_secret_in_the_form(
    sqlite_store: Store, provider: Provider
) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        provider.metadata["end_session_endpoint"] = None
        browser = site.browser()
        assert (await sign_on(browser)).status == 303
        assert (await browser.get("/login/sso/out")).status == 404

    play(sqlite_store, provider, scenario)


def test_a_refusal_of_the_provider_is_shown(sqlite_store: Store, provider: Provider) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        provider.user = {}
        page = await sign_on(site.browser())
        assert "The log-in was not completed" in page.text

    play(sqlite_store, provider, scenario)


def test_passwords_can_be_left_to_administrators(sqlite_store: Store, provider: Provider) -> None:
    async def scenario(site: Site, provider: Provider) -> None:
        browser = site.browser()
        assert 'name="password"' not in (await browser.get("/login")).text
        assert 'name="password"' in (await browser.get("/login?password=1")).text
        page = await browser.post("/login", login="basim", password=PASSWORD)
        assert page.status == 403
        assert "Sign in with" in page.text
        assert not await is_inside(browser)
        assert (await browser.post("/login", login="amal", password=PASSWORD)).status == 303

    play(sqlite_store, provider, scenario, password_login=False)


def test_without_a_provider_there_are_no_such_pages(sqlite_store: Store) -> None:
    async def run() -> None:
        async with visiting(sqlite_store) as site:
            for path in ("/login/sso", "/login/sso/back", "/login/sso/out"):
                assert (await site.browser().get(path)).status == 404
            assert "/login/sso" not in (await site.browser().get("/login")).text
            assert sqlite_store.read_now(lambda conn: find_by_login(conn, "amal")) is not None

    asyncio.run(run())


def test_an_address_is_verified_by_whoever_names_it(
    sqlite_store: Store, provider: Provider
) -> None:
    """The token says "verified" of no address, and the other answer names one that is not."""

    def forge(claims: dict[str, Any]) -> str:
        kept = {name: value for name, value in claims.items() if name != "email"}
        return provider.sign({**kept, "email_verified": True})

    async def scenario(site: Site, provider: Provider) -> None:
        provider.user, provider.forge = {"sub": "u1", "email": "amal@north.test"}, forge
        assert (await sign_on(site.browser())).status == 403
        provider.user = dict(AMAL)
        assert (await sign_on(site.browser())).status == 303

    play(sqlite_store, provider, scenario)
