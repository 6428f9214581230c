"""OBJECTID: what is the same thing has the same id, wherever it is. (RFC 8474)"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from pathlib import Path

import pytest

from kit.imap import ImapClient, imap_place, make_reader
from kit.mail import make_message
from kit.store import make_intake, running
from zajil.store.engine.open import Store
from zajil.store.mail.intake import OwnCopy, write_intakes
from zajil.store.mail.mailboxes import find_role

_ID = rb"\(([A-Za-z0-9_-]{1,255})\)"


async def ids(client: ImapClient, item: str) -> list[bytes]:
    lines = await client.ok(f"FETCH 1:* ({item})")
    return [found[1] for line in lines if (found := re.search(item.encode() + b" " + _ID, line))]


def test_a_mailbox_keeps_its_id(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            assert b" OBJECTID" in (await client.ok("CAPABILITY"))[0]
            made = re.search(rb"\[MAILBOXID " + _ID + rb"\]", (await client.ok("CREATE one"))[-1])
            assert made is not None
            await client.ok("RENAME one two")
            status = (await client.ok("STATUS two (MESSAGES MAILBOXID)"))[0]
            assert status.endswith(b"(MESSAGES 0 MAILBOXID (" + made[1] + b"))")
            lines = await client.ok("SELECT two")
            assert b"* OK [MAILBOXID (" + made[1] + b")] id of the mailbox" in lines
            again = re.search(_ID, (await client.ok("CREATE one"))[-1])
            assert again is not None
            assert again[1] != made[1]

    asyncio.run(run())


def test_messages_and_threads(store: Store, tmp_path: Path) -> None:
    """Also of mail that the indexer has not seen: a thread is given when it is asked for."""
    amal = make_reader(store)
    sent = store.read_now(lambda conn: find_role(conn, amal.account_id, "sent"))
    assert sent is not None
    answer = make_message(message_id="<2@x>", extra=b"In-Reply-To: <1@x>\r\n", subject="Re: Tea")
    item = make_intake(
        store.blobs.stage([make_message(message_id="<1@x>", subject="Tea")]), local=[amal]
    )
    store.write_now(write_intakes, dataclasses.replace(item, own_copy=OwnCopy(sent.mailbox_id)))

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.append("INBOX", answer)
            await client.append("INBOX", make_message(message_id="<3@x>"))
            await client.ok("SELECT INBOX")
            emails, threads = await ids(client, "EMAILID"), await ids(client, "THREADID")
            assert len(set(emails)) == 3
            assert threads[0] == threads[1] != threads[2]
            thread, email = threads[0].decode(), emails[1].decode()
            await client.append("INBOX", make_message(message_id="<4@x>"))
            assert (await client.ok(f"SEARCH THREADID {thread}"))[0] == b"* SEARCH 1 2"
            assert (await client.ok(f"SEARCH NOT EMAILID {email}"))[0] == b"* SEARCH 1 3 4"
            assert (await client.ok("SEARCH THREADID Tno"))[0] == b"* SEARCH"
            await client.ok("COPY 1:2 Archive")
            await client.ok("MOVE 3 Archive")
            await client.ok("SELECT Archive")
            assert await ids(client, "EMAILID") == emails
            assert await ids(client, "THREADID") == threads
            # The same blob without what is in front of it for its recipient: other bytes.
            await client.ok("SELECT Sent")
            assert await ids(client, "THREADID") == threads[:1]
            assert (await ids(client, "EMAILID"))[0] not in emails

    asyncio.run(run())


@pytest.mark.parametrize("word", ["", '"a b"', "a" * 256, '"+"'])
def test_what_is_no_id_is_refused(store: Store, tmp_path: Path, word: str) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.ok("SELECT INBOX")
            assert b" BAD " in (await client.command(f"SEARCH EMAILID {word}"))[-1]

    asyncio.run(run())
