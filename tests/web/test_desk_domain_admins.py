"""An administrator of a domain sees it on the pages, and nothing else of the server."""

from __future__ import annotations

import asyncio
from typing import Any

from kit.operations import runner
from kit.site import Browser, Site, visiting
from zajil.operations.accounts import find_account
from zajil.operations.domain_admins import appoint, dismiss
from zajil.store.engine.open import Store

OPEN = {"/admin/accounts", "/admin/accounts/{login}", "/admin/aliases"}
OPEN |= {"/admin/domains", "/admin/domains/{domain}", "/admin/queue"}


REFUSED: list[tuple[int, str, dict[str, Any]]] = [
    (400, "/admin/accounts", {"action": "add", "address": "x@زاجل.test"}),
    (400, "/admin/accounts", {"action": "add", "address": "x@north.test", "admin": "1"}),
    (409, "/admin/accounts/amal", {"action": "password"}),
    (404, "/admin/accounts/salma", {"action": "suspend"}),
    (404, "/admin/accounts/salma", {"action": "password"}),
    (409, "/admin/aliases", {"action": "add", "address": "x@زاجل.test", "targets": "a@b.test"}),
    (409, "/admin/domains/north.test", {"action": "keys"}),
    (409, "/admin/domains/north.test", {"action": "remove", "value": "north.test"}),
    (404, "/admin/domains", {"domain": "new.test"}),
    (409, "/admin/queue", {"action": "delete", "mail_id": "0" * 28}),
]


async def admin_of(site: Site) -> Browser:
    runner(site.store).run(appoint, "north.test", "basim")
    browser = site.browser()
    await browser.log_in("basim")
    return browser


def test_only_the_own_domain_is_shown(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            admin = await admin_of(site)
            assert 'href="/admin/accounts"' in (await admin.get(site.inbox("basim"))).text
            page = (await admin.get("/admin/accounts")).text
            assert 'href="/admin/accounts/basim"' in page
            assert "/admin/accounts/salma" not in page
            assert 'name="admin"' not in page
            assert 'href="/admin/journeys"' not in page
            queue = await admin.get("/admin/queue")
            assert (queue.status, "Waiting:" in queue.text) == (200, False)
            domains = (await admin.get("/admin/domains")).text
            assert "/admin/domains/north.test" in domains
            assert domains.count('href="/admin/domains/') == 2  # the name, and its check
            assert (await admin.get("/admin/domains/north.test")).status == 200
            other = (await admin.get("/admin/domains/xn--mgbkq8e.test")).status
            assert other == 404
            assert (await admin.get("/admin/accounts/salma")).status == 404
            for route in site.application.routes:
                path = getattr(route, "path", "")
                if path.startswith("/admin") and path not in OPEN and "GET" in route.methods:
                    assert (await admin.get(path.replace("{number}", "1"))).status == 404

    asyncio.run(scenario())


def test_what_is_done_and_what_is_refused(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            admin = await admin_of(site)
            await admin.get("/admin/accounts")
            made = await admin.post("/admin/accounts", action="add", address="hoda@north.test")
            assert made.status == 200
            named = await admin.post(
                "/admin/accounts/hoda", action="profile", display_name="Hoda", admin="1"
            )
            assert named.status == 303
            row = sqlite_store.read_now(lambda conn: find_account(conn, "hoda"))
            assert (row.display_name, row.admin) == ("Hoda", False)
            for status, path, form in REFUSED:
                page = await admin.post(path, **form)
                assert page.status == status, (path, form)
            page = await admin.post("/admin/accounts", action="add", address="x@زاجل.test")
            assert "not allowed to change this" in page.text
            runner(sqlite_store).run(dismiss, "north.test", "basim")
            assert (await admin.get("/admin/accounts")).status == 404

    asyncio.run(scenario())
