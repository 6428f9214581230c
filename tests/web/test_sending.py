"""After Send: take a message back, send it later, the copy in Sent."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.policy import default
from zoneinfo import ZoneInfo

import pytest

from kit.site import Page, Site, letter, visiting
from kit.store import NOW_MS
from kit.webmail import journey_of_sent, member, newest, role, uids
from zajil.core.ids import MailId
from zajil.store.engine.open import Store
from zajil.store.mail.summaries import write_summaries
from zajil.store.people.settings import NewSettings, set_settings
from zajil.store.queue.queue import Claim, claim
from zajil.web.webmail.scheduled import read_time

TEXT = ("notes.txt", b"a file\r\n", "text/plain")


def wait_seconds(site: Site, login: str, seconds: int) -> None:
    account_id = site.entry(login).account_id
    site.store.write_now(set_settings, NewSettings(account_id, {"undo_seconds": str(seconds)}))


def mail_of(page: Page) -> str:
    return page.field("mail_id")


@pytest.mark.parametrize("to", ["basim@north.test", "far@south.test, basim@north.test"])
def test_a_message_is_taken_back_and_is_a_draft_again(store: Store, to: str) -> None:
    """Review: undo send, for all recipients, also those here; Bcc and files are still there."""

    async def scenario() -> None:
        async with visiting(store) as site:
            wait_seconds(site, "amal", 10)
            amal, sent = await member(site, "amal"), role(site, "amal", "sent")
            answer = await amal.upload(
                "/compose", TEXT, to=to, bcc="سلمى@زاجل.test", subject="Oops", body="مرحبا\n"
            )
            assert answer.location == "/mail"
            told = await amal.get(f"/mail/{role(site, 'amal', 'inbox')}")
            assert "Message sent." in told.text
            # Nobody has it yet; its author sees it in Sent.
            assert uids(site, site.entry("basim").inbox) == []
            assert uids(site, site.entry("salma").inbox) == []
            assert len(uids(site, sent)) == 1
            copy = message_from_bytes(newest(site, sent), policy=default)
            assert copy["Bcc"] == "سلمى@زاجل.test"
            undone = await amal.post("/compose/undo", mail_id=mail_of(told))
            form = await amal.get(undone.location)
            assert form.field("to") == to
            assert form.field("bcc") == "سلمى@زاجل.test"
            assert form.field("subject") == "Oops"
            assert "notes.txt" in form.text
            assert uids(site, sent) == []
            # Nothing is left in the queue, and the journey says who took it back.
            leased = site.store.write_now(
                claim, Claim("w", "t", NOW_MS + 100_000, NOW_MS + 200_000, 10)
            )
            assert leased == []
            journey = await amal.get(f"/journey/{mail_of(told)}")
            assert "The sender took the message back" in journey.text
            again = await amal.post("/compose/undo", mail_id=mail_of(told))
            assert again.location == "/mail"
            draft = message_from_bytes(newest(site, role(site, "amal", "drafts")), policy=default)
            assert draft["Received"] is None

    asyncio.run(scenario())


def test_what_is_under_way_is_not_taken_back(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            wait_seconds(site, "amal", 5)
            amal = await member(site, "amal")
            await amal.upload("/compose", to="basim@north.test", subject="s", body="b")
            told = await amal.get(f"/mail/{role(site, 'amal', 'inbox')}")
            item = Claim("worker", "token", NOW_MS + 6000, NOW_MS + 60_000, 10)
            assert site.store.write_now(claim, item)
            late = await amal.post("/compose/undo", mail_id=mail_of(told))
            assert late.location == "/mail"
            page = await amal.get(f"/mail/{role(site, 'amal', 'inbox')}")
            assert "This action can no longer be undone." in page.text
            assert uids(site, role(site, "amal", "drafts")) == []
            assert len(uids(site, role(site, "amal", "sent"))) == 1

    asyncio.run(scenario())


def test_nobody_takes_back_anothers_message(sqlite_store: Store) -> None:
    """Attacks E: an id is never enough."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            wait_seconds(site, "amal", 10)
            amal, basim = await member(site, "amal"), await member(site, "basim")
            await amal.upload("/compose", to="basim@north.test", subject="s", body="b")
            told = await amal.get(f"/mail/{role(site, 'amal', 'inbox')}")
            await basim.post("/compose/undo", mail_id=mail_of(told))
            assert len(uids(site, role(site, "amal", "sent"))) == 1
            assert uids(site, role(site, "basim", "drafts")) == []
            assert (await basim.post("/compose/undo", mail_id="x")).status == 400

    asyncio.run(scenario())


def test_a_message_is_scheduled_listed_and_cancelled(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal = await member(site, "amal")
            at = "2030-01-01T08:30"
            for wrong in ("", "never", "2001-01-01T00:00", "9999-12-31T23:59"):
                page = await amal.upload(
                    "/compose", action="later", send_at=wrong, to="basim@north.test", body="b"
                )
                assert page.status == 422
                assert "Choose a date and time in the future." in page.text
            at = "2023-12-24T08:30"
            await amal.upload(
                "/compose", action="later", send_at=at, to="basim@north.test", subject="L", body="b"
            )
            told = await amal.get(f"/mail/{role(site, 'amal', 'inbox')}")
            assert "The message is scheduled." in told.text
            await amal.get(f"/mail/{role(site, 'amal', 'sent')}")  # its summary is written
            await site.store.write(write_summaries, ())
            listed = await amal.get("/scheduled")
            assert ">L</a>" in listed.text
            assert "basim@north.test" in listed.text
            assert uids(site, site.entry("basim").inbox) == []
            other = await member(site, "basim")
            assert ">L</a>" not in (await other.get("/scheduled")).text
            opened = await amal.post("/compose/undo", mail_id=mail_of(listed))
            assert (await amal.get(opened.location)).field("subject") == "L"
            assert "No messages are scheduled." in (await amal.get("/scheduled")).text

    asyncio.run(scenario())


def test_after_a_reply_one_is_back_where_one_was(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", letter())
            amal, inbox = await member(site, "amal"), site.entry("amal").inbox
            answer = await amal.upload(
                "/compose",
                to="basim@north.test",
                subject="s",
                body="b",
                kind="reply",
                source=f"{inbox}.1",
            )
            assert answer.location == f"/mail/{inbox}"
            assert MailId((await journey_of_sent(amal)).rpartition("/")[2])

    asyncio.run(scenario())


def test_a_script_is_told_where_to_go(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            page = await amal.post(
                "/compose",
                {"accept": "application/json"},
                to="basim@north.test",
                subject="s",
                body="b",
            )
            assert page.response.json() == {"next": "/mail"}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2023-11-15T01:30", 1_700_001_000_000),
        ("2023-11-15T01:30:00", 1_700_001_000_000),
        ("2023-11-15T01:30+00:00", None),
        ("2023-11-15", None),
        ("2023-11-15T25:30", None),
        ("0001-01-01T00:00", None),
        (None, None),
    ],
)
def test_a_time_is_read_in_the_zone_of_its_reader(text: str | None, at_ms: int | None) -> None:
    assert read_time(text, ZoneInfo("Asia/Riyadh"), NOW_MS) == at_ms
