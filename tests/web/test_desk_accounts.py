"""An administrator makes accounts and aliases, changes them, and sees who changed what."""

from __future__ import annotations

import asyncio
import re
from html import unescape

from kit.site import Browser, Page, Site, visiting
from zajil.core.actor import Actor, Interface
from zajil.core.app_password import Scope
from zajil.operations.accounts import show_account
from zajil.operations.app_passwords import create_app_password
from zajil.operations.context import OperationContext
from zajil.store.engine.open import Store
from zajil.store.mail.caps import Caps
from zajil.store.people.accounts import AccountRow, find_by_login
from zajil.store.people.aliases import list_aliases


async def admin_of(site: Site, **headers: str) -> Browser:
    browser = site.browser(**headers)
    await browser.log_in("amal")
    return browser


def secret_of(page: Page) -> str:
    found = re.search(r'class="id secret"[^>]*>([^<]+)<', page.text)
    assert found, page.text
    return unescape(found[1])


def row(store: Store, login: str) -> AccountRow:
    found = store.read_now(lambda conn: find_by_login(conn, login))
    assert found is not None
    return found


def test_an_account_is_added_and_its_password_shown_once(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            admin = await admin_of(site)
            await admin.get("/admin/accounts")
            page = await admin.post(
                "/admin/accounts", action="add", address="hoda@north.test", display_name="هدى"
            )
            assert page.status == 200
            password = secret_of(page)
            assert password not in (await admin.get("/admin/accounts")).text
            assert password not in (await admin.get("/admin/accounts/hoda")).text
            assert (await site.browser().log_in("hoda", password)).status == 303
            for address, words in (
                ("hoda@north.test", "already in use"),
                ("hoda", "not an email address"),
                ("a@elsewhere.test", "does not have this domain"),
            ):
                page = await admin.post("/admin/accounts", action="add", address=address)
                assert page.status == 400
                assert words in page.text
                assert f'value="{address}"' in page.text

    asyncio.run(scenario())


def test_accounts_are_searched(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            admin = await admin_of(site)
            for wanted in ("سلمى", "SALMA", "زاجل"):
                page = (await admin.get(f"/admin/accounts?q={wanted}")).text
                assert 'href="/admin/accounts/salma"' in page
                assert 'href="/admin/accounts/basim"' not in page
            assert "No accounts match" in (await admin.get("/admin/accounts?q=nobody&from=x")).text

    asyncio.run(scenario())


def test_an_account_is_changed(store: Store) -> None:
    """Name, role, limit, password, suspension, delegation, removal: each leaves its trace."""

    async def scenario() -> None:
        async with visiting(store) as site:
            admin, path = await admin_of(site), "/admin/accounts/basim"
            await admin.get(path)

            async def do(action: str, status: int = 303, **values: str) -> Page:
                page = await admin.post(path, None, action=action, **values)
                assert page.status == status, page.text
                return page

            await do("profile", display_name="باسم", admin="1")
            assert (row(store, "basim").display_name, row(store, "basim").admin) == ("باسم", True)
            assert "The account was changed." in (await admin.get(path)).text
            assert "The account was changed." not in (await admin.get(path)).text
            await do("quota", size="500MiB")
            assert row(store, "basim").quota_size == 500 << 20
            assert 'value="500MiB"' in (await admin.get(path)).text
            assert "Write a size like" in (await do("quota", 409, size="much")).text
            await do("quota", size="")
            assert row(store, "basim").quota_size is None
            await do("suspend")
            assert not row(store, "basim").active
            assert "The account is suspended" in (await admin.get(path)).text
            await do("resume")
            password = secret_of(await do("password", 200))
            assert (await site.browser().log_in("basim", password)).status == 303
            await do("delegate", address="amal@north.test")
            assert "amal@north.test" in (await admin.get(path)).text
            await do("undelegate", address="amal@north.test")
            page = await do("delegate", 409, address="x@y.test")
            assert "does not have this address" in page.text
            changes = (await admin.get(path)).text
            assert "The account <bdi>basim</bdi> was suspended." in changes
            assert "<bdi>amal</bdi> on the web, from <bdi>127.0.0.1</bdi>" in changes
            assert "does not match" in (await do("remove", 409, confirm="amal")).text
            await do("remove", confirm="basim")
            assert (await admin.get(path)).status == 404
            trail = (await admin.get("/admin/changes?about=basim")).text
            assert "was removed with all its mail" in trail
            assert "basim" in (await admin.get("/admin/changes?actor=amal")).text
            assert "No changes are recorded." in (await admin.get("/admin/changes?actor=no")).text

    asyncio.run(scenario())


def test_app_passwords_of_others_are_revoked(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            context = OperationContext(store, site.clock, lambda size: bytes(size))
            actor = Actor("root", Interface.COMMAND_LINE, "", is_admin=True)
            await create_app_password(context, actor, "basim", "phone <1>", Scope.ALL)
            admin = await admin_of(site)
            page = await admin.get("/admin/accounts/basim")
            assert "phone &lt;1&gt;" in page.text
            number = page.field("id")
            answer = await admin.post("/admin/accounts/basim", action="revoke", id=number)
            assert answer.status == 303
            detail = store.read_now(lambda conn: show_account(conn, "basim", 0, Caps()))
            assert detail.app_passwords == ()
            for odd in ("x", "-1", "9" * 30):
                page = await admin.post("/admin/accounts/basim", action="revoke", id=odd)
                assert page.status == 400

    asyncio.run(scenario())


def test_nobody_locks_themselves_out(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            admin, path = await admin_of(site), "/admin/accounts/amal"
            own = (await admin.get(path)).text
            assert "Suspend account" not in own
            assert "Remove this account" not in own
            for address in (path, "/admin/accounts/AMAL@north.test"):
                assert (await admin.post(address, action="suspend")).status == 400
                assert (await admin.post(address, action="remove", confirm="amal")).status == 400
            page = await admin.post(path, action="profile", display_name="A")
            assert "At least one active account must be an administrator." in page.text
            assert row(sqlite_store, "amal").admin

    asyncio.run(scenario())


def test_aliases_are_made_changed_and_removed(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            admin, path = await admin_of(site), "/admin/aliases"
            await admin.get(path)

            async def do(action: str, address: str, targets: str = "") -> Page:
                return await admin.post(path, action=action, address=address, targets=targets)

            targets = "basim@north.test،سلمى@زاجل.test\r\nnoor@south.test"
            assert (await do("add", "team@north.test", targets)).status == 303
            (alias,) = store.read_now(list_aliases)
            assert len(alias.targets) == 3
            assert "The alias was saved." in (await admin.get(path)).text
            assert (await do("set", "team@north.test", "basim@north.test")).status == 303
            (alias,) = store.read_now(list_aliases)
            assert [str(one) for one in alias.targets] == ["basim@north.test"]
            assert "team@north.test" in (await admin.get(f"{path}?q=basim")).text
            assert "No aliases match" in (await admin.get(f"{path}?q=nobody")).text
            page = await do("add", "basim@north.test", "amal@north.test")
            assert page.status == 409
            assert "already in use" in page.text
            assert "back to itself" in (await do("add", "a@north.test", "a@north.test")).text
            assert (await do("remove", "team@north.test")).status == 303
            assert store.read_now(list_aliases) == []
            assert (await do("explode", "a@north.test")).status == 400

    asyncio.run(scenario())


def test_the_desk_is_for_administrators(sqlite_store: Store) -> None:
    """Others do not learn that the pages exist; strangers are asked to log in."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            basim = site.browser()
            await basim.log_in("basim")
            forms = ("accounts", "accounts/amal", "aliases", "domains", "domains/north.test")
            for path in (f"/admin/{one}" for one in (*forms, "changes")):
                assert (await basim.get(path)).status == 404
                assert (await site.browser().get(path)).status == 303
            for path in forms:
                page = await basim.post(f"/admin/{path}", action="remove", confirm="amal")
                assert page.status == 404
            admin = await admin_of(site)
            forged = await admin.post("/admin/accounts/basim", csrf="x", action="suspend")
            assert forged.status == 403

    asyncio.run(scenario())
