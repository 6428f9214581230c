"""INTERNALDATE: a date that no calendar has is refused, and never makes a mailbox unreadable."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kit.imap import imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store
from zajil.store.mail.message_changes import PutMessage, put_messages

LETTER = b"From: sami@south.test\r\nDate: Mon, 23 Nov 2026 12:00:00 +0300\r\n\r\nbody\r\n"


def test_append_refuses_what_internaldate_cannot_say(store: Store, tmp_path: Path) -> None:
    """RFC 3501 section 9, ``date-year``: four digits, and we write them in UTC."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for date in (
                "31-Dec-9999 20:00:00 -0500",
                "01-Jan-0001 03:00:00 +0500",
                "00-Jan-2026 00:00:00 +0000",
                "30-Feb-2026 00:00:00 +0000",
                "01-Mar-2026 00:00:00 +9959",
            ):
                assert b" BAD " in await imap.append("INBOX", LETTER, f'"{date}"')
            assert b" OK " in await imap.append("INBOX", LETTER, '"31-Dec-9999 20:00:00 +0500"')
            await imap.ok("SELECT INBOX")
            (line, _) = await imap.ok("FETCH 1:* INTERNALDATE")
            assert line == b'* 1 FETCH (INTERNALDATE "31-Dec-9999 15:00:00 +0000")'

    asyncio.run(run())


@pytest.mark.parametrize("at_ms", [253_402_300_800_000, (1 << 62), -62_135_596_800_001, -(1 << 62)])
def test_a_stored_time_out_of_range_is_read_as_the_nearest(
    store: Store, tmp_path: Path, at_ms: int
) -> None:
    """Stores have such times from before they were refused; COPY brings them elsewhere."""
    amal = make_reader(store)
    item = PutMessage(amal.account_id, amal.inbox, store.blobs.stage([LETTER]), frozenset(), at_ms)
    store.write_now(put_messages, item)
    want = b'"31-Dec-9999 23:59:59 +0000"' if at_ms > 0 else b'" 1-Jan-0001 00:00:00 +0000"'

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.ok("SELECT INBOX")
            await imap.ok("COPY 1 Archive")
            for name in ("INBOX", "Archive"):
                await imap.ok(f"SELECT {name}")
                for items in ("INTERNALDATE", "FAST", "ALL", "FULL"):
                    (line, _) = await imap.ok(f"FETCH 1 {items}")
                    assert b"INTERNALDATE " + want in line
                since = await imap.ok("SEARCH SINCE 1-Jan-2020")
                before = await imap.ok("UID SEARCH BEFORE 1-Jan-2020")
                found = (since[0] == b"* SEARCH 1", before[0] == b"* SEARCH 1")
                assert found == (at_ms > 0, at_ms < 0)
                await imap.ok("SEARCH ON 31-Dec-9999")

    asyncio.run(run())
