"""PREVIEW: the first words of a message, from its summary or from its text. (RFC 8970)"""

from __future__ import annotations

import asyncio
from pathlib import Path

from kit.imap import imap_place, make_reader
from kit.mail import make_message
from kit.store import make_intake, running
from zajil.read.indexer import read_summaries
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.summaries import find_waiting, write_summaries


def fill(store: Store) -> None:
    """Five messages: short, not in ASCII, only HTML, without text, long."""
    amal = make_reader(store)
    for data in (
        make_message(text="Dear friend,\r\n\r\nhow are you?\r\n"),
        make_message(text="مرحبا يا سامي\r\n"),
        b"Content-Type: text/html\r\n\r\n<p>One <b>two</b></p>\r\n",
        b"Subject: x\r\n\r\n",
        make_message(text="long \r\n" * 60_000),
    ):
        store.write_now(write_intakes, make_intake(store.blobs.stage([data]), local=[amal]))


_PREVIEWS = [
    b'* 1 FETCH (PREVIEW "Dear friend, how are you?")',
    b"* 2 FETCH (PREVIEW {24}\r\n" + "مرحبا يا سامي".encode() + b")",
    b'* 3 FETCH (PREVIEW "One two")',
    b'* 4 FETCH (PREVIEW "")',
]


def test_with_and_without_a_summary(store: Store, tmp_path: Path) -> None:
    """The same words; who asks lazily gets NIL until they are ready. (RFC 8970 section 4.1)"""
    fill(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.ok("EXAMINE INBOX")
            lazy = await client.ok("FETCH 1:* PREVIEW (LAZY)")
            assert lazy[:-1] == [b"* %d FETCH (PREVIEW NIL)" % n for n in range(1, 6)]
            read = await client.ok("FETCH 1:* (PREVIEW)")
            assert read[:4] == _PREVIEWS
            assert read[4].startswith(b"* 5 FETCH (PREVIEW {202}\r\nlong long long")
            assert 150 < len(read[4]) < 300  # RFC 8970 section 3.1: 256 characters at most
            waiting = await store.read(lambda conn: find_waiting(conn, 10))
            new = await store.read(lambda conn: read_summaries(conn, store.blobs, waiting))
            await store.write(write_summaries, new)
            assert (await client.ok("FETCH 1:* PREVIEW"))[:-1] == read[:-1]
            asked = await client.ok("FETCH 2:3 (UID PREVIEW (LAZY) RFC822.SIZE)")
            assert asked[1].startswith(b'* 3 FETCH (UID 3 PREVIEW "One two" RFC822.SIZE ')

    asyncio.run(run())


def test_grammar(store: Store, tmp_path: Path) -> None:
    """RFC 8970 section 6: one modifier, LAZY, in any case."""
    fill(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            assert b" PREVIEW" in (await client.ok("CAPABILITY"))[0]
            await client.ok("EXAMINE INBOX")
            await client.ok("UID FETCH 1 (preview (lazy) uid)")
            for wrong in ("(LAZY", "(FUZZY)", "()", "(LAZY LAZY)", "LAZY"):
                lines = await client.command(f"FETCH 1 PREVIEW {wrong}")
                assert b" BAD " in lines[-1], wrong

    asyncio.run(run())
