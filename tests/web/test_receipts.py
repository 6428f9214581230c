"""Read receipts: asked, sent, refused, and told to who asked for one."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage

from kit.site import Site, letter, visiting
from kit.webmail import member, newest, role, uids
from zajil.core.ids import Uid
from zajil.read.indexer import Indexer
from zajil.store.engine.open import Store
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.mail.messages import get_messages
from zajil.store.people.settings import NewSettings, set_settings

QUESTION = "asks for a read receipt."


def asking(address: str = "basim@north.test") -> EmailMessage:
    message = letter("Tea", sender="Basim <basim@north.test>")
    message["Disposition-Notification-To"] = address
    return message


def flags(site: Site) -> frozenset[str]:
    inbox = site.entry("amal").inbox
    (found,) = site.store.read_now(
        lambda conn: get_messages(conn, inbox, [Uid(uids(site, inbox)[0])])
    )
    return found.flags


def test_a_receipt_is_sent_when_its_reader_says_so(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            message = asking()
            site.deliver("amal", message)
            amal, place = await member(site, "amal"), f"{site.inbox('amal')}/1"
            page = await amal.get(place)
            assert QUESTION in page.text
            assert uids(site, site.entry("basim").inbox) == []
            done = await amal.post(f"{place}/receipt", send="1")
            assert (done.status, done.location) == (303, place)
            shown = (await amal.get(place)).text
            assert "The read receipt was sent." in shown
            assert QUESTION not in shown
            assert "$MDNSent" in flags(site)
            # Once is enough.
            assert (await amal.post(f"{place}/receipt", send="1")).status == 404
            got = newest(site, site.entry("basim").inbox)
            assert got.startswith(b"Return-Path: <>\r\n")
            assert b"Disposition: manual-action/MDN-sent-manually; displayed" in got
            basim, there = await member(site, "basim"), site.inbox("basim")
            shown = (await basim.get(f"{there}/1")).text
            assert "<bdi>Amal Haddad</bdi> read your message on" in shown
            assert QUESTION not in shown
            # The message that asked says it, too.
            sent = role(site, "basim", "sent")
            blob = site.store.blobs.stage([message.as_bytes()])
            account_id = site.entry("basim").account_id
            put = PutMessage(account_id, sent, blob, frozenset(), 0)
            site.store.write_now(put_messages, put)
            await Indexer(site.store).index_waiting()
            shown = (await basim.get(f"/mail/{sent}/1")).text
            assert "<bdi>Amal Haddad</bdi> read your message on" in shown

    asyncio.run(scenario())


def test_a_receipt_is_refused_once(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", asking("spy@east.test"))
            amal, place = await member(site, "amal"), f"{site.inbox('amal')}/1"
            shown = (await amal.get(place)).text
            assert "which is not where the message came from." in shown
            basim = await member(site, "basim")
            assert (await basim.post(f"{place}/receipt", send="1")).status == 404
            await amal.post(f"{place}/receipt", send="0")
            shown = (await amal.get(place)).text
            assert "No read receipt is sent." in shown
            assert QUESTION not in shown
            assert "$MDNSent" in flags(site)

    asyncio.run(scenario())


def test_nobody_is_asked_in_junk_or_who_does_not_want_it(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("amal", asking())
            amal, inbox = await member(site, "amal"), site.inbox("amal")
            assert QUESTION in (await amal.get(f"{inbox}/1")).text
            account_id = site.entry("amal").account_id
            page = await amal.get("/account/mail")
            await amal.post(
                "/account/mail",
                density="compact",
                conversations="no",
                view="plain",
                undo_seconds="0",
                receipts="never",
            )
            assert QUESTION not in (await amal.get(f"{inbox}/1")).text
            site.store.write_now(set_settings, NewSettings(account_id, {"receipts": "ask"}))
            assert QUESTION in (await amal.get(f"{inbox}/1")).text
            await amal.post(inbox, uid="1", action="junk")
            junk = f"/mail/{role(site, 'amal', 'junk')}/1"
            page = await amal.get(junk)
            assert QUESTION not in page.text
            assert (await amal.post(f"{junk}/receipt", send="1")).status == 404

    asyncio.run(scenario())
