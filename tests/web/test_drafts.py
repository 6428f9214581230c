"""Letters that are not sent yet: saved, continued, kept when the session is over."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.policy import SMTP, default
from html import unescape

import pytest

from kit.site import Page, letter, visiting
from kit.webmail import member, newest, put_draft, role, uids
from zajil.core.ids import Uid
from zajil.store.engine.open import Store
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.web.webmail.compose_form import Letter, pack_letter, unpack_letter


def body_of(page: Page) -> str:
    return unescape(page.text.partition("</textarea>")[0].rpartition(">")[2].removeprefix("\n"))


def test_a_draft_is_saved_continued_and_sent(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal, drafts = await member(site, "amal"), role(site, "amal", "drafts")
            await amal.get("/compose")
            text = "First line\n\n  indented\n> not a quote\nمرحبا"
            saved = await amal.upload(
                "/compose",
                action="save",
                to="Basim",
                bcc="basim@north.test",
                subject="آ",
                body=text,
            )
            assert saved.location == f"/compose?draft={drafts}/1"
            form = await amal.get(saved.location)
            assert form.field("to") == "Basim"
            assert form.field("bcc") == "basim@north.test"
            assert form.field("subject") == "آ"
            assert body_of(form) == text
            assert "Saved " in form.text
            # Any program sees it.
            message = message_from_bytes(newest(site, drafts), policy=default)
            assert message["Bcc"] == "basim@north.test"
            assert message["Subject"] == "آ"
            again = await amal.upload(
                "/compose",
                action="save",
                place=form.field("place"),
                to="basim@north.test",
                subject="B",
                body="more",
            )
            assert again.location == f"/compose?draft={drafts}/2"
            assert uids(site, drafts) == [2]
            listed = await amal.get(f"/mail/{drafts}/2")
            assert listed.location == again.location
            form = await amal.get(again.location)
            sent = await amal.upload(
                "/compose",
                action="send",
                place=form.field("place"),
                to="basim@north.test",
                subject="B",
                body="more",
            )
            assert sent.status == 303
            assert uids(site, drafts) == []
            got = message_from_bytes(newest(site, site.entry("basim").inbox), policy=default)
            assert got["Subject"] == "B"
            assert got["X-Zajil-Draft"] is None

    asyncio.run(scenario())


def test_a_draft_of_another_program_is_continued(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            made = letter("Begun elsewhere", "One line \nthat goes on\n-- \nNoor\n", to="a@b.test")
            made["Cc"] = "Sami <sami@south.test>"
            made["Bcc"] = "hidden@south.test"
            made.replace_header("Content-Type", 'text/plain; charset="utf-8"; format=flowed')
            place = put_draft(site, "amal", made.as_bytes(policy=SMTP))
            amal = await member(site, "amal")
            form = await amal.get(f"/compose?draft={place}")
            assert form.field("cc") == "Sami <sami@south.test>"
            assert form.field("bcc") == "hidden@south.test"
            assert body_of(form) == "One line that goes on\n-- \nNoor"

    asyncio.run(scenario())


def test_a_draft_that_has_only_html_has_its_words(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            raw = b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>Hello <b>you</b></p>\r\n"
            place = put_draft(site, "amal", raw)
            form = await (await member(site, "amal")).get(f"/compose?draft={place}")
            assert "Hello you" in body_of(form)

    asyncio.run(scenario())


def test_two_windows_lose_nothing(store: Store) -> None:
    """Saving a draft that was saved elsewhere meanwhile keeps both."""

    async def scenario() -> None:
        async with visiting(store) as site:
            amal, drafts = await member(site, "amal"), role(site, "amal", "drafts")
            first = await amal.upload("/compose", action="save", subject="one", body="x")
            place = first.location.partition("=")[2]
            await amal.upload("/compose", action="save", place=place, subject="two", body="x")
            third = await amal.upload(
                "/compose", action="save", place=place, subject="three", body="x"
            )
            assert third.location == f"/compose?draft={drafts}/3&second=1"
            said = "What you wrote here is saved as a second draft."
            assert said in (await amal.get(third.location)).text
            assert sorted(uids(site, drafts)) == [2, 3]
            # The address of what is gone leads to the drafts.
            gone = await amal.get(f"/compose?draft={place}")
            assert gone.location == f"/mail/{drafts}"

    asyncio.run(scenario())


def test_only_a_draft_is_replaced(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal, inbox = await member(site, "amal"), site.entry("amal").inbox
            await amal.upload("/compose", action="save", place=f"{inbox}/1", body="x")
            await amal.upload(
                "/compose", place=f"{inbox}/1", to="basim@north.test", subject="s", body="x"
            )
            assert uids(site, inbox) == [1]

    asyncio.run(scenario())


def test_nobody_opens_or_replaces_anothers_draft(sqlite_store: Store) -> None:
    """Attacks E: an id is never enough, it must be the account's own."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            place = put_draft(site, "amal", letter("Secret").as_bytes(policy=SMTP))
            basim = await member(site, "basim")
            page = await basim.get(f"/compose?draft={place}")
            assert page.status == 303
            assert "Secret" not in page.text
            await basim.upload("/compose", action="save", place=place, body="x")
            assert uids(site, role(site, "amal", "drafts")) == [1]

    asyncio.run(scenario())


