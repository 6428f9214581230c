"""The list of a mailbox as conversations: its rows, its pages, and acts on whole conversations."""

from __future__ import annotations

import asyncio
import re
from email.message import EmailMessage
from html import unescape

import pytest

from kit.site import Page, Site, letter, visiting
from kit.store import NOW_MS
from kit.webmail import member, role
from zajil.core.address import parse_address
from zajil.core.ids import AccountId, MailboxId
from zajil.login.account import Account
from zajil.message.header_view import Person
from zajil.read.indexer import Indexer
from zajil.store.engine.open import Store
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.mail.messages import get_messages, list_uids
from zajil.store.mail.right_changes import ChangeRights, Grant, change_rights
from zajil.store.people.settings import NewSettings, set_settings
from zajil.web.webmail.conversation_rows import MOST_COUNTED, name_authors


def part(
    thread: str, number: int, sender: str = "Noor Saleh <noor@south.test>", **more: str
) -> EmailMessage:
    """Make a message of a conversation; the first has the number 1."""
    message = letter(f"Re: {thread}" if number > 1 else thread, sender=sender, **more)
    del message["Message-ID"]
    message["Message-ID"] = f"<{thread}.{number}@south.test>"
    if number > 1:
        message["References"] = f"<{thread}.1@south.test>"
    return message


def put(site: Site, login: str, name: str, message: EmailMessage) -> None:
    """Append a message, as a mail program does."""
    staged = site.store.blobs.stage([message.as_bytes()])
    account_id = site.entry(login).account_id
    item = PutMessage(account_id, role(site, login, name), staged, frozenset({"\\Seen"}), NOW_MS)
    site.store.write_now(put_messages, item)


def flags(site: Site, mailbox_id: MailboxId) -> dict[int, frozenset[str]]:
    uids = site.store.read_now(lambda conn: list_uids(conn, mailbox_id))
    found = site.store.read_now(lambda conn: get_messages(conn, mailbox_id, uids))
    return {one.uid: one.flags for one in found}


def rows(page: Page) -> list[tuple[str, str, str]]:
    """Return the authors, the number of messages and the subject of each row."""
    found = []
    for row in re.findall(r"<li.*?</li>", page.text.partition('<ol class="letters')[2], re.S):
        who = re.search(r'<span class="who-wrote">(.*?)<span class="mark">', row, re.S)
        many = re.search(r'class="many"[^>]*>([^<]*)<', row)
        subject = re.search(r'class="open"[^>]*>([^<]*)<', row)
        assert who
        assert subject
        names = re.sub(r'<span class="many".*?</span>|<[^>]*>', "", who[1])
        found.append((unescape(names).strip(), many[1] if many else "", unescape(subject[1])))
    return found


async def index(site: Site) -> None:
    await Indexer(site.store).index_waiting()


