"""What differs once a client has enabled IMAP4rev2. (RFC 9051 appendix E)"""

from __future__ import annotations

import asyncio
from pathlib import Path

from kit.imap import imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store

LETTER = b"Subject: x\r\n\r\nbody\r\n"


def test_select(store: Store, tmp_path: Path) -> None:
    """LIST is told, CLOSED too; neither RECENT nor UNSEEN is (RFC 9051 section 6.3.2)."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for name in ("INBOX", "&BB8EQAQ4BDIENQRC-"):
                await imap.command(f"CREATE {name}")
                await imap.append(name, LETTER)
            lines = await imap.ok("SELECT INBOX")
            assert b"* 1 RECENT" in lines
            assert any(b"[UNSEEN 1]" in line for line in lines)
            assert not any(line.startswith(b"* LIST") for line in lines)
            assert b"* ENABLED IMAP4REV2" in await imap.ok("ENABLE IMAP4rev2")
            lines = await imap.ok('SELECT "Привет"')
            assert lines[0] == b"* OK [CLOSED] previous mailbox is closed"
            assert '* LIST () "/" "Привет"'.encode() in lines
            assert not any(b"RECENT" in line or b"[UNSEEN" in line for line in lines)
            assert any(b"[HIGHESTMODSEQ " in line for line in lines)
            assert (await imap.ok("FETCH 1 FLAGS"))[0] == b"* 1 FETCH (FLAGS ())", "not recent"

    asyncio.run(run())


def test_changes_are_told_with_the_uid(store: Store, tmp_path: Path) -> None:
    """RFC 9051 section 7.5.2; new messages come without RECENT."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.append("INBOX", LETTER)
            await imap.ok("ENABLE IMAP4rev2")
            await imap.ok("SELECT INBOX")
            (line, _) = await imap.ok("STORE 1 +FLAGS (\\Flagged)")
            assert line == b"* 1 FETCH (UID 1 FLAGS (\\Flagged))"
            (line, _) = await imap.ok("FETCH 1 BODY[TEXT]")
            assert line == b"* 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen) BODY[TEXT] {6}\r\nbody\r\n)"
            lines = await imap.command(b"APPEND INBOX {%d+}\r\n%b" % (len(LETTER), LETTER))
            assert lines[:-1] == [b"* 2 EXISTS"]
            await imap.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
            assert (await imap.ok("EXPUNGE"))[:-1] == [b"* 2 EXPUNGE", b"* 1 EXPUNGE"]

    asyncio.run(run())


def test_rename(store: Store, tmp_path: Path) -> None:
    """RFC 9051 section 6.3.9.7: LIST with OLDNAME, in UTF-8."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.ok("CREATE a")
            assert len(await imap.ok("RENAME a b")) == 1
            await imap.ok("ENABLE IMAP4rev2")
            (line, _) = await imap.ok('RENAME b "مجلد"')
            assert line == '* LIST () "/" "مجلد" ("OLDNAME" ("b"))'.encode()

    asyncio.run(run())


def test_enable(store: Store, tmp_path: Path) -> None:
    """RFC 5161 section 3.1: what is not known is ignored; names have no case."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            assert (await imap.ok("ENABLE X-OTHER condstore CONDSTORE"))[
                0
            ] == b"* ENABLED CONDSTORE"
            assert (await imap.ok("ENABLE IDLE"))[0] == b"* ENABLED"
            assert b" BAD " in (await imap.command("ENABLE"))[-1]
            (line, _) = await imap.ok("ENABLE qresync imap4rev2")
            assert line == b"* ENABLED QRESYNC IMAP4REV2"
            stranger = await place.connect()
            assert b" BAD " in (await stranger.command("ENABLE CONDSTORE"))[-1]
            await stranger.close()

    asyncio.run(run())
