"""Mailboxes are made, renamed, deleted and shared on a page."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from typing import Any

import pytest

from kit.site import Page, Site, letter, visiting
from kit.webmail import member
from zajil.core.ids import MailboxId
from zajil.store.engine.open import Store
from zajil.store.mail.mailboxes import find_mailbox, list_mailboxes
from zajil.store.mail.subscriptions import list_subscriptions


def names(site: Site, login: str) -> list[str]:
    account_id = site.entry(login).account_id
    boxes = site.store.read_now(lambda conn: list_mailboxes(conn, account_id))
    return [box.name for box in boxes if box.role is None]


def box_of(site: Site, login: str, name: str) -> MailboxId:
    account_id = site.entry(login).account_id
    box = site.store.read_now(lambda conn: find_mailbox(conn, account_id, name))
    assert box is not None
    return box.mailbox_id


def told(page: Page) -> str:
    found = re.search(r'role="status">(.*?)</p>', page.text)
    assert found
    return unescape(found[1]).strip()


def test_a_folder_is_made_renamed_and_deleted(store: Store) -> None:
    """Its messages come back with it."""

    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", letter("Precious"))
            amal, account_id = await member(site, "amal"), site.entry("amal").account_id
            await amal.post("/folders", action="make", name="عمل", parent="")
            await amal.post("/folders", action="make", name="2026", parent="عمل")
            assert names(site, "amal") == ["عمل", "عمل/2026"]
            page = await amal.get("/folders")
            assert told(page) == "The mailbox was created."
            subscribed = store.read_now(lambda conn: list_subscriptions(conn, account_id))
            assert {"عمل", "عمل/2026"} <= subscribed
            work = box_of(site, "amal", "عمل")
            # At the side of every page, below the one that it is in.
            assert re.search(rf'href="/mail/{work}"[^>]*class="depth-0"', page.text)
            assert re.search(
                r'class="depth-1"[^>]*>\s*<span[^>]*></span>\s*<span class="title"><bdi>2026<',
                page.text,
            )
            await amal.post("/folders", action="rename", mailbox=str(work), name="Work", parent="")
            assert names(site, "amal") == ["Work", "Work/2026"]
            await amal.post(site.inbox("amal"), uid="1", move=str(work))
            await amal.post("/folders", action="delete", mailbox=str(work))
            assert names(site, "amal") == ["Work/2026"]
            page = await amal.get("/folders")
            assert told(page) == "The mailbox was deleted."
            await amal.post("/mail/undo", undo=page.field("undo"), next="/folders")
            back = await amal.get(f"/mail/{box_of(site, 'amal', 'Work')}")
            assert "Precious" in back.text

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"action": "make", "name": "Sent"}, "already exists"),
        ({"action": "make", "name": ""}, "This name is not possible."),
        ({"action": "make", "name": "a//b"}, "This name is not possible."),
        ({"action": "make", "name": "x" * 300}, "This name is not possible."),
        ({"action": "make", "name": "Shared/basim/x"}, "This is not possible:"),
        ({"action": "delete", "mailbox": "inbox"}, "This is not possible:"),
        ({"action": "share", "mailbox": "inbox", "person": "nobody-here", "level": "read"},
         "No account has this username."),
        ({"action": "share", "mailbox": "inbox", "person": "amal", "level": "read"},
         "This is not possible:"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(sqlite_store: Store, form: dict[str, Any], words: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            sent: dict[str, Any] = {**form, "mailbox": str(site.entry("amal").inbox)}
            page = await amal.post("/folders", **sent)
            assert page.status == 422
            assert words in unescape(page.text)
            assert names(site, "amal") == []

    asyncio.run(scenario())


def test_a_shared_mailbox_stands_at_the_side_of_the_other(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", letter())
            amal, basim = await member(site, "amal"), await member(site, "basim")
            inbox = str(site.entry("amal").inbox)
            form: dict[str, Any] = {"action": "share", "mailbox": inbox, "person": "basim"}
            await amal.post("/folders", **form, level="read")
            page = await amal.get("/folders")
            assert told(page) == "The mailbox is shared."
            assert "<bdi>basim</bdi> can read" in page.text
            page = await basim.get(site.inbox("basim"))
            assert "Shared with me" in page.text
            assert f'href="/mail/{inbox}"' in page.text
            assert "<bdi>amal/INBOX</bdi>" in page.text
            await amal.post("/folders", **form, level="none")
            assert "Shared with me" not in (await basim.get(site.inbox("basim"))).text

    asyncio.run(scenario())


def test_nobody_changes_the_folders_of_another(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, basim = await member(site, "amal"), await member(site, "basim")
            await amal.post("/folders", action="make", name="Work")
            work = str(box_of(site, "amal", "Work"))
            form: dict[str, Any] = {
                "mailbox": work,
                "name": "Mine",
                "person": "basim",
                "level": "manage",
            }
            for action in ("rename", "delete", "share", "subscribe"):
                assert (await basim.post("/folders", action=action, **form)).status == 404
            # Not even one that is shared: its owner keeps its name.
            await amal.post("/folders", action="share", mailbox=work, person="basim", level="read")
            for action in ("rename", "delete", "share"):
                assert (await basim.post("/folders", action=action, **form)).status == 404
            assert names(site, "amal") == ["Work"]

    asyncio.run(scenario())


def test_mail_programs_show_what_is_subscribed(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, account_id = await member(site, "amal"), site.entry("amal").account_id
            await amal.post("/folders", action="make", name="Work")
            work = str(box_of(site, "amal", "Work"))
            for action in ("unsubscribe", "subscribe"):
                assert f'value="{action}"' in (await amal.get("/folders")).text
                await amal.post("/folders", action=action, mailbox=work)
                known = sqlite_store.read_now(lambda conn: list_subscriptions(conn, account_id))
                assert ("Work" in known) == (action == "subscribe")

    asyncio.run(scenario())