def test_a_row_stands_for_a_conversation(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", part("Plans", 1))
            site.deliver("amal", part("Rent", 1, "Samir <samir@south.test>"))
            put(site, "amal", "sent", part("Plans", 2, "Amal Haddad <amal@north.test>"))
            site.deliver("amal", part("Plans", 3, "Samir Khalil <samir@south.test>"))
            site.deliver("basim", part("Plans", 4))
            await index(site)
            amal, inbox = await member(site), site.inbox("amal")
            page = await amal.get(inbox)
            assert rows(page) == [
                ("Noor, me, Samir", "3", "Re: Plans"),
                ("Samir", "", "Rent"),
            ]
            assert "1–2 of 2" in page.text
            assert f'href="{inbox}/3"' in page.text
            # What lies in the Trash counts no more; nor does it show whose it was.
            await amal.post(inbox, uid="1", action="delete")
            assert rows(await amal.get(inbox))[0] == ("me, Samir", "2", "Re: Plans")

    asyncio.run(scenario())


def test_each_message_has_a_row_where_that_is_chosen(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in (1, 2):
                site.deliver("amal", part("Plans", number))
            await index(site)
            amal = await member(site)
            await amal.post("/account/mail", conversations="no")
            page = await amal.get(site.inbox("amal"))
            assert [subject for _, _, subject in rows(page)] == ["Re: Plans", "Plans"]
            assert 'name="conversations"' not in page.text

    asyncio.run(scenario())


def test_a_row_is_unread_and_starred_if_any_message_is(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in (1, 2, 3):
                site.deliver("amal", part("Plans", number))
            await index(site)
            amal, inbox = await member(site), site.inbox("amal")
            await amal.post(inbox, uid=["2", "3"], action="seen")
            await amal.post(inbox, star="1")
            page = await amal.get(inbox)
            assert '<li class="unread">' in page.text
            assert 'name="unstar" value="3"' in page.text
            # The star of the row is taken from all of them.
            await amal.post(inbox, unstar="3", conversations="1")
            await amal.post(inbox, uid="3", action="seen", conversations="1")
            page = await amal.get(inbox)
            assert '<li class="unread">' not in page.text
            assert "unstar" not in page.text
            # One is marked for its newest message alone.
            await amal.post(inbox, star="3", conversations="1")
            await amal.post(inbox, uid="3", action="unseen", conversations="1")
            box = site.entry("amal").inbox
            assert flags(site, box) == {
                1: frozenset({"\\Seen"}),
                2: frozenset({"\\Seen"}),
                3: frozenset({"\\Flagged"}),
            }

    asyncio.run(scenario())


def test_acts_on_a_row_are_acts_on_its_conversation(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            for number in (1, 2):
                site.deliver("amal", part("Plans", number))
            site.deliver("amal", part("Rent", 1))
            await index(site)
            amal, inbox, box = await member(site), site.inbox("amal"), site.entry("amal").inbox
            page = await amal.get(inbox)
            # What comes after the page was shown stays where it is.
            site.deliver("amal", part("Plans", 3))
            await index(site)
            named = page.field("conversations")
            await amal.post(inbox, uid="2", action="archive", conversations=named)
            assert sorted(flags(site, box)) == [3, 4]
            page = await amal.get(inbox)
            assert "2 messages moved to the archive." in page.text
            await amal.post("/mail/undo", undo=page.field("undo"), next="/mail")
            assert len(flags(site, box)) == 4

    asyncio.run(scenario())


def test_a_message_that_stands_for_its_conversation_is_moved_with_it(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in (1, 2):
                site.deliver("amal", part("Plans", number))
            await index(site)
            amal, inbox = await member(site), site.inbox("amal")
            assert 'name="conversations"' in (await amal.get(f"{inbox}/2")).text
            assert 'name="conversations"' not in (await amal.get(f"{inbox}/1")).text

    asyncio.run(scenario())


def test_pages_of_conversations(store: Store) -> None:
    """Older and newer lead over the same pages back and forth, each conversation once."""

    async def scenario() -> None:
        async with visiting(store) as site:
            for number in (1, 2):
                for thread in range(1, 111):
                    site.deliver("amal", part(f"Thread {thread:03}", number))
            await index(site)
            amal, inbox = await member(site), site.inbox("amal")
            page = await amal.get(inbox)
            seen = [subject for _, _, subject in rows(page)]
            assert "1–50 of 110" in page.text
            assert "Select all 220 messages of this mailbox" in page.text
            for place in ("51–100 of 110", "101–110 of 110"):
                older = re.search(r'href="([^"]+)" rel="next"', page.text)
                assert older
                page = await amal.get(unescape(older[1]))
                assert place in page.text
                seen += [subject for _, _, subject in rows(page)]
            assert seen == [f"Re: Thread {number:03}" for number in range(110, 0, -1)]
            assert 'rel="next"' not in page.text
            for place in ("51–100 of 110", "1–50 of 110"):
                newer = re.search(r'href="([^"]+)" rel="prev"', page.text)
                assert newer
                page = await amal.get(unescape(newer[1]))
                assert place in page.text
            assert 'rel="prev"' not in page.text
            # A page that is no more leads to the newest.
            assert "1–50 of 110" in (await amal.get(f"{inbox}?before=1&at=900")).text

    asyncio.run(scenario())


def test_messages_that_wait_for_the_indexer_are_rows(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            # So long that the list reads only their beginnings.
            for number in (1, 2):
                site.deliver("amal", part("Plans", number, text="Words.\n" * 10_000))
            amal, inbox = await member(site), site.inbox("amal")
            page = await amal.get(inbox)
            assert [subject for _, _, subject in rows(page)] == ["Re: Plans", "Plans"]
            assert "1–2 of 2" in page.text
            await index(site)
            assert [many for _, many, _ in rows(await amal.get(inbox))] == ["2"]

    asyncio.run(scenario())


def test_a_message_that_has_just_come_is_in_its_conversation(store: Store) -> None:
    """The page that a browser fetches at once is often faster than the indexer."""

    async def scenario() -> None:
        async with visiting(store) as site:
            amal, inbox = await member(site), site.inbox("amal")
            for number in (1, 2):
                site.deliver("amal", part("Plans", number))
                assert len(rows(await amal.get(inbox))) == 1
            assert rows(await amal.get(inbox)) == [("Noor Saleh", "2", "Re: Plans")]

    asyncio.run(scenario())


def test_a_shared_mailbox_shows_nothing_of_the_readers_own(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            for number in (1, 2):
                site.deliver("amal", part("Plans", number))
            # The same conversation, in mailboxes of the reader.
            site.deliver("basim", part("Plans", 3, "Secret <secret@south.test>"))
            await index(site)
            grant = Grant("basim", frozenset("lr"))
            amal_id = site.entry("amal").account_id
            site.store.write_now(change_rights, ChangeRights(amal_id, "INBOX", grant))
            basim = await member(site, "basim")
            page = await basim.get(f"/mail/{site.entry('amal').inbox}")
            assert [(names, many) for names, many, _ in rows(page)] == [("Noor Saleh", "2")]
            assert (await basim.get(f"/mail/{role(site, 'amal', 'sent')}")).status == 404

    asyncio.run(scenario())


def test_drafts_are_rows_of_their_own(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in (1, 2):
                put(site, "amal", "drafts", part("Plans", number))
            await index(site)
            amal = await member(site)
            page = await amal.get(f"/mail/{role(site, 'amal', 'drafts')}")
            assert len(rows(page)) == 2
            assert 'name="conversations"' not in page.text

    asyncio.run(scenario())


def test_the_name_me_is_translated(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            put(site, "amal", "inbox", part("Plans", 1, "Amal <amal@north.test>"))
            site.deliver("amal", part("Plans", 2))
            await index(site)
            settings = NewSettings(site.entry("amal").account_id, {"language": "ar"})
            site.store.write_now(set_settings, settings)
            amal = await member(site)
            assert rows(await amal.get(site.inbox("amal")))[0][0] == "أنا، Noor"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("people", "names"),
    [
        ([("Noor Saleh", "n@x.test")], ["Noor Saleh"]),
        ([("Noor Saleh", "n@x.test"), ("", "info@x.test")], ["Noor", "info@x.test"]),
        ([("Saleh, Noor", "n@x.test"), ("عبد الله حسن", "a@x.test")], ["Saleh, Noor", "عبد الله"]),
        ([("Amal", "AMAL@north.test"), ("pay@bank.test", "evil@x.test")], ["", "evil@x.test"]),
        ([(f"N{n}", f"n{n}@x.test") for n in range(9)], ["N0", "N7", "N8"]),
    ],
)
def test_names_of_a_row(people: list[tuple[str, str]], names: list[str]) -> None:
    own = parse_address("amal@north.test")
    account = Account(
        account_id=AccountId(1),
        login="amal",
        address=own,
        addresses=(own,),
        display_name="Amal",
        admin=False,
    )
    found = name_authors([Person(*one, "x.test") for one in people], account)
    assert [one.label for one in found] == names


def test_conversations_of_a_large_mailbox_are_not_counted(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_COUNTED >= 1000
    monkeypatch.setattr("zajil.web.webmail.conversation_rows.MOST_COUNTED", 1)

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in (1, 2):
                site.deliver("amal", part("Plans", number))
            await index(site)
            page = await (await member(site)).get(site.inbox("amal"))
            assert re.search(r'<span class="place">1–1</span>', page.text)

    asyncio.run(scenario())
