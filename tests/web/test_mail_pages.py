"""The buttons of a mailbox and what they say; replies; what a message may show and hide."""

from __future__ import annotations

import asyncio
import re

import pytest

from kit.site import Page, letter, visiting
from kit.store import NOW_MS
from kit.webmail import member, role, uids
from zajil.core.ids import Uid
from zajil.store.engine.open import Store
from zajil.store.feedback.training_queue import TrainingClaim, claim_training
from zajil.store.mail.message_copies import (
    CopyMessages,
    move_messages,
)


@pytest.mark.parametrize("role_name", ["trash", "archive"])
def test_a_message_comes_back_in_one_step_and_teaches_no_junk(
    sqlite_store: Store, role_name: str
) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal, box = await member(site, "amal"), role(site, "amal", role_name)
            action = {"trash": "delete", "archive": "archive"}[role_name]
            await amal.post(site.inbox("amal"), uid="1", action=action)
            site.store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 1000))
            for path in (f"/mail/{box}", f"/mail/{box}/1"):
                page = await amal.get(path)
                assert {"trash": "Restore", "archive": "Move to Inbox"}[role_name] in page.text
                assert 'value="junk"' not in page.text or role_name != "trash"
            back = {"trash": "restore", "archive": "inbox"}[role_name]
            await amal.post(f"/mail/{box}", uid="1", action=back)
            assert len(uids(site, site.entry("amal").inbox)) == 1
            assert site.store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 2000)) == ()

    asyncio.run(scenario())


def status_of(page: Page) -> str:
    found = re.search(r'role="status">([^<]*)<', page.text)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("action", "marked", "words"),
    [
        ("archive", ["1", "2"], "2 messages moved to the archive."),
        ("delete", ["1"], "1 message moved to the Trash."),
        ("seen", ["1"], "1 message marked as read."),
        ("flag", ["1", "2"], "2 messages starred."),
        ("junk", [], "No messages are selected."),
    ],
)
def test_the_page_says_what_was_done(
    sqlite_store: Store, action: str, marked: list[str], words: str
) -> None:
    """Once: on the page after the action, and not after a reload."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            site.deliver("amal", letter())
            amal, inbox = await member(site, "amal"), site.inbox("amal")
            page = await amal.post(inbox, uid=marked, action=action)
            assert status_of(await amal.get(page.location)) == words
            assert status_of(await amal.get(page.location)) == ""

    asyncio.run(scenario())


def test_what_is_deleted_in_the_trash_is_said_to_be_deleted(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal, trash = await member(site, "amal"), role(site, "amal", "trash")
            await amal.post(site.inbox("amal"), uid="1", action="delete")
            assert "Delete from the Trash" in (await amal.get(f"/mail/{trash}")).text
            await amal.post(f"/mail/{trash}", uid="1", action="delete")
            assert status_of(await amal.get(f"/mail/{trash}")) == "1 message deleted."

    asyncio.run(scenario())


def test_nobody_puts_words_into_the_status_line(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            for cookie in ("<b>x</b>.1", "nonsense.1", "archive.x", "archive." + "9" * 30):
                amal.cookies.set("zajil_done", cookie)
                assert status_of(await amal.get(site.inbox("amal"))) == ""

    asyncio.run(scenario())


def test_a_draft_is_no_letter_that_came(sqlite_store: Store) -> None:
    """It is continued; nobody replies to it or trains the filter with it."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            inbox, drafts = site.entry("amal").inbox, role(site, "amal", "drafts")
            move = CopyMessages(site.entry("amal").account_id, inbox, (Uid(1),), drafts)
            site.store.write_now(move_messages, move)
            amal = await member(site, "amal")
            page = await amal.get(f"/mail/{drafts}")
            for action in ("junk", "archive", "inbox", "unseen"):
                assert f'value="{action}"' not in page.text
            assert 'value="delete"' in page.text
            page = await amal.get(f"/mail/{drafts}/1")
            assert page.location == f"/compose?draft={drafts}/1"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        ('"amal@north.test" <badr@evil.test>', "badr@evil.test"),
        ('"amal＠north.test" <badr@evil.test>', "badr@evil.test"),
        ('"amal﹫north。test" <badr@evil.test>', "badr@evil.test"),
        ('"north.test IT Support" <badr@evil.test>', "badr@evil.test"),
        ("badr@evil.test (amal@north.test)", "badr@evil.test"),
        ("Amal Haddad <amal@north.test>", ""),
        ('"Amal@North.test" <amal@north.test>', ""),
        ("J. R. R. Tolkien <jrr@south.test>", ""),
    ],
)
def test_a_name_that_poses_as_an_address_hides_none(
    sqlite_store: Store, sender: str, shown: str
) -> None:
    """Security: the list has only names, so a name could be somebody else's address."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            raw = f"From: {sender}\r\nTo: amal@north.test\r\nSubject: s\r\n\r\nx\r\n".encode()
            site.deliver("amal", raw)
            page = await (await member(site, "amal")).get(site.inbox("amal"))
            who = page.text.partition('class="who-wrote">')[2].partition("</span>\n")[0]
            assert ("evil.test" in who) == bool(shown)
            if shown:
                assert who.startswith(f"<bdi>{shown}</bdi>")

    asyncio.run(scenario())


REPLIES = [
    # from, to, cc, everybody; to whom the reply goes, and its copies
    ("Noor <noor@south.test>", "amal@north.test, Noor <NOOR@South.test>", "basim@north.test", True,
     "Noor <noor@south.test>", "basim@north.test"),
    ("noor@south.test", "AMAL@north.test, basim@north.test", "Basim <basim@NORTH.test>", True,
     "noor@south.test", "basim@north.test"),
    ("noor@south.test", "amal@north.test, basim@north.test", "", False, "noor@south.test", ""),
    ("Amal <amal@north.test>", "noor@south.test", "basim@north.test, noor@south.test", True,
     "noor@south.test", "basim@north.test"),
    ("amal@north.test", "noor@south.test", "basim@north.test", False, "noor@south.test", ""),
    ("amal@north.test", "amal@north.test", "", True, "amal@north.test", ""),
]  # fmt: skip


@pytest.mark.parametrize(("sender", "to", "cc", "everybody", "reply_to", "reply_cc"), REPLIES)
def test_a_reply_names_each_person_once(
    sqlite_store: Store,
    sender: str,
    to: str,
    cc: str,
    everybody: bool,
    reply_to: str,
    reply_cc: str,
) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            raw = f"From: {sender}\r\nTo: {to}\r\nCc: {cc}\r\nSubject: s\r\n\r\nx\r\n".encode()
            site.deliver("amal", raw)
            amal = await member(site, "amal")
            path = f"/compose?reply={site.entry('amal').inbox}.1" + "&all=1" * everybody
            form = await amal.get(path)
            assert form.field("to") == reply_to
            assert form.field("cc") == reply_cc

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("The almond blooms.\n", "On November 25, 2026, 08:00, Noor Saleh wrote:"),
        ("أزهر اللوز.\n", "في 25 نوفمبر 2026، 08:00 كتب Noor Saleh:"),
    ],
)
def test_the_line_above_a_quotation_speaks_its_language(
    sqlite_store: Store, text: str, line: str
) -> None:
    """In another script it would run to the other side than the text beneath it."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            message = letter(text=text)
            message["Date"] = "Wed, 25 Nov 2026 08:00:00 +0000"
            site.deliver("amal", message)
            for language in ("ar", "en"):
                browser = site.browser(**{"accept-language": language})
                await browser.log_in("amal")
                form = await browser.get(f"/compose?reply={site.entry('amal').inbox}.1")
                assert line in form.text

    asyncio.run(scenario())


