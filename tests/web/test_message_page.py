"""The page of one message: its bar, its warnings, its files."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from email.message import EmailMessage
from html import unescape
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.site import Browser, Site, letter, visiting
from kit.store import NOW_MS
from kit.web_server import PNG, answer, web_server
from kit.webmail import role
from zajil.core.ids import MailboxId
from zajil.read.indexer import Indexer
from zajil.store.engine.open import Store
from zajil.store.mail.mailboxes import find_role
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.mail.right_changes import ChangeRights, Grant, change_rights
from zajil.store.mail.summaries import newest_summaries
from zajil.store.people.settings import NewSettings, set_settings
from zajil.web.webmail.conversation_page import MOST_WHOLE


async def member(site: Site, login: str = "amal") -> Browser:
    browser = site.browser()
    await browser.log_in(login)
    return browser


def results(text: str) -> bytes:
    return f"Authentication-Results: mx.north.test;\r\n {text}\r\n".encode()


@pytest.mark.parametrize(
    ("found", "badge", "strip"),
    [
        ("dmarc=pass header.from=south.test", "Verified<", ""),
        ("dmarc=fail header.from=south.test", "Verification failed<", "It may be forged."),
        (
            "spf=none smtp.mailfrom=a@b.test; dkim=none",
            "Not verified<",
            "could not be verified. Be careful",
        ),
        ("auth=pass", "", ""),
    ],
)
def test_a_badge_says_what_was_found_out(
    sqlite_store: Store, found: str, badge: str, strip: str
) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            raw = results(found) + letter().as_bytes()
            site.deliver("amal", raw)
            amal, inbox = await member(site), site.entry("amal").inbox
            page = await amal.get(f"/mail/{inbox}/1")
            assert ('class="proof' in page.text) is bool(badge)
            assert badge in page.text
            assert strip in page.text
            assert ('class="notice doubt"' in page.text) is bool(strip)
            # Security: what a program puts there may hold any result in our name.
            blob = site.store.blobs.stage([raw])
            put = PutMessage(site.entry("amal").account_id, inbox, blob, frozenset(), NOW_MS)
            site.store.write_now(put_messages, put)
            page = await amal.get(f"/mail/{inbox}/2")
            assert "A subject" in page.text
            assert 'class="proof' not in page.text
            assert 'class="notice doubt"' not in page.text

    asyncio.run(scenario())


def test_the_bar_leads_to_every_act(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal, inbox = await member(site), site.entry("amal").inbox
            page = (await amal.get(f"/mail/{inbox}/1")).text
            for words in ("Reply", "Reply all", "Forward", "Archive", "Mark as junk", "Delete"):
                assert re.search(rf">\s*{words}\s*</", page), words
            for query in ("reply={}.1", "reply={}.1&amp;all=1", "forward={}.1",
                          "forward={}.1&amp;as=attachment"):  # fmt: skip
                assert f'href="/compose?{query.format(inbox)}"' in page
            assert f'href="/mail/{inbox}"' in page
            assert "Delivery details" in page

    asyncio.run(scenario())


def test_phishing_is_reported_to_the_filter(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", letter())
            amal, inbox = await member(site), site.inbox("amal")
            await amal.get(f"{inbox}/1")
            done = await amal.post(f"{inbox}/1/report")
            assert (done.status, done.location) == (303, inbox)
            assert "Reported as phishing." in (await amal.get(inbox)).text
            account_id = site.entry("amal").account_id
            junk = store.read_now(lambda conn: find_role(conn, account_id, "junk"))
            assert junk is not None
            ((found, _),) = store.read_now(
                lambda conn: newest_summaries(conn, junk.mailbox_id, 100)
            )
            assert "$Phishing" in found.flags
            basim = await member(site, "basim")
            assert (await basim.post(f"/mail/{junk.mailbox_id}/{found.uid}/report")).status == 404

    asyncio.run(scenario())


def test_many_recipients_are_folded(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter(to=", ".join([f"p{at}@north.test" for at in range(41)])))
            page = (await (await member(site)).get(f"{site.inbox('amal')}/1")).text
            shown, folded = page.partition("<article")[2].split('<details class="others">')
            assert "p3@north.test" in shown
            assert "p4@north.test" not in shown
            assert "and 37 more" in folded
            assert "p40@north.test" in folded

    asyncio.run(scenario())


def test_files_are_shown_as_what_cannot_harm(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            message = letter()
            message.add_attachment(PNG, "image", "png", filename="garden.png")
            message.add_attachment("<script>alert(1)</script>", filename="notes.txt")
            message.add_attachment(b"ID3", "audio", "mpeg", filename="song.mp3")
            message.add_attachment(b"<html><script>", "image", "png", filename="lie.png")
            for kind in ("html", "xml"):
                message.add_attachment("<script>alert(1)</script>", subtype=kind, filename="x")
            message.add_attachment(b"<svg/>", "image", "svg+xml", filename="x.svg")
            message.add_attachment(b"%PDF-1.4", "application", "pdf", filename="x.pdf")
            message.add_attachment(b"<html><script>%PDF-", "application", "pdf", filename="l.pdf")
            message.add_attachment(b"%PDF-1.4", "text", "html", filename="h.pdf")
            site.deliver("amal", message)
            amal, path = await member(site), f"{site.inbox('amal')}/1"
            page = (await amal.get(path)).text
            assert f'<img src="{path}/open/2"' in page
            assert f'<audio controls preload="none" src="{path}/open/4">' in page
            for number, media_type, data in (
                (2, "image/png", PNG),
                (3, "text/plain; charset=utf-8", b"<script>alert(1)</script>"),
                (4, "audio/mpeg", b"ID3"),
            ):
                answer = (await amal.get(f"{path}/open/{number}")).response
                assert answer.status_code == 200
                assert answer.headers["content-type"] == media_type
                assert answer.content.strip() == data
                assert answer.headers["content-security-policy"].startswith("sandbox;")
                assert answer.headers["x-content-type-options"] == "nosniff"
            pdf = (await amal.get(f"{path}/open/9")).response
            assert pdf.headers["content-type"] == "application/pdf"
            assert pdf.headers["content-disposition"].startswith("inline")
            assert pdf.headers["x-content-type-options"] == "nosniff"
            assert pdf.headers["cache-control"] == "no-store"
            assert f'href="{path}/open/9"' in page
            # What only says that it is PDF, and PDF that says it is something else.
            for number in (1, 5, 6, 7, 8, 10, 11, 12):
                assert (await amal.get(f"{path}/open/{number}")).status == 404, number
            for number in (5, 6, 7, 8, 9):
                assert (await amal.get(f"{path}/file/{number}")).status == 200, number
            assert (await (await member(site, "basim")).get(f"{path}/open/2")).status == 404

    asyncio.run(scenario())


def test_a_message_in_a_message_is_opened(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            message = letter()
            inner = letter("The inner one", "Inner text", '<img src="https://a.test/x"><b>Form</b>')
            inner.add_attachment(b"x", "application", "zip", filename="deep.zip")
            message.add_attachment(results("dmarc=pass") + inner.as_bytes(), "message", "rfc822")
            site.deliver("amal", message)
            amal, path = await member(site), f"{site.inbox('amal')}/1"
            page = (await amal.get(path)).text
            assert f'href="{path}/enclosed/2"' in page
            assert "deep.zip" not in page
            page = (await amal.get(f"{path}/enclosed/2")).text
            assert "The inner one" in page
            assert "It was not checked by this server." in page
            assert 'class="proof' not in page
            assert f'src="{path}/enclosed/2/html"' in page
            frame = (await amal.get(f"{path}/enclosed/2/html")).response
            assert "<b>Form</b>" in frame.text
            assert "a.test" not in frame.text
            assert frame.headers["content-security-policy"].startswith("sandbox ")
            frame = (await amal.get(f"{path}/enclosed/2/html?pictures=1")).response
            assert "/picture?url=https%3A%2F%2Fa.test%2Fx" in frame.text
            assert "Inner text" in (await amal.get(f"{path}/enclosed/2?view=text")).text
            for number in ("1", "3", "2.1", "x"):
                assert (await amal.get(f"{path}/enclosed/{number}")).status == 404
            basim = await member(site, "basim")
            assert (await basim.get(f"{path}/enclosed/2")).status == 404

    asyncio.run(scenario())


def threaded(number: int, *parents: int, text: str = "Words.\n") -> EmailMessage:
    message = letter("Re: Plans" if parents else "Plans", text, sender=f"p{number}@south.test")
    del message["Message-ID"]
    message["Message-ID"] = f"<{number}@south.test>"
    if parents:
        message["References"] = " ".join([f"<{parent}@south.test>" for parent in parents])
    return message


def unread(site: Site, mailbox_id: MailboxId) -> list[int]:
    """Return the UIDs of what nobody has read."""
    found = site.store.read_now(lambda conn: newest_summaries(conn, mailbox_id, 100))
    return sorted([one.uid for one, _ in found if "\\Seen" not in one.flags])


def messages(page: str) -> list[tuple[str, bool]]:
    """Return the messages of a conversation as a page has them, and whether each is whole."""
    found = re.findall(r'<(div|details) class="[^"]*"(?: open)? data-message="([\d.]+)"', page)
    return [(name, kind == "details") for kind, name in found]


def put_sent(site: Site, login: str, message: EmailMessage) -> MailboxId:
    """Put a message into Sent, read."""
    account_id, sent = site.entry(login).account_id, role(site, login, "sent")
    blob = site.store.blobs.stage([message.as_bytes()])
    put = PutMessage(account_id, sent, blob, frozenset({"\\Seen"}), NOW_MS)
    site.store.write_now(put_messages, put)
    return sent


def test_a_conversation_is_read_on_one_page(store: Store) -> None:
    """What was opened and what nobody has read is whole, and read then; the rest is folded."""

    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", threaded(1, text="The first words.\n"))
            site.deliver("amal", threaded(2, 1, text="The answer of two.\n"))
            site.deliver("amal", letter("Something else", sender="q@south.test"))
            site.deliver("basim", threaded(4, 1))
            site.deliver("amal", threaded(3, 1, 2, text="The words of three.\n"))
            amal, inbox, box = await member(site), site.inbox("amal"), site.entry("amal").inbox
            await amal.get(f"{inbox}/1")  # alone, as nothing is indexed
            sent = put_sent(site, "amal", threaded(5, 1, text="My own words.\n"))
            await Indexer(store).index_waiting()
            assert unread(site, box) == [2, 3, 4]
            page = (await amal.get(f"{inbox}/4")).text
            shown = {f"{box}.1": False, f"{box}.2": True, f"{box}.4": True, f"{sent}.1": False}
            assert dict(messages(page)) == shown
            words = page.partition('<div class="conversation"')[2]
            assert words.index(f'data-message="{box}.1"') < words.index("The answer of two.")
            assert words.index("The answer of two.") < words.index("The words of three.")
            assert f'<a href="{inbox}/1" data-unfold>' in page
            assert f'href="/compose?reply={box}.2"' in page
            assert "p4@south.test" not in page
            assert "q@south.test" not in page
            assert unread(site, box) == [3]
            # Counts at the side are those after it.
            assert re.search(rf'data-mailbox="{box}".*?unread:</span> 1<', page, re.DOTALL)
            # A folded one is read when a script asks for it, alone.
            site.deliver("amal", threaded(6, 1, text="The last words.\n"))
            await Indexer(store).index_waiting()
            page = (await amal.get(f"{inbox}/1?alone=1")).text
            assert messages(page) == [(f"{box}.1", True)]
            assert unread(site, box) == [3, 5]
            await amal.post(inbox, uid="1", action="delete")
            assert (f"{box}.1", False) not in messages((await amal.get(f"{inbox}/2")).text)

    asyncio.run(scenario())


def test_a_browser_that_looks_ahead_has_read_nothing(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in (1, 2):
                site.deliver("amal", threaded(number, *range(1, number)))
            await Indexer(sqlite_store).index_waiting()
            amal, box = await member(site), site.entry("amal").inbox
            page = await amal.get(f"/mail/{box}/2", **{"Sec-Purpose": "prefetch"})
            assert messages(page.text) == [(f"{box}.1", True), (f"{box}.2", True)]
            assert unread(site, box) == [1, 2]

    asyncio.run(scenario())


def test_a_long_conversation_is_folded(sqlite_store: Store) -> None:
    """A page has no more whole messages than a reader sees, and no more text."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in range(1, MOST_WHOLE + 6):
                site.deliver("amal", threaded(number, *range(1, number)))
            site.deliver("amal", threaded(90, 1, text="Long words. " * 9000))
            await Indexer(sqlite_store).index_waiting()
            amal, box = await member(site), site.entry("amal").inbox
            page = (await amal.get(f"/mail/{box}/1")).text
            assert sum([is_whole for _, is_whole in messages(page)]) == MOST_WHOLE
            assert messages(page)[-1] == (f"{box}.{MOST_WHOLE + 6}", False)
            assert "6 later messages" in page
            assert len(gzip.compress(page.encode())) < 20_000
            assert len(unread(site, box)) == 6
            last = f"/mail/{box}/{MOST_WHOLE + 6}"
            page = (await amal.get(last)).text
            assert messages(page)[-1] == (f"{box}.{MOST_WHOLE + 6}", True)
            assert "20 earlier messages" in page
            assert not unread(site, box)

    asyncio.run(scenario())


