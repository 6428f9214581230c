"""UIDONLY: neither side uses sequence numbers. (RFC 9586)"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from kit.imap import imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store

LETTER = b"Subject: x\r\n\r\nbody\r\n"

NUMBERED = [
    "FETCH 1 FLAGS",
    "STORE 1 +FLAGS (a)",
    "COPY 1 Archive",
    "MOVE 1 Archive",
    "SEARCH ALL",
    "UID SEARCH 1",
    "UID SEARCH OR NOT 1 ALL",
    "SELECT INBOX (QRESYNC (1 5 (1 1)))",
    "REPLACE 1 INBOX {1+}\r\nx",
]


def test_no_sequence_numbers(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            assert b" UIDONLY" in (await one.ok("CAPABILITY"))[0]
            for _ in range(4):
                await one.append("INBOX", LETTER)
            await one.ok("SELECT INBOX")
            await two.ok("SELECT INBOX")
            await one.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
            await one.ok("EXPUNGE")
            assert (await one.ok("ENABLE UIDONLY QRESYNC"))[-2] == b"* ENABLED UIDONLY QRESYNC"
            for command in NUMBERED:
                answer = (await one.command(command))[-1]
                assert b" BAD [UIDREQUIRED] " in answer, command
            (line, _) = await one.ok("UID FETCH 3 (FLAGS)")
            assert line == b"* 3 UIDFETCH (FLAGS (\\Recent))"
            for items in ("(UID FLAGS)", "(FLAGS UID)", "UID"):
                assert b"UID 3" in (await one.ok(f"UID FETCH 3 {items}"))[0], "it is asked for"
            (line, _) = await one.ok("UID FETCH 2 BODY[TEXT]")
            line = re.sub(rb"\d+\)", b"n)", line)
            told = b"* 2 UIDFETCH (FLAGS (\\Seen \\Recent) MODSEQ (n) BODY[TEXT] {6}"
            assert line == told + b"\r\nbody\r\n)"
            (line, _) = await one.ok("UID FETCH 4 BODY.PEEK[]")
            assert line.startswith(b"* 4 UIDFETCH (BODY[] {")
            (_, _, line, _) = await one.ok("UID STORE 3 +FLAGS (a)")
            assert re.sub(rb"\d+\)", b"n)", line) == (
                b"* 3 UIDFETCH (FLAGS (a \\Recent) MODSEQ (n))"
            )
            await two.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
            (line, _) = await one.ok("NOOP")
            assert line.startswith(b"* 2 UIDFETCH (FLAGS (\\Deleted \\Seen \\Recent) MODSEQ (")
            await two.ok("EXPUNGE")
            assert (await one.ok("NOOP"))[0] == b"* VANISHED 2"

    asyncio.run(run())


def test_vanished_without_qresync(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for _ in range(3):
                await imap.append("INBOX", LETTER)
            await imap.ok("ENABLE UIDONLY")
            await imap.ok("SELECT INBOX")
            assert (await imap.ok("UID STORE 2:3 +FLAGS (\\Deleted)"))[:-1] == [
                b"* 2 UIDFETCH (FLAGS (\\Deleted \\Recent))",
                b"* 3 UIDFETCH (FLAGS (\\Deleted \\Recent))",
            ]
            lines = await imap.ok("UID EXPUNGE 2:3")
            assert lines[0] == b"* VANISHED 2:3"
            assert b"HIGHESTMODSEQ" not in lines[-1]

    asyncio.run(run())
