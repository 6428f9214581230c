r"""``\Recent``: shown by the first session that selects alone. (RFC 3501 section 2.3.2)"""

from __future__ import annotations

import asyncio
from pathlib import Path

from kit.imap import imap_place, make_reader
from kit.store import make_intake, running
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes

LETTER = b"Subject: x\r\n\r\nbody\r\n"


def test_the_first_session_that_selects_has_it(store: Store, tmp_path: Path) -> None:
    """EXAMINE and STATUS look, and take nothing (RFC 3501 section 6.3.2)."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            for words in ("", r"(\Seen)", ""):
                await one.append("INBOX", LETTER, words)
            for _ in range(2):
                (line, _) = await one.ok("STATUS INBOX (RECENT MESSAGES)")
                assert line == b'* STATUS "INBOX" (RECENT 3 MESSAGES 3)'
                lines = await one.ok('LIST "" INBOX RETURN (STATUS (RECENT))')
                assert lines[1] == b'* STATUS "INBOX" (RECENT 3)'
                assert b"* 3 RECENT" in await two.ok("EXAMINE INBOX")
                assert (await two.ok("SEARCH RECENT"))[0] == b"* SEARCH 1 2 3"
            assert b"* 3 RECENT" in await one.ok("SELECT INBOX")
            assert (await one.ok("SEARCH NEW"))[0] == b"* SEARCH 1 3"
            assert (await one.ok("SEARCH RECENT SEEN"))[0] == b"* SEARCH 2"
            assert (await one.ok("UID SEARCH OLD"))[0] == b"* SEARCH"
            assert (await one.ok("FETCH 2 FLAGS"))[0] == rb"* 2 FETCH (FLAGS (\Seen \Recent))"
            assert (await one.ok("STORE 1 FLAGS ()"))[0] == rb"* 1 FETCH (FLAGS (\Recent))"
            (line, _) = await two.ok("STATUS INBOX (RECENT)")
            assert line == b'* STATUS "INBOX" (RECENT 3)', "of the session that has them"
            await two.ok("UNSELECT")
            assert (await two.ok("STATUS INBOX (RECENT)"))[0] == b'* STATUS "INBOX" (RECENT 0)'
            assert b"* 0 RECENT" in await two.ok("SELECT INBOX")
            assert (await two.ok("SEARCH RECENT"))[0] == b"* SEARCH"
            assert (await two.ok("SEARCH OLD"))[0] == b"* SEARCH 1 2 3"
            assert (await two.ok("FETCH 2 FLAGS"))[0] == rb"* 2 FETCH (FLAGS (\Seen))"
            # What is expunged is not counted; who selects anew is not the first any more.
            await one.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
            await one.ok("EXPUNGE")
            assert (await one.ok("STATUS INBOX (RECENT)"))[0] == b'* STATUS "INBOX" (RECENT 2)'
            assert b"* 0 RECENT" in await one.ok("SELECT INBOX")

    asyncio.run(run())


def test_new_mail_is_recent_to_the_session_that_hears_of_it_first(
    store: Store, tmp_path: Path
) -> None:
    """Also with one that only examines, which shows what nobody has taken."""
    amal = make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as looks,
            place.session() as one,
            place.session() as two,
        ):
            await looks.ok("EXAMINE INBOX")
            await one.ok("SELECT INBOX")
            await two.ok("SELECT INBOX")
            await store.write(write_intakes, make_intake(store.blobs.stage([LETTER]), local=[amal]))
            assert (await looks.ok("NOOP"))[:-1] == [b"* 1 EXISTS", b"* 1 RECENT"]
            assert (await two.ok("NOOP"))[:-1] == [b"* 1 EXISTS", b"* 1 RECENT"]
            assert (await one.ok("NOOP"))[:-1] == [b"* 1 EXISTS", b"* 0 RECENT"]
            await store.write(write_intakes, make_intake(store.blobs.stage([LETTER]), local=[amal]))
            assert (await one.ok("NOOP"))[:-1] == [b"* 2 EXISTS", b"* 1 RECENT"]
            assert (await looks.ok("NOOP"))[:-1] == [b"* 2 EXISTS", b"* 1 RECENT"]
            assert (await two.ok("NOOP"))[:-1] == [b"* 2 EXISTS", b"* 1 RECENT"]
            assert (await one.ok("SEARCH RECENT"))[0] == b"* SEARCH 2"
            assert (await two.ok("SEARCH RECENT"))[0] == b"* SEARCH 1"
            # COPY and MOVE make messages that are new where they go (RFC 3501 section 6.4.7).
            await one.ok("MOVE 1:2 Archive")
            assert (await one.ok("STATUS Archive (RECENT)"))[0] == b'* STATUS "Archive" (RECENT 2)'
            assert (await one.ok("SEARCH RECENT"))[0] == b"* SEARCH"

    asyncio.run(run())
