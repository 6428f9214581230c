"""What stands around the text of a letter: previews of its files, read receipts, its language."""

from __future__ import annotations

import asyncio
import re
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest

from kit.site import visiting
from kit.webmail import member, newest, role
from zajil.store.engine.open import Store
from zajil.store.people.settings import NewSettings, set_settings

PNG = ("cat.png", b"\x89PNG\r\n\x1a\n" + bytes(99), "image/png")
TEXT = ("notes.txt", "ملاحظات".encode(), "text/plain")
SOUND = ("a.ogg", b"OggS", "audio/ogg")
PDF = ("a.pdf", b"%PDF-1.7", "application/pdf")


def test_files_are_shown_before_they_are_sent(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal = await member(site, "amal")
            await amal.get("/compose")
            saved = await amal.upload("/compose", PNG, TEXT, SOUND, PDF, action="attach")
            page = await amal.get(saved.location)
            links = re.findall(r'<a href="([^"]+)"[^>]*><span class="filename"', page.text)
            answers = [(await amal.get(link)).response for link in links]
            assert [one.content for one in answers] == [PNG[1], TEXT[1], SOUND[1], PDF[1]]
            assert [one.headers["content-type"] for one in answers] == [
                "image/png",
                "text/plain; charset=utf-8",
                "audio/ogg",
                "application/pdf",
            ]
            assert f'<img src="{links[0]}"' in page.text
            assert f'<audio controls preload="none" src="{links[2]}"' in page.text
            basim = await member(site, "basim")
            assert [(await basim.get(link)).status for link in links] == [404] * 4

    asyncio.run(scenario())


def test_a_read_receipt_is_asked_for(sqlite_store: Store) -> None:
    """RFC 8098 section 2.1; the wish is kept in the draft, and comes back with an undo."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            account_id = site.entry("amal").account_id
            site.store.write_now(set_settings, NewSettings(account_id, {"undo_seconds": "10"}))
            amal = await member(site, "amal")
            form: dict[str, Any] = {"to": "basim@north.test", "subject": "s", "body": "b"}
            await amal.get("/compose")
            saved = await amal.upload("/compose", action="save", receipt="1", **form)
            page = await amal.get(saved.location)
            assert 'name="receipt" value="1" checked' in page.text
            form["place"] = page.field("place")
            await amal.upload("/compose", action="send", receipt="1", **form)
            sent = message_from_bytes(newest(site, role(site, "amal", "sent")), policy=default)
            assert sent["Disposition-Notification-To"] == "amal@north.test"
            told = await amal.get("/folders")
            undone = await amal.post("/compose/undo", mail_id=told.field("mail_id"))
            page = await amal.get(undone.location)
            assert 'name="receipt" value="1" checked' in page.text
            form["place"] = page.field("place")
            await amal.upload("/compose", action="send", **form)
            sent = message_from_bytes(newest(site, role(site, "amal", "sent")), policy=default)
            assert sent["Disposition-Notification-To"] is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("page_language", "body", "written"),
    [("en", "", "en"), ("en", "مرحبا", "ar"), ("ar", "Hello", "en"), ("fr", "Bonjour", "fr")],
)
def test_spelling_is_checked_in_the_language_of_the_text(
    sqlite_store: Store, page_language: str, body: str, written: str
) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            await amal.post("/preferences", language=page_language, next="/")
            page = await amal.get(f"/compose?body={body}")
            assert f'lang="{written}" spellcheck="true"' in page.text

    asyncio.run(scenario())
