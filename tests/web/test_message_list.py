"""The list of messages: its pages, its marks, what its buttons do and what takes it back."""

from __future__ import annotations

import asyncio
import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.site import Browser, Page, Site, letter, visiting
from kit.store import NOW_MS
from kit.webmail import member, role
from zajil.core.ids import MailboxId, Uid
from zajil.store.engine.open import Store
from zajil.store.feedback.training_queue import TrainingClaim, claim_training
from zajil.store.mail.mailbox_changes import NewMailbox, create_mailbox
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.mail.right_changes import ChangeRights, Grant, change_rights
from zajil.store.mail.summaries import newest_summaries
from zajil.web.webmail.undo import UndoStep, read_undo


def folder(site: Site, login: str, name: str) -> MailboxId:
    """Make a mailbox, as a mail program does."""
    new = NewMailbox(site.entry(login).account_id, name, NOW_MS)
    return site.store.write_now(create_mailbox, new)


def flags(site: Site, mailbox_id: MailboxId) -> dict[int, frozenset[str]]:
    found = site.store.read_now(lambda conn: newest_summaries(conn, mailbox_id, 200))
    return {one.uid: one.flags for one, _ in found}


def subjects(page: Page) -> list[str]:
    return re.findall(r'class="open"[^>]*>([^<]*)</a>', page.text)


def told(page: Page) -> str:
    """Return the notice of a page, without its marks of direction."""
    found = re.search(r'role="status">(.*?)</p>', page.text)
    assert found
    return unescape(re.sub(r"<[^>]*>", "", found[1])).strip()


async def take_back(browser: Browser, page: Page) -> Page:
    """Press "Undo"."""
    after = await browser.post("/mail/undo", undo=page.field("undo"), next="/mail")
    return await browser.get(after.location)


def test_a_message_is_moved_to_a_folder_and_back(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            for number in range(4):
                site.deliver("amal", letter(f"Letter {number}"))
            work, inbox = folder(site, "amal", "عمل"), site.entry("amal").inbox
            amal = await member(site, "amal")
            page = await amal.get(site.inbox("amal"))
            assert f'name="move" value="{work}"' in page.text
            await amal.post(site.inbox("amal"), uid=["1", "2", "4"], move=str(work))
            assert list(flags(site, inbox)) == [3]
            page = await amal.get(site.inbox("amal"))
            assert told(page) == "3 messages moved to عمل."
            page = await take_back(amal, page)
            assert page.status in (200, 303)
            assert len(flags(site, inbox)) == 4
            assert flags(site, work) == {}

    asyncio.run(scenario())


def test_a_message_is_copied_and_the_copy_taken_back(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            work, inbox = folder(site, "amal", "Work"), site.entry("amal").inbox
            amal = await member(site, "amal")
            await amal.post(site.inbox("amal"), uid="1", copy=str(work))
            assert (len(flags(site, inbox)), len(flags(site, work))) == (1, 1)
            page = await amal.get(site.inbox("amal"))
            assert told(page) == "1 message copied to Work."
            await take_back(amal, page)
            assert (len(flags(site, inbox)), len(flags(site, work))) == (1, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("action", "flag"), [("seen", "\\Seen"), ("flag", "\\Flagged"), ("unseen", "\\Seen")]
)
def test_flags_are_taken_back_from_those_alone_that_got_them(
    sqlite_store: Store, action: str, flag: str
) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            inbox = site.entry("amal").inbox
            for _ in range(3):
                site.deliver("amal", letter())
            amal = await member(site, "amal")
            first = {"seen": "seen", "flag": "flag", "unseen": "seen"}[action]
            await amal.post(site.inbox("amal"), uid="2", action=first)
            before = flags(site, inbox)
            await amal.post(site.inbox("amal"), uid=["1", "2", "3"], action=action)
            changed = flags(site, inbox)
            assert {flag in one for one in changed.values()} == {action != "unseen"}
            await take_back(amal, await amal.get(site.inbox("amal")))
            assert flags(site, inbox) == before

    asyncio.run(scenario())


def test_what_was_deleted_from_the_trash_comes_back(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", letter("Precious"))
            site.deliver("amal", letter("Other"))
            amal, trash = await member(site, "amal"), role(site, "amal", "trash")
            await amal.post(site.inbox("amal"), uid=["1", "2"], action="delete")
            await amal.post(f"/mail/{trash}", uid="1", action="delete")
            page = await amal.get(f"/mail/{trash}")
            assert subjects(page) == ["Other"]
            assert told(page) == "1 message deleted."
            await take_back(amal, page)
            assert subjects(await amal.get(f"/mail/{trash}")) == ["Precious", "Other"]

    asyncio.run(scenario())


@pytest.mark.parametrize("came_from", ["inbox", "junk"])
def test_restoring_from_the_trash_teaches_nothing(sqlite_store: Store, came_from: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal, trash = await member(site, "amal"), role(site, "amal", "trash")
            at, uid = site.inbox("amal"), "1"
            if came_from == "junk":
                await amal.post(at, uid="1", action="junk")
                at = f"/mail/{role(site, 'amal', 'junk')}"
            await amal.post(at, uid=uid, action="delete")
            site.store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 1000))
            page = await amal.get(f"/mail/{trash}")
            assert re.search(r'<button name="action" value="restore"[^>]*>.*Restore', page.text)
            await amal.post(f"/mail/{trash}", uid="1", action="restore")
            assert flags(site, trash) == {}
            back = {"inbox": "Inbox", "junk": "Junk"}[came_from]
            assert told(await amal.get(site.inbox("amal"))) == f"1 message restored to {back}."
            assert site.store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 2000)) == ()

    asyncio.run(scenario())