def test_links_of_the_text_can_be_followed(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            text = "Look: https://shop.test/a?b=1&c=<x>, or mailto:noor@south.test.\n"
            html = '<p>مرحبا <a href="https://evil.test/">https://bank.test/</a></p>'
            site.deliver("amal", letter(text=text))
            only_html = letter()
            only_html.set_content(html, subtype="html")
            site.deliver("amal", only_html)
            amal = await member(site, "amal")
            page = await amal.get(f"{site.inbox('amal')}/1")
            url = "https://shop.test/a?b=1&amp;c="
            assert f'<a href="{url}" rel="noreferrer nofollow" target="_blank">' in page.text
            assert f'><bdi dir="ltr">{url}</bdi></a>' in page.text
            assert '<a href="/compose?to=noor%40south.test">' in page.text
            page = await amal.get(f"{site.inbox('amal')}/2?view=text")
            assert '<bdi dir="ltr">https://bank.test/</bdi></a> <bdi dir="ltr" class="host">' in (
                page.text
            )
            assert "(evil.test)</bdi>" in page.text

    asyncio.run(scenario())


def test_pictures_that_came_with_a_message_are_shown(sqlite_store: Store) -> None:
    """They tell nobody anything. Those of other servers are loaded when the reader asks."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            message = letter()
            message.set_content(
                '<img src="cid:rose@x"><img src="cid:drawing@x">'
                '<img src="https://shop.test/p.png">',
                subtype="html",
            )
            message.add_related(b"\x89PNG", "image", "png", cid="<rose@x>")
            message.add_related(b"<svg/>", "image", "svg+xml", cid="<drawing@x>")
            site.deliver("amal", message)
            amal, path = await member(site, "amal"), f"{site.inbox('amal')}/1"
            frame = (await amal.get(f"{path}/html")).response
            assert 'src="data:image/png;base64,iVBORw=="' in frame.text
            assert "svg" not in frame.text
            assert "shop.test" not in frame.text
            assert "https:" not in frame.headers["content-security-policy"]
            assert "1 remote picture was blocked." in (await amal.get(path)).text

    asyncio.run(scenario())


def test_the_title_counts_what_is_unread(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            assert "<title>Inbox " in (await amal.get(site.inbox("amal"))).text
            site.deliver("amal", letter())
            assert "<title>(1) Inbox " in (await amal.get(site.inbox("amal"))).text

    asyncio.run(scenario())


def test_a_page_of_an_error_knows_who_is_logged_in(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            for path in ("/nothing", "/mail/999999"):
                page = await amal.get(path)
                assert page.status == 404
                assert 'action="/logout"' in page.text
            assert 'action="/logout"' not in (await site.browser().get("/nothing")).text

    asyncio.run(scenario())


def test_times_without_a_known_zone_say_that_they_are_utc(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal, path = await member(site, "amal"), f"{site.inbox('amal')}/1"
            assert " UTC</time>" in (await amal.get(path)).text
            amal.cookies.set("zajil_zone", "Asia/Damascus")
            assert " UTC" not in (await amal.get(path)).text

    asyncio.run(scenario())
