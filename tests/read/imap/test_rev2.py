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
            assert b"* ENABLED IMAP4rev2" in await imap.ok("ENABLE IMAP4rev2")
            lines = await imap.ok('SELECT "Привет"')
            assert lines[0] == b"* OK [CLOSED] previous mailbox is closed"
            assert '* LIST (\\HasNoChildren) "/" "Привет"'.encode() in lines
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
            assert line == '* LIST (\\HasNoChildren) "/" "مجلد" ("OLDNAME" ("b"))'.encode()

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
            assert line == b"* ENABLED QRESYNC IMAP4rev2"
            stranger = await place.connect()
            assert b" BAD " in (await stranger.command("ENABLE CONDSTORE"))[-1]
            await stranger.close()

    asyncio.run(run())


def test_announced(store: Store, tmp_path: Path) -> None:
    """Before log-in and after it, always beside IMAP4rev1 (RFC 9051 appendix A)."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            for tls in (False, True):
                client = await place.connect(tls=tls)
                words = (await client.ok("CAPABILITY"))[0].split()
                assert {b"IMAP4rev1", b"IMAP4rev2"} <= set(words)
                await client.close()
            async with place.session() as imap:
                words = (await imap.ok("CAPABILITY"))[0].split()
                assert {b"IMAP4rev1", b"IMAP4rev2", b"BINARY", b"ESEARCH", b"MOVE"} <= set(words)

    asyncio.run(run())


def test_search(store: Store, tmp_path: Path) -> None:
    """ESEARCH in place of SEARCH, with and without RETURN (RFC 9051 section 6.4.4)."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for _ in range(3):
                await imap.append("INBOX", LETTER)
            await imap.ok("SELECT INBOX")
            assert (await imap.ok("SEARCH ALL"))[0] == b"* SEARCH 1 2 3"
            await imap.ok("ENABLE IMAP4rev2")
            (line, last) = await imap.ok("SEARCH ALL")
            assert line == b'* ESEARCH (TAG "%b") ALL 1:3' % last.split()[0]
            (line, last) = await imap.ok("UID SEARCH CHARSET UTF-8 SUBJECT x")
            assert line == b'* ESEARCH (TAG "%b") UID ALL 1:3' % last.split()[0]
            (line, last) = await imap.ok("UID SEARCH SUBJECT none")
            assert line == b'* ESEARCH (TAG "%b") UID' % last.split()[0]
            (line, last) = await imap.ok("SEARCH RETURN (COUNT MIN) LARGER 0")
            assert line == b'* ESEARCH (TAG "%b") MIN 1 COUNT 3' % last.split()[0]
            await imap.ok("SEARCH SMALLER 9223372036854775807")
            assert b" BAD " in (await imap.command("SEARCH SMALLER 9223372036854775808"))[-1]
            (line, _) = await imap.ok("FETCH 1 BODY.PEEK[TEXT]<2.9223372036854775807>")
            assert line == b"* 1 FETCH (BODY[TEXT]<2> {4}\r\ndy\r\n)"
            assert len(await imap.ok("SEARCH RETURN (SAVE) 2")) == 1
            assert (await imap.ok("FETCH $ UID"))[0] == b"* 2 FETCH (UID 2)"

    asyncio.run(run())