def test_a_letter_outlives_its_session(sqlite_store: Store) -> None:
    """The session is over at Send: the log-in keeps the letter, and saves it."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            await amal.get("/compose")
            amal.cookies.clear()
            asked = await amal.upload(
                "/compose", action="send", to="basim@north.test", subject='"q"', body="Wörds\nمرحبا"
            )
            assert asked.status == 403
            assert "Your message is kept" in asked.text
            amal.csrf = asked.field("csrf")
            kept = asked.field("kept")
            wrong = await amal.upload("/login", login="amal", password="no", kept=kept)
            assert wrong.field("kept") == kept
            amal.csrf = wrong.field("csrf")
            entered = await amal.upload(
                "/login", login="amal", password="a pigeon's password", kept=kept, next="/mail"
            )
            drafts = role(site, "amal", "drafts")
            assert entered.location == f"/compose?draft={drafts}/1"
            form = await amal.get(entered.location)
            assert form.field("subject") == '"q"'
            assert body_of(form) == "Wörds\nمرحبا"
            assert uids(site, site.entry("basim").inbox) == []

    asyncio.run(scenario())


def test_a_letter_with_the_token_of_an_older_session_is_shown_again(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            page = await amal.upload(
                "/compose", csrf="0" * 64, to="basim@north.test", subject="s", body="words"
            )
            assert page.status == 403
            assert body_of(page) == "words"
            assert uids(site, site.entry("basim").inbox) == []
            sent = await amal.upload(
                "/compose", csrf=page.field("csrf"), to="basim@north.test", subject="s", body="w"
            )
            assert sent.status == 303

    asyncio.run(scenario())


def test_a_full_mailbox_keeps_the_text_on_the_page(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            with site.store._dialect.writer.begin() as conn:
                conn.exec_driver_sql("UPDATE account SET quota_messages = 1")
            await amal.upload("/compose", action="save", body="one")
            page = await amal.upload("/compose", action="save", body="two")
            assert page.status == 422
            assert "Your mailbox is full" in page.text
            assert body_of(page) == "two"

    asyncio.run(scenario())


def test_an_answer_that_was_a_draft_marks_its_message(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal, inbox = await member(site, "amal"), site.entry("amal").inbox
            form = await amal.get(f"/compose?reply={inbox}.1")
            fields = ("to", "subject", "in_reply_to", "references", "kind", "source")
            saved = await amal.upload(
                "/compose", action="save", body="Yes", **{name: form.field(name) for name in fields}
            )
            form = await amal.get(saved.location)
            values = {name: form.field(name) for name in (*fields, "place")}
            await amal.upload("/compose", body="Yes", **{**values, "to": "basim@north.test"})
            got = message_from_bytes(newest(site, site.entry("basim").inbox), policy=default)
            assert got["In-Reply-To"].endswith(".rose@south.test>")
            page = await amal.get(f"/mail/{inbox}/1")
            assert page.status == 200
            flags = site.store.read_now(lambda conn: _flags(conn, inbox))
            assert "\\Answered" in flags

    asyncio.run(scenario())


def _flags(conn: object, mailbox_id: object) -> frozenset[str]:
    from zajil.store.mail.messages import get_messages

    return get_messages(conn, mailbox_id, [Uid(1)])[0].flags  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"to": 1, "files": 2}', "[" * 100_000, '{"files": ["9.9/x"]}', None]
)
def test_what_no_log_in_form_kept_is_harmless(text: object) -> None:
    assert unpack_letter(text) in (None, Letter())


def test_a_letter_is_kept_whole() -> None:
    written = Letter(to="a", cc="b", bcc="c", subject="\u2028", body="\n\nx\n", kind="reply")
    assert unpack_letter(pack_letter(written)) == written


def test_a_draft_in_the_trash_is_restored_by_saving_it(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, drafts = await member(site, "amal"), role(site, "amal", "drafts")
            await amal.upload("/compose", action="save", subject="back", body="x")
            await amal.post(f"/mail/{drafts}", uid="1", action="delete")
            trash = role(site, "amal", "trash")
            place = f"{trash}/{uids(site, trash)[0]}"
            form = await amal.get(f"/compose?draft={place}")
            assert form.field("subject") == "back"
            await amal.upload("/compose", action="save", place=place, subject="back", body="x")
            assert uids(site, trash) == []
            assert len(uids(site, drafts)) == 1

    asyncio.run(scenario())


def test_a_draft_that_went_while_it_was_saved_is_kept(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, drafts = await member(site, "amal"), role(site, "amal", "drafts")
            await amal.upload("/compose", action="save", subject="one", body="x")
            account_id = site.entry("amal").account_id
            gone = ExpungeMessages(account_id, drafts, (Uid(1),), deleted_only=False)
            await site.store.write(expunge_messages, gone)
            await amal.upload("/compose", action="save", place=f"{drafts}/1", body="mine")
            assert len(uids(site, drafts)) == 1

    asyncio.run(scenario())
