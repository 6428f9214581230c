"""Messages that are restored from the Trash go back to where they came from."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from html import unescape

import pytest
from sqlalchemy.engine import Connection

from kit.site import Page, Site, letter, visiting
from kit.store import NOW_MS
from kit.webmail import member, role
from zajil.core.ids import MailboxId, Uid
from zajil.store.engine.open import Store
from zajil.store.mail.mailbox_changes import (
    DeleteMailbox,
    NewMailbox,
    create_mailbox,
    delete_mailbox,
)
from zajil.store.mail.message_copies import (
    Copied,
    CopyMessages,
    copy_messages,
    move_messages,
)
from zajil.store.mail.messages import list_uids
from zajil.store.mail.origins import find_origins
from zajil.web.webmail.undo import UndoStep, read_undos, write_undo

Unit = Callable[[Connection, Sequence[CopyMessages]], list[Copied]]


def folder(site: Site, name: str) -> MailboxId:
    new = NewMailbox(site.entry("amal").account_id, name, NOW_MS)
    return site.store.write_now(create_mailbox, new)


def uids(site: Site, mailbox_id: MailboxId) -> list[str]:
    return [str(uid) for uid in site.store.read_now(lambda conn: list_uids(conn, mailbox_id))]


def told(page: Page) -> str:
    """Return the notice of a page, without its marks of direction."""
    found = re.search(r'role="status">(.*?)</p>', page.text)
    assert found
    return unescape(re.sub(r"<[^>]*>", "", found[1])).strip()


def test_a_message_goes_back_to_its_mailbox(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", letter())
            amal, trash, projects = (
                await member(site),
                role(site, "amal", "trash"),
                folder(site, "مشاريع"),
            )
            await amal.post(site.inbox("amal"), uid="1", move=str(projects))
            await amal.post(f"/mail/{projects}", uid="1", action="delete")
            await amal.post(f"/mail/{trash}", uid="1", action="restore")
            assert uids(site, projects) == ["2"]
            page = await amal.get(f"/mail/{trash}")
            assert told(page) == "1 message restored to مشاريع."
            await amal.post("/mail/undo", undo=page.field("undo"), next="/mail")
            assert uids(site, projects) == []
            # It still knows where it came from.
            await amal.post(f"/mail/{trash}", uid=uids(site, trash), action="restore")
            assert uids(site, projects) == ["3"]

    asyncio.run(scenario())


def test_messages_go_back_to_several_mailboxes_in_one_act(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            for _ in range(3):
                site.deliver("amal", letter())
            amal, trash, projects = (
                await member(site),
                role(site, "amal", "trash"),
                folder(site, "P"),
            )
            inbox, archive = site.entry("amal").inbox, role(site, "amal", "archive")
            await amal.post(f"/mail/{inbox}", uid="1", move=str(projects))
            await amal.post(f"/mail/{inbox}", uid="2", action="archive")
            for place in (projects, archive):
                await amal.post(f"/mail/{place}", uid="1", action="delete")
            await amal.post(f"/mail/{inbox}", uid="3", action="delete")
            await amal.post(f"/mail/{trash}", uid=["1", "2", "3"], action="restore")
            there = [len(uids(site, one)) for one in (projects, archive, inbox, trash)]
            assert there == [1, 1, 1, 0]
            page = await amal.get(f"/mail/{trash}")
            assert told(page) == "3 messages restored to where they were."
            await amal.post("/mail/undo", undo=page.field("undo"), next="/mail")
            assert len(uids(site, trash)) == 3
            assert told(await amal.get(f"/mail/{trash}")) == "The action was undone."

    asyncio.run(scenario())


def test_what_came_from_a_mailbox_that_is_gone_goes_to_the_inbox(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", letter())
            amal, trash, projects = (
                await member(site),
                role(site, "amal", "trash"),
                folder(site, "P"),
            )
            inbox, account_id = site.entry("amal").inbox, site.entry("amal").account_id
            await amal.post(f"/mail/{inbox}", uid="1", move=str(projects))
            await amal.post(f"/mail/{projects}", uid="1", action="delete")
            site.store.write_now(delete_mailbox, DeleteMailbox(account_id, "P"))
            await amal.post(f"/mail/{trash}", uid="1", action="restore")
            assert len(uids(site, inbox)) == 1
            assert told(await amal.get(f"/mail/{inbox}")) == "1 message restored to Inbox."
            # Somebody who presses the button twice is told that there is nothing left.
            await amal.post(f"/mail/{trash}", uid="1", action="restore")
            assert told(await amal.get(f"/mail/{inbox}")).startswith("0 messages restored")

    asyncio.run(scenario())


def test_an_act_on_results_of_several_mailboxes_is_taken_back(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for _ in range(2):
                site.deliver("amal", letter())
            amal, projects = await member(site), folder(site, "P")
            inbox, archive = site.entry("amal").inbox, role(site, "amal", "archive")
            await amal.post(f"/mail/{inbox}", uid="2", move=str(projects))
            page = await amal.get("/search?q=subject:subject")
            await amal.post("/search", q="x", uid=[f"{inbox}.1", f"{projects}.1"], action="archive")
            assert len(uids(site, archive)) == 2
            page = await amal.get("/search?q=x")
            await amal.post("/mail/undo", undo=page.field("undo"), next="/mail")
            assert [len(uids(site, one)) for one in (inbox, projects, archive)] == [1, 1, 0]

    asyncio.run(scenario())


@pytest.mark.parametrize("unit", [copy_messages, move_messages])
@pytest.mark.parametrize("name", ["trash", "junk", "archive", "sent"])
def test_mail_programs_leave_a_trace_too(sqlite_store: Store, name: str, unit: Unit) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            inbox, account_id, target = (
                site.entry("amal").inbox,
                site.entry("amal").account_id,
                role(site, "amal", name),
            )
            item = CopyMessages(account_id, inbox, (Uid(1),), target)
            site.store.write_now(unit, item)
            found = site.store.read_now(lambda conn: find_origins(conn, target, [Uid(1), Uid(2)]))
            assert found == {None if name == "sent" else inbox: [1]}

    asyncio.run(scenario())


def test_steps_of_several_mailboxes_survive_their_cookie() -> None:
    steps = tuple(UndoStep("move", MailboxId(n), "7", (Uid(n), Uid(n + 2))) for n in range(1, 9))
    assert read_undos(write_undo(steps)) == steps
    assert write_undo([UndoStep("copy", MailboxId(1), "", ())]) == ""


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "~",
        "move:1:2:3~",
        "move:1:2:3~x",
        "~".join(["move:1:2:3"] * 102),
        "~".join(["move:1:2:1-99999"] * 2),
    ],
)
def test_what_are_no_steps_is_refused(text: str | None) -> None:
    assert read_undos(text) is None
