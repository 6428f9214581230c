"""Reading and writing mail in a browser without JavaScript."""

from __future__ import annotations

import asyncio
import re
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
import sqlalchemy as sa

from kit.mail import make_message
from kit.site import Page, letter, visiting
from kit.store import NOW_MS
from kit.talk import talk_to_receiver
from kit.webmail import member, newest, role, uids
from zajil.core.ids import MAIL_ID_PATTERN
from zajil.store.engine.open import Store
from zajil.store.feedback.training_queue import TrainingClaim, claim_training
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.mail.summaries import newest_summaries, write_summaries
from zajil.store.schema import blob


def test_a_letter_goes_from_one_account_to_another(store: Store) -> None:
    """Write, send, read, answer: through the same door as every submission."""

    async def scenario() -> None:
        async with visiting(store) as site:
            salma = await member(site, "salma")
            await salma.get("/compose")
            sent = await salma.post(
                "/compose",
                to="Amal <amal@north.test>",
                bcc="basim@north.test",
                subject="حديقة آذار",
                body="مرحبا!\r\n\r\nأزهر اللوز.",
                body_direction="rtl",
            )
            assert sent.location == "/mail"
            told = await salma.get(f"/mail/{role(site, 'salma', 'inbox')}")
            assert "Message sent." in told.text
            path = re.search(rf'href="(/journey/{MAIL_ID_PATTERN})"', told.text)
            assert path
            assert "amal@north.test" in (await salma.get(path[1])).text

            amal = await member(site, "amal")
            listed = await amal.get(site.inbox("amal"))
            assert "حديقة آذار" in listed.text
            assert "سلمى الخطيب" in listed.text
            page = await amal.get(f"{site.inbox('amal')}/1?view=text")
            assert '<p dir="rtl">أزهر اللوز.</p>' in page.text
            assert "basim" not in page.text
            assert b"basim" not in newest(site, site.entry("amal").inbox)

            copy = newest(site, role(site, "salma", "sent"))
            assert message_from_bytes(copy, policy=default)["Subject"] == "حديقة آذار"
            answer = await amal.get(f"/compose?reply={site.entry('amal').inbox}.1")
            assert answer.field("to") == "سلمى الخطيب <سلمى@زاجل.test>"
            assert answer.field("subject") == "Re: حديقة آذار"
            assert "&gt; أزهر اللوز." in answer.text

    asyncio.run(scenario())


