"""Notifications of new mail: browsers are added and removed, and told by their push services."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.certificates import TestAuthority
from kit.push import PushBrowser, field, read_token
from kit.site import PASSWORD, Browser, Site, letter, visiting
from kit.web_server import WebServer, answer, web_server
from kit.webmail import member
from kit.zone import ZoneResolver
from zajil.net.peer import Networks
from zajil.read.guarded_fetch import GuardedFetcher
from zajil.read.push_sender import PushSender, PushTimes
from zajil.store.engine.open import Store
from zajil.store.people.push_subscriptions import (
    MOST_OF_ONE_ACCOUNT,
    PushSubscription,
    add_push,
    list_push_targets,
    prune_push,
)
from zajil.web.push_texts import push_texts

ZONE = {"push.test": {"A": ["127.0.0.1"]}, "inside.test": {"A": ["127.0.0.2"]}}
TAKEN = answer(b"", "text/plain", "201 Created")
QUICK = PushTimes(look_seconds=0.05, retry_seconds=(0.01, 0.01), most_failures=2)
PATH = "/account/notifications"


@asynccontextmanager
async def pushing(
    store: Store, folder: Path, times: PushTimes = QUICK
) -> AsyncIterator[tuple[Site, WebServer]]:
    """Serve the pages and a push service, and run what tells browsers."""
    authority = TestAuthority(folder)
    async with (
        web_server({"/b": TAKEN}, tls=authority.server_context("push.test")) as far,
        visiting(store) as site,
    ):
        outside = GuardedFetcher(
            ZoneResolver(ZONE).resolve, authority.client_context(), Networks(("127.0.0.1",))
        )
        contact = "mailto:postmaster@north.test"
        sender = PushSender(store, outside, site.clock, os.urandom, contact, push_texts, times)
        task = asyncio.create_task(sender.run())
        try:
            yield site, far
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def endpoint(far: WebServer, path: str = "/b", host: str = "push.test") -> str:
    """Return the URL of a browser at the push service."""
    return far.url(path, host).replace("http:", "https:")


async def add(browser: Browser, far: WebServer, path: str = "/b") -> PushBrowser:
    """Let a browser be notified."""
    keys = PushBrowser()
    assert (await browser.post(PATH, **keys.fields(endpoint(far, path)))).location == PATH
    return keys


async def asked(far: WebServer, number: int) -> list[bytes]:
    """Return the requests to the push service, once there are so many."""
    async with asyncio.timeout(60):
        while len(far.asked) < number:  # noqa: ASYNC110 (a server of the kit, without an event)
            await asyncio.sleep(0.01)
    return far.asked


async def settled(site: Site, *, browsers: int = 1) -> None:
    """Wait until every browser was told of all there is, and so many are left."""
    async with asyncio.timeout(60):
        while True:
            targets = await site.store.read(lambda conn: list_push_targets(conn, 0))
            if len(targets) == browsers and all(one.told_uid == one.uid_next for one in targets):
                return
            await asyncio.sleep(0.01)


def test_a_browser_is_told_of_a_new_message(store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pushing(store, tmp_path) as (site, far):
            site.deliver("amal", letter("An old one"))
            amal = await member(site, "amal")
            page = await amal.get(PATH)
            assert "Allow in this browser" in page.text
            key = re.search(r'data-push-key="([^"]+)"', page.text)
            assert key is not None
            keys = await add(amal, far)
            page = await amal.get(PATH)
            assert "This browser is now notified of new mail." in page.text
            assert "This browser</span>" in page.text
            assert "Allow in this browser" not in page.text
            site.deliver("basim", letter("For another one"))
            site.deliver("amal", letter("Flowers", sender="Noor <noor@south.test>"))
            (request,) = await asked(far, 1)
            assert keys.read(request) == {
                "title": "New message from \u2068Noor\u2069",
                "body": "Flowers",
                "tag": f"{site.entry('amal').inbox}/2",
                "path": f"{site.inbox('amal')}/2",
            }
            assert request.startswith(b"POST /b ")
            assert (field(request, "ttl"), field(request, "urgency")) == ("86400", "normal")
            claims = read_token(field(request, "authorization"), key[1])
            assert claims["aud"] == f"https://push.test:{far.port}"
            assert claims["sub"] == "mailto:postmaster@north.test"
            assert b"Flowers" not in request
            await settled(site)
            assert len(far.asked) == 1

    asyncio.run(scenario())


def test_what_a_notification_shows_is_chosen(sqlite_store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pushing(sqlite_store, tmp_path) as (site, far):
            amal = await member(site, "amal")
            await amal.post("/preferences", language="ar", next="/")
            keys = await add(amal, far)
            site.deliver("amal", letter("Flowers", sender="نور <noor@south.test>"))
            (request,) = await asked(far, 1)
            assert keys.read(request)["title"] == "رسالة جديدة من \u2068نور\u2069"
            assert (await amal.post(PATH, choice="plain")).location == PATH
            site.deliver("amal", letter("Flowers"))
            told = keys.read((await asked(far, 2))[1])
            assert (told["title"], told["body"]) == ("رسالة جديدة", "")
            assert (await amal.post(PATH, choice="off")).location == PATH
            site.deliver("amal", letter("Flowers"))
            await settled(site)
            assert len(far.asked) == 2
            assert (await amal.post(PATH, choice="loud")).status == 400

    asyncio.run(scenario())


def test_many_messages_are_told_of_as_a_number(sqlite_store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pushing(sqlite_store, tmp_path) as (site, far):
            amal = await member(site, "amal")
            far.answers["/b"] = b""  # the first is not answered while others come
            keys = await add(amal, far)
            site.deliver("amal", letter("first"))
            await asked(far, 1)
            for number in range(5):
                site.deliver("amal", letter(str(number)))
            far.answers["/b"] = TAKEN
            await far.close()
            requests = await asked(far, 3)
            assert keys.read(requests[1])["body"] == "first"
            assert keys.read(requests[2])["title"] == "5 new messages"
            assert keys.read(requests[2])["path"] == site.inbox("amal")
            await settled(site)
            assert len(far.asked) == 3

    asyncio.run(scenario())


def test_after_a_burst_only_a_number_is_told(sqlite_store: Store, tmp_path: Path) -> None:
    times = PushTimes(look_seconds=0.05, burst=2, burst_seconds=0.1)

    async def scenario() -> None:
        async with pushing(sqlite_store, tmp_path, times) as (site, far):
            amal = await member(site, "amal")
            keys = await add(amal, far)
            for number in range(3):  # the clock of the site stands still
                site.deliver("amal", letter(str(number)))
                await settled(site)
            assert [keys.read(one)["body"] for one in far.asked] == ["0", "1", ""]

    asyncio.run(scenario())


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
def test_a_browser_that_is_gone_is_forgotten(
    sqlite_store: Store, tmp_path: Path, status: str
) -> None:
    async def scenario() -> None:
        async with pushing(sqlite_store, tmp_path) as (site, far):
            amal = await member(site, "amal")
            await add(amal, far)
            far.answers["/b"] = answer(b"", "text/plain", status)
            site.deliver("amal", letter())
            await settled(site, browsers=0)
            assert len(far.asked) == 1

    asyncio.run(scenario())


def test_tries_are_bounded(sqlite_store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pushing(sqlite_store, tmp_path) as (site, far):
            amal = await member(site, "amal")
            await add(amal, far)
            far.answers["/b"] = answer(b"", "text/plain", "503 Later")
            site.deliver("amal", letter())
            await settled(site)
            assert len(far.asked) == 3
            far.answers["/b"] = answer(b"", "text/plain", "400 No")
            site.deliver("amal", letter())
            await settled(site, browsers=0)  # it failed twice in a row
            assert len(far.asked) == 4

    asyncio.run(scenario())


def test_private_addresses_are_not_asked(sqlite_store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pushing(sqlite_store, tmp_path) as (site, far):
            amal, keys = await member(site, "amal"), PushBrowser()
            inside = endpoint(far, "/b", "inside.test")
            assert (await amal.post(PATH, **keys.fields(inside))).status == 303
            site.deliver("amal", letter())
            await settled(site)
            assert far.asked == []

    asyncio.run(scenario())


def test_log_out_ends_notifications(sqlite_store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pushing(sqlite_store, tmp_path) as (site, far):
            amal, other = await member(site, "amal"), await member(site, "amal")
            await add(amal, far)
            far.answers["/other"] = TAKEN
            await add(other, far, "/other")
            await other.post("/logout")
            await settled(site, browsers=1)
            site.deliver("amal", letter())
            await settled(site)
            (request,) = far.asked
            assert request.startswith(b"POST /b ")
            assert site.store.write_now(prune_push, 0) in (0, 1)  # the runner may have been first
            assert site.store.write_now(prune_push, 0) == 0

    asyncio.run(scenario())


def test_removal_and_a_browser_that_changes_hands(sqlite_store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pushing(sqlite_store, tmp_path) as (site, far):
            amal, basim = await member(site, "amal"), await member(site, "basim")
            await add(amal, far)
            await amal.get(PATH)
            browser_id = (await amal.get(PATH)).field("browser")
            # Of another account it is nobody's.
            page = await basim.post(PATH, action="remove", browser=browser_id)
            assert page.status == 404
            await add(basim, far)  # the same endpoint: another person uses this browser now
            assert 'name="browser"' not in (await amal.get(PATH)).text
            page = await basim.post(PATH, action="remove", browser=browser_id)
            assert page.location == PATH
            assert "no longer notified" in (await basim.get(PATH)).text
            await settled(site, browsers=0)
            page = await basim.post(PATH, action="remove", browser=browser_id)
            assert page.status == 404

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("endpoint", "http://push.test/b"),
        ("endpoint", "https:///b"),
        ("endpoint", "https://[/b"),
        ("endpoint", "file:///etc/passwd"),
        ("endpoint", "https://push.test/\r\nX: y"),
        ("endpoint", "https://push.test/" + "b" * 2000),
        ("endpoint", ""),
        ("p256dh", ""),
        ("p256dh", "B" * 87),
        ("auth", "abc"),
        ("auth", "%%%"),
    ],
)
def test_what_is_no_subscription(sqlite_store: Store, name: str, value: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            fields: dict[str, Any] = {**PushBrowser().fields("https://push.test/b"), name: value}
            page = await amal.post(PATH, **fields)
            assert page.status == 400
            assert "is not valid" in page.text
            assert 'name="browser"' not in page.text

    asyncio.run(scenario())


def test_browsers_are_bounded_and_go_with_their_log_ins(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal, account_id = await member(site, "amal"), site.entry("amal").account_id
            page = await amal.post(PATH, **PushBrowser().fields("https://push.test/0"))
            assert page.status == 303
            for number in range(1, MOST_OF_ONE_ACCOUNT):
                one = PushSubscription(
                    account_id=account_id,
                    token_hash=f"of another log-in {number}",
                    endpoint=f"https://push.test/{number}",
                    public_key=PushBrowser().point,
                    auth=b"a" * 16,
                    language="en",
                )
                assert store.write_now(add_push, one)
                assert not store.write_now(add_push, one)
            other = await member(site, "amal")
            page = await other.post(PATH, **PushBrowser().fields("https://push.test/more"))
            assert page.status == 400
            assert "Remove one first." in page.text
            # One browser instead of itself is not one more.
            page = await amal.post(PATH, **PushBrowser().fields("https://push.test/again"))
            assert page.status == 303
            targets = store.read_now(lambda conn: list_push_targets(conn, 0))
            assert [one.subscription.endpoint for one in targets] == ["https://push.test/again"]
            new = "nine doves in a tower"
            await amal.post("/account/password", old=PASSWORD, new=new, again=new)
            assert store.read_now(lambda conn: list_push_targets(conn, 0)) == []
            assert store.write_now(prune_push, 0) == MOST_OF_ONE_ACCOUNT

    asyncio.run(scenario())


def test_the_service_worker_is_served_at_the_root(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            got = (await site.browser().get("/push-worker.js")).response
            assert got.status_code == 200
            assert got.headers["content-type"].startswith("text/javascript")
            assert got.headers["cache-control"] == "no-cache"
            assert "script-src 'self'" in got.headers["content-security-policy"]
            assert "showNotification" in got.text

    asyncio.run(scenario())
