"""What a letter begins with, and what its author is asked before it goes."""

from __future__ import annotations

import asyncio
from html import unescape
from typing import Any

import pytest

from kit.site import Page, Site, letter, visiting
from kit.webmail import member, role, uids
from zajil.core.address import parse_address
from zajil.store.engine.open import Store
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.store.people.settings import NewSettings, set_settings

GOOD = {"to": "basim@north.test", "subject": "s", "body": "words"}


def choose(site: Site, login: str, **values: str) -> None:
    site.store.write_now(set_settings, NewSettings(site.entry(login).account_id, values))


def body_of(page: Page) -> str:
    return unescape(page.text.partition("</textarea>")[0].rpartition(">\n")[2])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subject": " "}, "The message has no subject."),
        ({"body": "See the attached plan."}, "mentions an attachment"),
        ({"body": "تجد الخطة في الملف المرفق."}, "mentions an attachment"),
        ({"to": "someone@nroth.test"}, "nroth.test looks like north.test."),
        ({"to": "someone@gmial.com"}, "gmial.com looks like gmail.com."),
    ],
)
def test_a_slip_is_asked_about_once(
    sqlite_store: Store, changes: dict[str, str], words: str
) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal, sent = await member(site, "amal"), role(site, "amal", "sent")
            form: dict[str, Any] = {**GOOD, **changes}
            asked = await amal.upload("/compose", action="send", **form)
            assert asked.status == 422
            assert words in unescape(asked.text)
            assert "Send anyway" in asked.text
            assert uids(site, sent) == []
            gone = await amal.upload("/compose", action="send-anyway", **form)
            assert gone.status == 303
            assert len(uids(site, sent)) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "words\n> see the attached file"},
        {"body": "words\n-- \nattached to the ministry"},
        {"to": "a@gmail.com, b@mail.com, c@other.test"},
        {"body": "I am quite unattached."},
    ],
)
def test_nobody_is_asked_without_a_reason(sqlite_store: Store, changes: dict[str, str]) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            sent = await amal.upload("/compose", **{**GOOD, **changes})
            assert sent.status == 303

    asyncio.run(scenario())


def test_what_is_wrong_comes_before_what_is_doubtful(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            page = await amal.upload("/compose", to="Samir", subject="", body="attached")
            assert "“Samir” is not a valid email address." in page.text
            assert "Send anyway" not in page.text

    asyncio.run(scenario())


def test_a_letter_begins_with_the_signature_of_its_sender(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            sales = parse_address("sales@north.test")
            amal_address = parse_address("amal@north.test")
            await site.store.write(create_alias, AliasRow(sales, (amal_address,)))
            await site.store.directory.load()
            choose(
                site, "amal", signature="Amal\nNorth", signatures='{"sales@north.test": "Sales"}'
            )
            site.deliver("amal", letter(to="amal@north.test"))
            amal, inbox = await member(site, "amal"), site.entry("amal").inbox
            assert body_of(await amal.get("/compose")) == "\n\n-- \nAmal\nNorth"
            reply = body_of(await amal.get(f"/compose?reply={inbox}.1"))
            assert reply.startswith("\n\n-- \nAmal\nNorth\n\nNoor Saleh wrote:")
            assert "\n> Words." in reply
            # A draft has it already.
            saved = await amal.upload("/compose", action="save", body=reply)
            assert body_of(await amal.get(saved.location)) == reply

    asyncio.run(scenario())


def test_there_is_no_signature_where_none_was_chosen(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            assert body_of(await amal.get("/compose?body=x")) == "x"

    asyncio.run(scenario())


def test_whom_one_writes_to_is_remembered(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal = await member(site, "amal")
            for _ in range(2):
                await amal.upload("/compose", **{**GOOD, "to": "Zein <zein@harbour.test>"})
            found = (await amal.get("/contacts/complete?q=zei")).response.json()
            assert [one["text"] for one in found] == ["Zein <zein@harbour.test>"]
            asked = await amal.upload("/compose", **{**GOOD, "to": "zein@harbuor.test"})
            assert "harbuor.test looks like harbour.test." in asked.text

    asyncio.run(scenario())


def test_a_draft_is_not_sent_twice_from_two_windows(store: Store) -> None:
    """The second window is asked; what it has is kept, and can be sent all the same."""

    async def scenario() -> None:
        async with visiting(store) as site:
            amal = await member(site, "amal")
            written: dict[str, Any] = {"to": "basim@north.test", "subject": "Once", "body": "x"}
            saved = await amal.upload("/compose", action="save", **written)
            window: dict[str, Any] = written | {"place": saved.location.partition("=")[2]}
            assert (await amal.upload("/compose", action="send", **window)).status == 303
            for action in ("send", "later"):
                window["send_at"] = "2023-11-20T10:00"
                page = await amal.upload("/compose", action=action, **window)
                assert page.status == 422
                assert "This draft has been changed or sent in another window." in page.text
                assert page.field("subject") == "Once"
            inbox = site.entry("basim").inbox
            assert len(uids(site, inbox)) == 1
            assert (await amal.upload("/compose", action="send-anyway", **window)).status == 303
            assert len(uids(site, inbox)) == 2

    asyncio.run(scenario())