def test_a_list_says_where_one_is(sqlite_store: Store) -> None:
    """Older and newer lead back and forth over the same pages."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in range(1, 121):
                site.deliver("amal", letter(f"Letter {number}"))
            amal = await member(site, "amal")
            page = await amal.get(site.inbox("amal"))
            seen = [page.text]
            assert "1–50 of 120" in page.text
            assert 'rel="prev"' not in page.text
            for place in ("51–100 of 120", "101–120 of 120"):
                older = re.search(r'href="([^"]+)" rel="next"', page.text)
                assert older
                page = await amal.get(unescape(older[1]))
                assert place in page.text
                seen.append(page.text)
            assert subjects(page)[-1] == "Letter 1"
            assert 'rel="next"' not in page.text
            for place in ("51–100 of 120", "1–50 of 120"):
                newer = re.search(r'href="([^"]+)" rel="prev"', page.text)
                assert newer
                page = await amal.get(unescape(newer[1]))
                assert place in page.text
            assert subjects(page)[0] == "Letter 120"
            # A page that is no more leads to the newest.
            page = await amal.get(f"{site.inbox('amal')}?before=1")
            assert "1–50 of 120" in page.text

    asyncio.run(scenario())


def test_an_act_on_an_older_page_leads_back_to_it(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in range(1, 61):
                site.deliver("amal", letter(f"Letter {number}"))
            amal = await member(site, "amal")
            path = f"{site.inbox('amal')}?before=11"
            page = await amal.get(path)
            assert page.field("next") == path
            after = await amal.post(site.inbox("amal"), uid="3", action="flag", next=path)
            assert after.location == path

    asyncio.run(scenario())


def test_all_messages_of_a_mailbox_are_selected(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            for number in range(55):
                site.deliver("amal", letter(f"Letter {number}"))
            amal, inbox = await member(site, "amal"), site.entry("amal").inbox
            page = await amal.get(site.inbox("amal"))
            assert "Select all 55 messages of this mailbox" in page.text
            await amal.post(site.inbox("amal"), every="1", uid="3", action="archive")
            assert flags(site, inbox) == {}
            page = await amal.get(site.inbox("amal"))
            assert told(page) == "55 messages moved to the archive."
            await take_back(amal, page)
            assert len(flags(site, inbox)) == 55

    asyncio.run(scenario())


def test_a_star_needs_no_selection(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            site.deliver("amal", letter())
            amal, inbox = await member(site, "amal"), site.entry("amal").inbox
            page = await amal.get(site.inbox("amal"))
            assert re.search(r'name="star" value="1"[^>]*>.*Star', page.text)
            # What is selected beside it is left alone.
            await amal.post(site.inbox("amal"), uid="2", star="1")
            assert flags(site, inbox) == {1: frozenset({"\\Flagged"}), 2: frozenset()}
            page = await amal.get(site.inbox("amal"))
            assert 'name="unstar" value="1"' in page.text
            await amal.post(site.inbox("amal"), unstar="1")
            assert flags(site, inbox)[1] == frozenset()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("flag", "mark"), [("\\Answered", "Answered"), ("$Forwarded", "Forwarded"), ("", "")]
)
def test_a_line_has_its_marks(sqlite_store: Store, flag: str, mark: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            message = letter()
            if not flag:
                message.add_attachment(
                    b"x", maintype="application", subtype="pdf", filename="a.pdf"
                )
            account, inbox = site.entry("amal").account_id, site.entry("amal").inbox
            staged = site.store.blobs.stage([message.as_bytes()])
            given = frozenset({flag} if flag else ())
            site.store.write_now(put_messages, PutMessage(account, inbox, staged, given, NOW_MS))
            page = await (await member(site, "amal")).get(site.inbox("amal"))
            marks = re.findall(
                r'<span class="unseen">(Answered|Forwarded|Has attachments)<', page.text
            )
            assert marks == [mark or "Has attachments"]

    asyncio.run(scenario())


def test_messages_of_a_shared_mailbox(store: Store) -> None:
    """Whoever may read one sees its list; what they may not do is refused."""

    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", letter("For both"))
            amal_id, inbox = site.entry("amal").account_id, site.entry("amal").inbox
            basim = await member(site, "basim")
            assert (await basim.get(f"/mail/{inbox}")).status == 404
            grant = Grant("basim", frozenset("lr"))
            site.store.write_now(change_rights, ChangeRights(amal_id, "INBOX", grant))
            page = await basim.get(f"/mail/{inbox}")
            assert subjects(page) == ["For both"]
            assert "For both" in (await basim.get(f"/mail/{inbox}/1")).text
            assert (await basim.get(f"/mail/{inbox}/1/source")).status == 200
            reply = await basim.get(f"/compose?reply={inbox}.1")
            assert reply.field("subject") == "Re: For both"
            forward = await basim.get(f"/compose?forward={inbox}.1&as=attachment")
            assert forward.status == 200
            assert ".eml" in forward.text
            trash = role(site, "basim", "trash")
            refused = await basim.post(f"/mail/{inbox}", uid="1", move=str(trash))
            assert refused.status == 404
            copied = await basim.post(
                f"/mail/{inbox}", uid="1", copy=str(role(site, "basim", "archive"))
            )
            assert copied.status == 303
            assert len(flags(site, role(site, "basim", "archive"))) == 1
            assert len(flags(site, inbox)) == 1

    asyncio.run(scenario())


def test_nobody_takes_back_what_another_did(sqlite_store: Store) -> None:
    """Security: the step that a form brings is checked as if it were pressed anew."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            inbox, trash = site.entry("amal").inbox, role(site, "amal", "trash")
            amal, basim = await member(site, "amal"), await member(site, "basim")
            await amal.post(site.inbox("amal"), uid="1", action="delete")
            own = site.entry("basim").inbox
            for step in (
                f"move:{trash}:{inbox}:1",
                f"move:{trash}:{own}:1",
                f"copy:{trash}::1",
                f"flag:{trash}:seen:1",
                f"gone:{trash}::1",
            ):
                answer = await basim.post("/mail/undo", undo=step, next="/mail")
                assert answer.status == 303
                assert told(await basim.get(f"/mail/{own}")) == (
                    "This action can no longer be undone."
                )
            assert flags(site, trash) == {1: frozenset()}
            assert (await basim.post("/mail/undo", undo="x", next="/mail")).status == 400

    asyncio.run(scenario())


@given(st.frozensets(st.integers(1, 4_294_967_295), min_size=1, max_size=60))
def test_a_step_survives_its_cookie(uids: frozenset[int]) -> None:
    step = UndoStep("move", MailboxId(3), "17", tuple(map(Uid, sorted(uids))))
    assert read_undo(step.write()) == step


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "move:1:2:",
        "move:1:2:0-9999999999",
        "move:1:2:5-1000000",
        "move:1:2:1__2",
        "move:1:2:-",
        "sell:1:2:3",
        "move:1:2:3\n",
        "move:1:2:" + "1_" * 5000,
    ],
)
def test_what_is_no_step_is_refused(text: str | None) -> None:
    assert read_undo(text) is None


def test_rows_of_the_chosen_height(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal = await member(site, "amal")
            assert 'class="list comfortable"' in (await amal.get(site.inbox("amal"))).text

    asyncio.run(scenario())