def test_without_conversations_a_page_has_one_message(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in (1, 2):
                site.deliver("amal", threaded(number, *range(1, number)))
            await Indexer(sqlite_store).index_waiting()
            settings = NewSettings(site.entry("amal").account_id, {"conversations": "no"})
            site.store.write_now(set_settings, settings)
            amal, box = await member(site), site.entry("amal").inbox
            page = (await amal.get(f"/mail/{box}/2")).text
            assert messages(page) == [(f"{box}.1", False)]
            assert f'<article class="letter card" data-message="{box}.2">' in page
            assert f'<a href="/mail/{box}/1">' in page
            assert unread(site, box) == [1]
            state = (await amal.get(f"/mail/{box}/2/state")).text
            assert messages(state) == [(f"{box}.1", False), (f"{box}.2", False)]
            assert "data-unfold" not in state

    asyncio.run(scenario())


def test_a_draft_in_a_conversation_is_opened_to_be_written_on(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", threaded(1))
            account_id, drafts = site.entry("amal").account_id, role(site, "amal", "drafts")
            blob = site.store.blobs.stage([threaded(2, 1).as_bytes()])
            put = PutMessage(account_id, drafts, blob, frozenset({"\\Draft"}), NOW_MS)
            site.store.write_now(put_messages, put)
            await Indexer(sqlite_store).index_waiting()
            amal, box = await member(site), site.entry("amal").inbox
            page = (await amal.get(f"/mail/{box}/1")).text
            assert sorted(messages(page)) == sorted([(f"{box}.1", True), (f"{drafts}.1", False)])
            assert f'<a href="/mail/{drafts}/1">' in page

    asyncio.run(scenario())


def test_the_state_of_an_open_message(store: Store) -> None:
    """What a script compares: flags of each message, new ones, and nothing is marked as read."""

    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("amal", threaded(1))
            amal, inbox, box = await member(site), site.inbox("amal"), site.entry("amal").inbox
            page = (await amal.get(f"{inbox}/1")).text
            assert f'data-state="{inbox}/1/state"' in page
            assert "This message was moved or deleted by another program." in page
            site.deliver("amal", threaded(2, 1))
            await Indexer(store).index_waiting()
            await amal.post(inbox, uid="1", action="flag")
            state = (await amal.get(f"{inbox}/1/state")).text
            assert messages(state) == [(f"{box}.1", False), (f"{box}.2", False)]
            assert 'value="unflag"' in state.partition(f'data-message="{box}.1"')[2]
            known, now = [
                json.loads(unescape(re.findall(r'data-modseqs="([^"]+)"', text)[0]))
                for text in (page, state)
            ]
            assert known[str(box)] < now[str(box)]
            assert unread(site, box) == [2]
            basim = await member(site, "basim")
            assert (await basim.get(f"{inbox}/1/state")).status == 404
            await amal.post(inbox, uid="1", action="delete")
            assert (await amal.get(f"{inbox}/1/state")).status == 404

    asyncio.run(scenario())


def test_a_mailbox_that_may_be_read_but_not_seen_has_no_pages(sqlite_store: Store) -> None:
    """So nothing in it is marked as read (RFC 4314 section 2.1)."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            message = threaded(1)
            message.add_attachment(letter())
            site.deliver("amal", message)
            inbox, entry = site.inbox("amal"), site.entry("amal")
            grant = Grant("basim", frozenset("rs"))
            site.store.write_now(change_rights, ChangeRights(entry.account_id, "INBOX", grant))
            basim = await member(site, "basim")
            for path in ("", "/1", "/1?alone=1", "/1/state", "/1/enclosed/2"):
                assert (await basim.get(inbox + path)).status == 404, path
            assert unread(site, entry.inbox) == [1]

    asyncio.run(scenario())


LIST = (
    b"List-Unsubscribe: <https://list.test:%d/u?1>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"DKIM-Signature: v=1; d=list.test; b=abcdefgh; h=List-Unsubscribe:List-Unsubscribe-Post\r\n"
)
SIGNED = results("dkim=pass header.d=list.test header.b=abcdefgh")


@pytest.mark.parametrize("status", ["200 OK", "500 No", "302 Found"])
def test_a_mailing_list_is_left_in_one_click(
    sqlite_store: Store, tmp_path: Path, status: str
) -> None:
    authority = TestAuthority(tmp_path)

    async def scenario() -> None:
        said = {"/u?1": answer(b"", "text/plain", status, Location="https://list.test/x")}
        zone = {"list.test": {"A": ["127.0.0.1"]}}
        async with (
            web_server(said, tls=authority.server_context("list.test")) as far,
            visiting(
                sqlite_store,
                zone,
                tls=authority.client_context(),
                private_networks=("127.0.0.1",),
            ) as site,
        ):
            site.deliver("amal", SIGNED + LIST % far.port + letter().as_bytes())
            site.deliver("amal", LIST % far.port + letter().as_bytes())
            amal, inbox = await member(site), site.inbox("amal")
            page = await amal.get(f"{inbox}/1")
            assert f'action="{inbox}/1/unsubscribe"' in page.text
            done = await amal.post(f"{inbox}/1/unsubscribe")
            assert done.location == f"{inbox}/1"
            page = await amal.get(done.location)
            assert ("You are unsubscribed." in page.text) is (status == "200 OK")
            assert ("did not accept the request" in page.text) is (status != "200 OK")
            assert len(far.asked) == 1
            assert far.asked[0].endswith(b"\r\n\r\nList-Unsubscribe=One-Click")
            assert b"ookie" not in far.asked[0]
            # Without a valid signature a page is offered instead.
            page = await amal.get(f"{inbox}/2")
            assert "Unsubscribe on a web page" in page.text
            assert (await amal.post(f"{inbox}/2/unsubscribe")).status == 404
            basim = await member(site, "basim")
            assert (await basim.post(f"{inbox}/1/unsubscribe")).status == 404
            assert len(far.asked) == 1

    asyncio.run(scenario())


def test_quotes_are_folded_in_a_text(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter(text="Yes.\n\n> Shall we?\n>> When?\n"))
            page = (await (await member(site)).get(f"{site.inbox('amal')}/1")).text
            words = page.partition('<div class="words">')[2].partition("</article>")[0]
            inside = re.sub(r"\s+", "", words.partition("<details")[2].partition("</details>")[0])
            assert "Yes." in words.partition("<details")[0]
            assert inside.endswith(
                '<blockquote><pdir="ltr">Shallwe?</p><blockquote><pdir="ltr">When?</p>'
                "</blockquote></blockquote>"
            )

    asyncio.run(scenario())
