"""RETURN, ``$`` and ages. (RFC 4731, RFC 5182, RFC 9394, RFC 5032)"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store

RETURNS = {
    "RETURN (MIN MAX) SEEN": "MIN 2 MAX 8",
    "RETURN (MAX) SEEN": "MAX 8",
    "RETURN () SEEN": "ALL 2,4,6,8",
    "RETURN (ALL COUNT) UID 2:5": "ALL 2:5 COUNT 4",
    "RETURN (MIN MAX ALL COUNT) DELETED": "COUNT 0",
    "RETURN (MIN) DELETED": "",
    "RETURN (PARTIAL 2:3) SEEN": "PARTIAL (2:3 4,6)",
    "RETURN (PARTIAL 3:2 COUNT) SEEN": "PARTIAL (3:2 4,6) COUNT 4",
    "RETURN (PARTIAL -1:-2) SEEN": "PARTIAL (-1:-2 6,8)",
    "RETURN (PARTIAL -2:-100) SEEN": "PARTIAL (-2:-100 2,4,6)",
    "RETURN (PARTIAL 5:9) SEEN": "PARTIAL (5:9 NIL)",
    "RETURN (COUNT) CHARSET UTF-8 TEXT m3": "COUNT 1",
}


@asynccontextmanager
async def ten_messages(store: Store, folder: Path) -> AsyncIterator[ImapClient]:
    """Messages 1 to 10, of which 2, 4, 6 and 8 are seen."""
    make_reader(store)
    async with running(store), imap_place(store, folder) as place, place.session() as imap:
        for number in range(1, 11):
            flags = r"(\Seen)" if number in (2, 4, 6, 8) else "()"
            await imap.append("INBOX", b"Subject: m%d\r\n\r\nx\r\n" % number, flags)
        await imap.ok("SELECT INBOX")
        yield imap


def test_return_options(store: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with ten_messages(store, tmp_path) as imap:
            for asked, want in RETURNS.items():
                for uid in ("", "UID "):
                    (line, done) = await imap.ok(f"{uid}SEARCH {asked}")
                    tag = done.split()[0].decode()
                    words = ['* ESEARCH (TAG "' + tag + '")', uid.strip(), want]
                    assert line.decode() == " ".join(filter(None, words)), asked
            (_, line, _) = await imap.ok("SEARCH RETURN (MIN COUNT) MODSEQ 1 SEEN")
            assert b" MIN 2 COUNT 4 MODSEQ " in line
            for bad in ("(ALL PARTIAL 1:2)", "(PARTIAL 1:-2)", "(PARTIAL 0:1)", "(FOO)", "MIN"):
                assert b" BAD " in (await imap.command(f"SEARCH RETURN {bad} ALL"))[-1], bad

    asyncio.run(run())


def test_the_saved_result(store: Store, tmp_path: Path) -> None:
    """RFC 5182: what is saved, when it is forgotten, and where ``$`` may stand."""

    async def run() -> None:
        async with ten_messages(store, tmp_path) as imap:
            assert await found(imap, "$") == b""
            assert len(await imap.ok("SEARCH RETURN (SAVE) SEEN")) == 1  # nothing is told
            assert await found(imap, "$") == b"2 4 6 8"
            assert await found(imap, "NOT $ 1:5") == b"1 3 5"
            assert await found(imap, "UID $") == b"2 4 6 8"
            lines = await imap.ok("FETCH $ (UID)")
            assert [line.split()[1] for line in lines[:-1]] == [b"2", b"4", b"6", b"8"]
            await imap.ok(r"UID STORE $ +FLAGS.SILENT (\Flagged)")
            assert await found(imap, "FLAGGED") == b"2 4 6 8"
            # MIN and MAX save only what they tell, COUNT all.
            await imap.ok("SEARCH RETURN (SAVE MIN MAX) SEEN")
            assert await found(imap, "$") == b"2 8"
            await imap.ok("SEARCH RETURN (SAVE MIN COUNT) SEEN")
            assert await found(imap, "$") == b"2 4 6 8"
            await imap.ok("SEARCH RETURN (SAVE PARTIAL 1:2 MAX) SEEN")
            assert await found(imap, "$") == b"2 4 8"
            # A search without SAVE and one that is BAD leave it as it is.
            await imap.ok("SEARCH 3")
            assert b" BAD " in (await imap.command("SEARCH RETURN (SAVE) FOO"))[-1]
            assert await found(imap, "$") == b"2 4 8"
            # What is expunged is no part of it, and the others are renumbered.
            await imap.ok(r"STORE 1,4 +FLAGS.SILENT (\Deleted)")
            await imap.ok("UID EXPUNGE 1")
            assert await found(imap, "$") == b"1 3 7"
            await imap.ok("UID EXPUNGE $")
            assert await found(imap, "$") == b"1 6"
            await imap.ok("COPY $ INBOX")
            # With NO nothing is saved.
            answer = await imap.command("SEARCH RETURN (SAVE) CHARSET KOI8-R ALL")
            assert b" NO [BADCHARSET" in answer[-1]
            assert await found(imap, "$") == b""
            assert len(await imap.ok("FETCH $ (UID)")) == 1
            await imap.ok("SEARCH RETURN (SAVE) ALL")
            await imap.ok("SELECT INBOX")
            assert await found(imap, "$") == b""
            assert b" BAD " in (await imap.command("FETCH $,1 (UID)"))[-1]

    asyncio.run(run())


def test_part_of_a_fetch(store: Store, tmp_path: Path) -> None:
    """RFC 9394 section 3.3: PARTIAL counts the messages of the set."""

    async def run() -> None:
        async with ten_messages(store, tmp_path) as imap:
            for partial, want in {"-1:-2": [8, 9], "2:3": [3, 4], "9:12": []}.items():
                lines = await imap.ok(f"UID FETCH 2:9 (UID) (PARTIAL {partial})")
                assert [int(line.split()[1]) for line in lines[:-1]] == want
            assert b" BAD " in (await imap.command("FETCH 2:9 (UID) (PARTIAL 1:2)"))[-1]
            # Section 3.4: the part is taken first, in whatever order the modifiers stand.
            status = (await imap.ok("STATUS INBOX (HIGHESTMODSEQ)"))[-2]
            modseq = status.rpartition(b" ")[2].rstrip(b")").decode()
            await imap.ok("UID STORE 2,5,9 +FLAGS.SILENT (new)")
            for modifiers, changed in {
                f"PARTIAL -1:-3 CHANGEDSINCE {modseq}": [b"9"],
                f"CHANGEDSINCE {modseq} PARTIAL 1:1": [],
                f"CHANGEDSINCE {modseq} PARTIAL 2:8": [b"2", b"5"],
            }.items():
                lines = await imap.ok(f"UID FETCH 1:* (FLAGS) ({modifiers})")
                assert [line.split()[1] for line in lines if b" FETCH " in line] == changed

    asyncio.run(run())


def test_age(store: Store, tmp_path: Path) -> None:
    """RFC 5032: INTERNALDATE in seconds before now."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.append("INBOX", b"\r\nold\r\n", '" 5-Mar-2021 10:00:00 +0000"')
            await imap.append("INBOX", b"\r\nnew\r\n")
            await imap.ok("SELECT INBOX")
            assert await found(imap, "YOUNGER 86400") == b"2"
            assert await found(imap, "OLDER 86400") == b"1"
            assert b" BAD " in (await imap.command("SEARCH OLDER 0"))[-1]

    asyncio.run(run())


def test_no_charset_with_utf8_accept(store: Store, tmp_path: Path) -> None:
    """RFC 9755 section 3."""

    async def run() -> None:
        async with ten_messages(store, tmp_path) as imap:
            await imap.ok("ENABLE UTF8=ACCEPT")
            assert b" BAD " in (await imap.command("SEARCH CHARSET UTF-8 ALL"))[-1]
            assert await found(imap, "SUBJECT m10") == b"10"

    asyncio.run(run())


async def found(imap: ImapClient, key: str) -> bytes:
    """Return the numbers of a SEARCH response."""
    (line, _) = await imap.ok(f"SEARCH {key}")
    return line.removeprefix(b"* SEARCH").strip()
