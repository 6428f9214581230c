"""How much of a quota is used is shown to the owner and to administrators."""

from __future__ import annotations

import asyncio
import re

from kit.site import Page, visiting
from zajil.store.engine.open import Store
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    PutMessage,
    expunge_messages,
    put_messages,
)
from zajil.store.mail.room import NewQuota, set_quota


def words(page: str) -> str:
    """Return the text of a page on one line; a no-break space is a space."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).replace("\xa0", " ").split())


def test_the_owner_sees_how_much_is_used(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal = site.entry("amal")
            for size in (1_200_000, 300_000):
                staged = await store.blobs.stage_any([b"a: b\r\n\r\n" + b"x" * (size - 8)])
                item = PutMessage(amal.account_id, amal.inbox, staged, frozenset(), 5)
                placed = await store.write(put_messages, item)
            expunge = ExpungeMessages(
                amal.account_id, amal.inbox, (placed.uid,), deleted_only=False
            )
            await store.write(expunge_messages, expunge)
            browser = site.browser()
            await browser.log_in("amal")
            page = (await browser.get("/account")).text
            assert "Storage 1.2 MB used" in words(page)
            assert "Deleted messages 300 kB" in words(page)
            assert "<meter" not in page
            await store.write(set_quota, NewQuota(amal.account_id, 2_000_000_000, None))
            page = (await browser.get("/account")).text
            assert "Storage 1.2 MB of 2 GB used" in words(page)
            assert 'max="2000000000" high="1600000000" optimum="0" value="1200000"' in page

    asyncio.run(scenario())


def test_a_full_mailbox_sends_nothing(store: Store) -> None:
    """Its copy in Sent would have no place; the text stays in the form."""

    async def scenario() -> None:
        async with visiting(store) as site:
            amal = site.entry("amal")
            await store.write(set_quota, NewQuota(amal.account_id, 100, None))
            browser = site.browser()
            await browser.log_in("amal")

            async def send() -> Page:
                text = "A long text. " * 9
                to = "basim@north.test"
                return await browser.post("/compose", to=to, subject="Roses", body=text)

            answer = await send()
            assert answer.status == 422
            assert "Your mailbox is full. Delete messages, then send again." in answer.text
            assert answer.field("subject") == "Roses"
            await store.write(set_quota, NewQuota(amal.account_id, 100_000, None))
            assert (await send()).location == "/mail"

    asyncio.run(scenario())