def test_an_answer_belongs_to_its_thread(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter(to="amal@north.test, basim@north.test"))
            amal = await member(site, "amal")
            form = await amal.get(f"/compose?reply={site.entry('amal').inbox}.1&all=1")
            assert form.field("cc") == "basim@north.test"
            await amal.post(
                "/compose",
                to="basim@north.test",
                subject="Re: A subject",
                body="Yes.",
                in_reply_to=form.field("in_reply_to"),
                references=form.field("references"),
                kind=form.field("kind"),
                source=form.field("source"),
            )
            got = message_from_bytes(newest(site, site.entry("basim").inbox), policy=default)
            assert got["In-Reply-To"].endswith(".rose@south.test>")
            assert got["References"] == got["In-Reply-To"]
            ((answered, _),) = sqlite_store.read_now(
                lambda conn: newest_summaries(conn, site.entry("amal").inbox, 1)
            )
            assert "\\Answered" in answered.flags

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("", "Enter at least one recipient."),
        ("not an address", "“not an address” is not a valid email address."),
        ("nobody@north.test", "nobody@north.test does not exist."),
    ],
)
def test_what_cannot_be_sent_is_not_lost(sqlite_store: Store, to: str, words: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            page = await amal.post("/compose", to=to, subject="<b>s</b>", body="<i>words</i>")
            assert page.status == 422
            assert words in page.text
            assert page.field("subject") == "<b>s</b>"
            assert "&lt;i&gt;words&lt;/i&gt;" in page.text
            assert uids(site, role(site, "amal", "sent")) == []

    asyncio.run(scenario())


def test_nobody_writes_as_somebody_else(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            basim = await member(site, "basim")
            await basim.post(
                "/compose", sender="amal@north.test", to="amal@north.test", subject="s", body="b"
            )
            got = message_from_bytes(newest(site, site.entry("amal").inbox), policy=default)
            assert got["From"].addresses[0].addr_spec == "basim@north.test"

    asyncio.run(scenario())


def test_no_header_field_can_be_smuggled_in(sqlite_store: Store) -> None:
    """Attacks C and D: a line end in a form's field begins no field of the message."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            for field in ("subject", "to", "in_reply_to", "references"):
                form: dict[str, Any] = {"to": "basim@north.test", "subject": "s", "body": "b"}
                form[field] = f"{form.get(field, '<a@b.test>')}\r\nX-Evil: yes"
                await amal.post("/compose", **form)
            for uid in uids(site, site.entry("basim").inbox):
                page = await (await member(site, "basim")).get(
                    f"{site.inbox('basim')}/{uid}/source"
                )
                assert message_from_bytes(page.response.content)["X-Evil"] is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("action", "target"),
    [("archive", "archive"), ("junk", "junk"), ("delete", "trash")],
)
def test_letters_are_moved(store: Store, action: str, target: str) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            for _ in range(3):
                site.deliver("amal", letter())
            amal = await member(site, "amal")
            page = await amal.post(site.inbox("amal"), uid=["1", "3"], action=action)
            assert page.location == site.inbox("amal")
            assert uids(site, site.entry("amal").inbox) == [2]
            assert len(uids(site, role(site, "amal", target))) == 2
            # What a button says of a mail is learned as what a mail program says.
            said = site.store.write_now(claim_training, TrainingClaim(NOW_MS, NOW_MS + 1000))
            kinds = {"archive": ["kept"] * 2, "junk": ["junk"] * 2, "delete": []}
            assert [one.kind for one in said] == kinds[action]

    asyncio.run(scenario())


def test_what_is_deleted_from_the_trash_is_gone(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal, trash = await member(site, "amal"), role(site, "amal", "trash")
            await amal.post(site.inbox("amal"), uid="1", action="delete")
            await amal.post(f"/mail/{trash}", uid=str(uids(site, trash)[0]), action="delete")
            assert uids(site, trash) == []

    asyncio.run(scenario())


def test_reading_marks_a_letter_as_read(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal, inbox = await member(site, "amal"), site.inbox("amal")
            assert 'class="unread"' in (await amal.get(inbox)).text
            await amal.get(f"{inbox}/1", **{"sec-purpose": "prefetch"})
            assert 'class="unread"' in (await amal.get(inbox)).text
            await amal.get(f"{inbox}/1")
            assert 'class="unread"' not in (await amal.get(inbox)).text
            for action, mark in (("unseen", "●"), ("flag", 'name="unstar"')):
                await amal.post(inbox, uid="1", action=action)
                assert mark in (await amal.get(inbox)).text

    asyncio.run(scenario())


def test_a_list_needs_no_message_that_has_a_summary(store: Store) -> None:
    """Who looks at a list before the indexer did has the summaries written."""

    async def scenario() -> None:
        async with visiting(store) as site:
            inbox = site.entry("amal").inbox
            site.deliver("amal", make_message(subject="رسالة <b>"))
            amal = await member(site, "amal")
            read = await amal.get(f"/mail/{inbox}")
            assert "رسالة &lt;b&gt;" in read.text
            # What is written with the next commit is there when the one after it has returned.
            assert await site.store.write(write_summaries, ()) == 0
            page = await site.store.read(lambda conn: newest_summaries(conn, inbox, 9))
            assert all(row.thread_id is not None and found is not None for row, found in page)
            with site.store._dialect.writer.begin() as conn:  # what no unit of work does
                conn.execute(sa.update(blob).values(content=b"", size=0))
            shown = await amal.get(f"/mail/{inbox}")
            assert listed(shown) == listed(read)

    asyncio.run(scenario())


def listed(page: Page) -> str:
    return page.text.partition('<ol class="letters card">')[2].partition("</ol>")[0]


def test_a_long_mailbox_has_pages(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            for number in range(53):
                site.deliver("amal", letter(f"Letter {number:02}"))
            amal = await member(site, "amal")
            first = await amal.get(site.inbox("amal"))
            assert "Letter 52" in first.text
            assert "Letter 02" not in first.text
            older = re.search(r'href="([^"]+\?before=[0-9]+)[&"]', first.text)
            assert older
            second = await amal.get(older[1])
            assert "Letter 02" in second.text
            assert "Letter 03" not in second.text

    asyncio.run(scenario())


@pytest.mark.parametrize("at_ms", [253_402_300_800_000, -62_135_596_800_001])
def test_a_time_that_no_calendar_has_breaks_no_page(sqlite_store: Store, at_ms: int) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            inbox = role(site, "amal", "inbox")
            staged = site.store.blobs.stage([b"Subject: far away\r\n\r\nx\r\n"])
            account_id = site.entry("amal").account_id
            item = PutMessage(account_id, inbox, staged, frozenset(), at_ms)
            await site.store.write(put_messages, item)
            amal = await member(site, "amal")
            listed = await amal.get(f"/mail/{inbox}")
            assert "far away" in listed.text
            (uid,) = uids(site, inbox)
            shown = await amal.get(f"/mail/{inbox}/{uid}")
            assert "far away" in shown.text

    asyncio.run(scenario())


@pytest.mark.parametrize("end", ["", "/1", "/1/html", "/1/source", "/1/file/2"])
def test_nobody_reads_anothers_mail(sqlite_store: Store, end: str) -> None:
    """Attacks E: an id is never enough, it must be the account's own."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter(html="<p>x</p>"))
            basim = await member(site, "basim")
            assert (await basim.get(site.inbox("amal") + end)).status == 404

    asyncio.run(scenario())


def test_nobody_acts_on_anothers_mail(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            basim = await member(site, "basim")
            page = await basim.post(site.inbox("amal"), uid="1", action="delete")
            assert page.status == 404
            assert uids(site, site.entry("amal").inbox) == [1]
            quoted = await basim.get(f"/compose?reply={site.entry('amal').inbox}.1")
            assert "Words" not in quoted.text

    asyncio.run(scenario())


def test_a_file_is_downloaded_and_never_shown(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            message = letter()
            message.add_attachment(
                b"<script>alert(1)</script>", maintype="text", subtype="html", filename="صورة.html"
            )
            site.deliver("amal", message)
            amal = await member(site, "amal")
            shown = await amal.get(f"{site.inbox('amal')}/1")
            assert "صورة.html" in shown.text
            path = re.search(r'href="(/mail/[0-9/]+/file/[0-9.]+)"', shown.text)
            assert path
            answer = (await amal.get(path[1])).response
            assert answer.content == b"<script>alert(1)</script>"
            assert answer.headers["content-type"] == "application/octet-stream"
            assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
            assert answer.headers["content-security-policy"] == "sandbox"
            assert (await amal.get(f"{site.inbox('amal')}/1/file/1")).status == 404

    asyncio.run(scenario())


def test_the_message_itself_comes_byte_for_byte(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            raw = letter().as_bytes()
            site.deliver("amal", raw)
            amal = await member(site, "amal")
            got = (await amal.get(f"{site.inbox('amal')}/1/source")).response.content
            assert got == b"Delivered-To: amal@north.test\r\n" + raw

    asyncio.run(scenario())


ODD = [
    b"",
    b"\x00\xff\xfe",
    b"Subject",
    b"From: \xff\xfe\r\nSubject: =?utf-8?b?////?=\r\n\r\n\x80",
    b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n--a\r\n--a--",
    b"Content-Type: text/html; charset=nonsense\r\n\r\n<p>\xff",
]


@pytest.mark.parametrize("raw", ODD)
def test_odd_bytes_are_shown_somehow(sqlite_store: Store, raw: bytes) -> None:
    async def scenario() -> Page:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", raw)
            amal = await member(site, "amal")
            assert (await amal.get(site.inbox("amal"))).status == 200
            return await amal.get(f"{site.inbox('amal')}/1")

    assert asyncio.run(scenario()).status == 200


def test_a_letter_in_junk_says_why_it_lies_there(sqlite_store: Store) -> None:
    """Design section 1, promise 5: every verdict explains itself, to its reader in a sentence."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            talk = await talk_to_receiver(sqlite_store)
            forged = b"From: a@b.test\r\nFrom: c@d.test\r\nSubject: two\r\n\r\nhello\r\n"
            reply = await talk.send("a@b.test", ["amal@north.test"], forged)
            assert reply.startswith("250 ")
            junk = role(site, "amal", "junk")
            amal = await member(site, "amal")
            (uid,) = uids(site, junk)
            page = await amal.get(f"/mail/{junk}/{uid}")
            assert "The message has more than one From field." in page.text
            arabic = site.browser(**{"accept-language": "ar"})
            await arabic.log_in("amal")
            assert (
                "سبب وجود هذه الرسالة في البريد غير الهام:"
                in (await arabic.get(f"/mail/{junk}/{uid}")).text
            )

    asyncio.run(scenario())
