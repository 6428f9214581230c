"""FETCH answers the same from a summary as from the message, and does not read the message."""

from __future__ import annotations

import asyncio
from pathlib import Path

import sqlalchemy as sa

from kit.imap import ImapClient, imap_place, make_reader
from kit.mail import make_message
from kit.store import NOW_MS, make_intake, running
from zajil.read.indexer import read_summaries
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.mail.summaries import find_after, find_waiting, write_summaries
from zajil.store.schema import blob

_ENCLOSED = (
    b"Subject: two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nHello\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    b"From: Group: a@b, \"c) d\" <e@f>;\r\nSubject: a\"b {5}\r\n\r\nx\r\n--b--\r\n"
)  # fmt: skip
_ASKED = (
    "(ENVELOPE)",
    "(BODY BODYSTRUCTURE)",
    "FULL",
    "(UID BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (Subject)] ENVELOPE FLAGS)",
    "(BODY.PEEK[1] BODY)",
    "(BODY.PEEK[]<0.20> ENVELOPE)",
)


def fill(store: Store) -> None:
    """Seven messages, delivered and appended, short and long, two of them odd."""
    amal = make_reader(store)
    received = b"Received: from x; Mon, 23 Nov 2026 12:00:00 +0300\r\n"
    for data in (
        make_message(subject="رسالة", html="<p>x</p>"),
        received + _ENCLOSED,
        received + make_message(text="long\r\n" * 50_000),
        b"no header\r\n\r\ntext\r\n",
        b" folded\r\nSubject: x\r\n\r\n",
    ):
        store.write_now(write_intakes, make_intake(store.blobs.stage([data]), local=[amal]))
        if data.startswith(received):
            staged = store.blobs.stage_now([data])  # in a file
            item = PutMessage(amal.account_id, amal.inbox, staged, frozenset(), NOW_MS)
            store.write_now(put_messages, item)


async def ask(client: ImapClient) -> list[list[bytes]]:
    return [(await client.ok(f"FETCH 1:* {one}"))[:-1] for one in _ASKED]


def test_the_answer_is_that_of_the_message(store: Store, tmp_path: Path) -> None:
    """Read from the messages first, then with a summary of most of them, then of all."""
    fill(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.ok("EXAMINE INBOX")
            read = await ask(client)
            for count in (5, 2):
                waiting = await store.read(lambda conn: find_waiting(conn, count))  # noqa: B023
                new = await store.read(lambda conn: read_summaries(conn, store.blobs, waiting))  # noqa: B023
                await store.write(write_summaries, new)
                assert await ask(client) == read
            assert await store.read(lambda conn: find_waiting(conn, 1)) == []

    asyncio.run(run())


def test_a_message_with_a_summary_is_not_read(store: Store, tmp_path: Path) -> None:
    fill(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.ok("EXAMINE INBOX")
            read = await ask(client)
            waiting = await store.read(lambda conn: find_after(conn, "", 10))
            new = await store.read(lambda conn: read_summaries(conn, store.blobs, waiting))
            await store.write(write_summaries, new)
            ready = [one.blob_id for one in new if one.envelope is not None]
            assert len(ready) == 5
            with store._dialect.writer.begin() as conn:  # what no unit of work does
                spoilt = sa.update(blob).where(blob.c.id.in_(ready))
                conn.execute(spoilt.values(content=None, location="xx/there-is-no-such-file"))
            after = [await client.command(f"FETCH 1:* {one}") for one in _ASKED]
            assert [one[:-1] for one in after[:3]] == read[:3]
            assert b" NO " in after[3][-1]  # a header field is in no summary

    asyncio.run(run())


def test_what_was_read_is_kept(store: Store, tmp_path: Path) -> None:
    """Where the indexer was not yet, FETCH writes the summary: the next one reads no message."""
    fill(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.ok("EXAMINE INBOX")
            read = await ask(client)
            await store.write(write_summaries, ())  # what waits for the writer is written before
            left = await store.read(lambda conn: find_waiting(conn, 10))
            assert {one.size > 262_144 for one in left} == {True}  # a long message
            with store._dialect.writer.begin() as conn:  # what no unit of work does
                spoilt = sa.update(blob).where(blob.c.size < 1000, blob.c.size > 200)
                conn.execute(spoilt.values(content=None, location="xx/there-is-no-such-file"))
            assert [(await client.command(f"FETCH 1:2 {one}"))[:-1] for one in _ASKED[:3]] == [
                lines[:2] for lines in read[:3]
            ]

    asyncio.run(run())