def test_status_and_move(store: Store, tmp_path: Path) -> None:
    """STATUS counts what is deleted (RFC 9051 section 6.3.11); MOVE names UIDs first (6.4.8)."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for _ in range(2):
                await imap.append("INBOX", LETTER)
            await imap.ok("ENABLE IMAP4rev2")
            await imap.ok('CREATE "مجلد"')
            await imap.ok("SELECT INBOX")
            await imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
            (line, _) = await imap.ok("STATUS INBOX (MESSAGES DELETED SIZE)")
            size = 2 * len(LETTER)
            assert line == b'* STATUS "INBOX" (MESSAGES 2 DELETED 1 SIZE %d)' % size
            (moved, gone, _) = await imap.ok('MOVE 1 "مجلد"')
            assert moved.startswith(b"* OK [COPYUID ")
            assert gone == b"* 1 EXPUNGE"
            (line, status, _) = await imap.ok('LIST "" "مج*" RETURN (STATUS (MESSAGES))')
            assert line == '* LIST (\\HasNoChildren) "/" "مجلد"'.encode()
            assert status == '* STATUS "مجلد" (MESSAGES 1)'.encode()

    asyncio.run(run())


def test_name_in_another_form(store: Store, tmp_path: Path) -> None:
    """A name that is not in NFC is told back with the one it became (RFC 9051 section 5.1)."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.ok("ENABLE IMAP4rev2")
            wide, short = "cafe\u0301".encode(), "caf\u00e9".encode()
            (line, _) = await imap.ok(b'CREATE "%b"' % wide)
            here = b'* LIST (\\HasNoChildren) "/" "%b"' % short
            told = here + b' ("OLDNAME" ("%b"))' % wide
            assert line == told
            assert told in await imap.ok(b'SELECT "%b"' % wide)
            assert here in await imap.ok(b'EXAMINE "%b"' % short)
            await imap.ok("UNSELECT")
            assert (await imap.ok(b'APPEND "%b" {1+}\r\nx' % wide))[0] == told
            assert (await imap.ok(b'APPEND "%b" {1+}\r\nx' % wide))[0] == told
            assert len(await imap.ok(b'APPEND "%b" {1+}\r\nx' % short)) == 1
            assert (await imap.ok(b'STATUS "%b" (MESSAGES)' % wide))[0].endswith(b" 3)")
            (line, _) = await imap.ok(b'RENAME "%b" b' % wide)
            assert line == b'* LIST (\\HasNoChildren) "/" "b" ("OLDNAME" ("%b"))' % wide
            (line, _) = await imap.ok(b'RENAME b "%b"' % wide)
            assert line == here + b' ("OLDNAME" ("b"))'
            (line, _) = await imap.ok(b'DELETE "%b"' % wide)
            gone = b'* LIST (\\NonExistent \\HasNoChildren) "/" "%b"' % short
            assert line == gone + b' ("OLDNAME" ("%b"))' % wide

    asyncio.run(run())


def test_message_global(store: Store, tmp_path: Path) -> None:
    """It is shown as a message is, to who enabled IMAP4rev2 (RFC 9051 section 7.5.2)."""
    make_reader(store)
    inner = "Subject: مرحبا\r\n\r\none\r\n".encode()
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: message/global\r\n\r\n" + inner + b"\r\n--b--\r\n"
    )

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.append("INBOX", message)
            await imap.ok("EXAMINE INBOX")
            plain = b'* 1 FETCH (BODY (("MESSAGE" "GLOBAL" NIL NIL NIL "7BIT" %d) "MIXED"))'
            assert (await imap.ok("FETCH 1 BODY"))[0] == plain % len(inner)
            await imap.ok("ENABLE IMAP4rev2")
            (line, _) = await imap.ok("FETCH 1 BODY")
            head, _, rest = line.partition(b" (NIL {10}\r\n")
            assert head == plain[: plain.index(b"%d")] + b"%d" % len(inner)
            assert rest.startswith("مرحبا".encode() + b" NIL NIL NIL NIL NIL NIL NIL NIL) ")
            assert rest.endswith(
                b'("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 5 1) 3) "MIXED"))'
            )

    asyncio.run(run())


def test_attributes_are_accurate(store: Store, tmp_path: Path) -> None:
    """Those of the LIST responses of SELECT and RENAME too (RFC 9051 section 6.3.2)."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.ok("ENABLE IMAP4rev2")
            await imap.ok("CREATE a/b")
            await imap.ok("SUBSCRIBE a")
            lines = await imap.ok("SELECT a")
            assert b'* LIST (\\HasChildren \\Subscribed) "/" "a"' in lines
            told = b'* LIST (\\HasNoChildren \\Subscribed) "/" "INBOX"'
            assert told in await imap.ok("SELECT inbox")
            assert any(b" \\Sent) " in line for line in await imap.ok("EXAMINE Sent"))
            (line, _) = await imap.ok("RENAME a c")
            assert line == b'* LIST (\\HasChildren \\Subscribed) "/" "c" ("OLDNAME" ("a"))'

    asyncio.run(run())
