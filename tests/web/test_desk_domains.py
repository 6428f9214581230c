"""Domains on the desk: their records with a live check, their keys, the catch-all."""

from __future__ import annotations

import asyncio

from kit.site import Browser, Site, visiting
from kit.zone import ZoneResolver
from zajil.core.address import Address
from zajil.store.engine.open import Store
from zajil.store.people.aliases import find_alias
from zajil.store.people.dkim_keys import list_dkim_keys
from zajil.store.people.domains import list_domains


async def admin_of(site: Site, **headers: str) -> Browser:
    browser = site.browser(**headers)
    await browser.log_in("amal")
    return browser


def test_a_domain_is_added_with_its_keys_and_removed(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            admin = await admin_of(site)
            await admin.get("/admin/domains")
            page = await admin.post("/admin/domains", domain="بريد.example")
            assert page.location == "/admin/domains/xn--ngbof4h.example"
            path = page.location
            page = await admin.get(path)
            assert "The domain was added." in page.text
            keys = store.read_now(lambda conn: list_dkim_keys(conn, "xn--ngbof4h.example"))
            assert len(keys) == 2
            for key in keys:
                assert f"{key.selector}._domainkey.xn--ngbof4h.example" in page.text
            for name, status in (("بريد.example", 409), ("no domain", 409), ("", 409)):
                assert (await admin.post("/admin/domains", domain=name)).status == status
            assert (await admin.post(path, action="remove", value="x")).status == 409
            page = await admin.post(path, action="remove", value="بريد.example")
            assert page.location == "/admin/domains"
            names = {one.ascii_name for one in store.read_now(list_domains)}
            assert "xn--ngbof4h.example" not in names
            assert (await admin.get(path)).status == 404
            path = "/admin/domains/north.test"
            page = await admin.post(path, action="remove", value="north.test")
            assert "still has accounts" in page.text

    asyncio.run(scenario())


def test_keys_are_rotated_and_revoked(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            admin, path = await admin_of(site), "/admin/domains/north.test"
            await admin.get(path)

            def shown() -> list[str]:
                rows = store.read_now(lambda conn: list_dkim_keys(conn, "north.test"))
                return sorted(row.state for row in rows)

            assert (await admin.post(path, action="keys")).status == 303
            assert shown() == ["active", "active"]
            assert (await admin.post(path, action="rotate")).status == 303
            assert shown() == ["active", "active", "published", "published"]
            assert "wait for their DNS records" in (await admin.post(path, action="rotate")).text
            assert (await admin.post(path, action="activate")).status == 303
            assert shown() == ["active", "active", "retired", "retired"]
            rows = store.read_now(lambda conn: list_dkim_keys(conn, "north.test"))
            page = await admin.post(path, action="revoke", value=rows[0].selector)
            assert page.status == 303
            assert "revoked" in shown()
            assert "The key was revoked." in (await admin.get(path)).text

    asyncio.run(scenario())


def test_the_catch_all_of_a_domain(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            admin, path = await admin_of(site), "/admin/domains/north.test"
            await admin.get(path)

            def targets() -> list[str]:
                catch_all = Address("*", "north.test")
                row = sqlite_store.read_now(lambda conn: find_alias(conn, catch_all))
                return [] if row is None else [str(one) for one in row.targets]

            for value, expected in (
                ("basim@north.test", ["basim@north.test"]),
                ("amal@north.test", ["amal@north.test"]),
                ("", []),
                ("", []),
            ):
                page = await admin.post(path, action="catchall", value=value)
                assert page.status == 303
                assert targets() == expected
            page = await admin.post(path, action="catchall", value="nobody")
            assert "not an email address" in page.text

    asyncio.run(scenario())


def test_records_are_checked_when_asked(sqlite_store: Store) -> None:
    async def scenario() -> None:
        zone = ZoneResolver({"north.test": {"MX": ["10 <script>.test"]}})
        async with visiting(sqlite_store, resolve=zone.resolve) as site:
            admin, path = await admin_of(site), "/admin/domains/north.test"
            assert "Check now" in (await admin.get(path)).text
            assert zone.questions == []
            page = (await admin.get(f"{path}?check=1")).text
            assert "10 &lt;script&gt;.test" in page
            # What the operator must fill in stands in angle brackets, and is no tag.
            assert "&lt;the IPv4 address of this server&gt;" in page
            assert page.count('<span class="state bad">different</span>') == 1
            assert '<span class="state bad">missing</span>' in page
            assert "Add this record to the zone." in page
            watched = await admin.get(f"{path}?check=1&watch=1")
            assert watched.response.headers["refresh"] == "30"
            assert "Stop checking" in watched.text
            arabic = await admin_of(site, **{"accept-language": "ar"})
            page = (await arabic.get(f"{path}?check=1")).text
            assert "غير موجود" in page
            assert "Mail for the domain" not in page

    asyncio.run(scenario())
