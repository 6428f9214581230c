"""CONDSTORE: what a client is told of MODSEQs. (RFC 7162 section 3.1)"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store

LETTER = b"Subject: x\r\n\r\nbody\r\n"


def highest(lines: list[bytes]) -> int:
    """Return the last HIGHESTMODSEQ among responses."""
    found = re.findall(rb"\[HIGHESTMODSEQ (\d+)\]", b"\n".join(lines))
    return int(found[-1])


async def with_messages(client: ImapClient, count: int) -> int:
    """Put messages into INBOX, select it, and give its HIGHESTMODSEQ."""
    for _ in range(count):
        await client.append("INBOX", LETTER, r"(\Seen)")
    return highest(await client.ok("SELECT INBOX"))


def test_the_highest_modseq_is_always_told(store: Store, tmp_path: Path) -> None:
    """It is never 0, and never missing: also of an empty mailbox, before CONDSTORE is asked for."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            assert b" CONDSTORE QRESYNC" in (await imap.ok("CAPABILITY"))[0]
            for command in ("SELECT INBOX", "EXAMINE Archive", "SELECT INBOX (CONDSTORE)"):
                assert highest(await imap.ok(command)) > 0
            (line, _) = await imap.ok("STATUS Archive (HIGHESTMODSEQ)")
            assert line == b'* STATUS "Archive" (HIGHESTMODSEQ 1)'
            before = highest(await imap.ok("SELECT INBOX"))
            await imap.append("INBOX", LETTER)
            (line, _) = await imap.ok("STATUS INBOX (HIGHESTMODSEQ)")
            assert line == b'* STATUS "INBOX" (HIGHESTMODSEQ %d)' % (before + 1)

    asyncio.run(run())


def test_an_annotation_gives_a_new_modseq(store: Store, tmp_path: Path) -> None:
    """RFC 7162 section 3.2."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            before = highest(await imap.ok("SELECT INBOX"))
            await imap.ok('SETMETADATA INBOX (/private/comment "mine")')
            await imap.ok('SETMETADATA "" (/private/comment "mine")')
            assert highest(await imap.ok("SELECT INBOX")) == before + 1
            await imap.append("INBOX", LETTER)
            assert (await imap.ok("FETCH 1 (MODSEQ)"))[-2] == (
                b"* 1 FETCH (MODSEQ (%d))" % (before + 2)
            )

    asyncio.run(run())


ENABLING = [
    "ENABLE CONDSTORE",
    "ENABLE QRESYNC",
    "STATUS Archive (HIGHESTMODSEQ)",
    'LIST "" Archive RETURN (STATUS (HIGHESTMODSEQ))',
    "FETCH 1 (MODSEQ)",
    "FETCH 1 FLAGS (CHANGEDSINCE 1)",
    "SEARCH MODSEQ 1",
    r"STORE 1 (UNCHANGEDSINCE 999) +FLAGS.SILENT (\Seen)",
]


def test_the_first_command_that_asks_for_modseqs(store: Store, tmp_path: Path) -> None:
    """Section 3.1: HIGHESTMODSEQ of the selected mailbox, once; from then on UID and MODSEQ."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            for command in ENABLING:
                async with place.session() as imap:
                    first = await with_messages(imap, 1)
                    (line, _) = await imap.ok(r"STORE 1 +FLAGS (\Flagged)")
                    assert line == rb"* 1 FETCH (FLAGS (\Flagged \Seen \Recent))", "not yet"
                    lines = await imap.ok(command)
                    told = [line for line in lines if b"HIGHESTMODSEQ %d]" % (first + 1) in line]
                    assert len(told) == 1, (command, lines)
                    assert told[0].startswith(b"* OK ")
                    assert b"HIGHESTMODSEQ" not in (await imap.ok("FETCH 1 (MODSEQ)"))[-1]
                    (line, _) = await imap.ok(r"STORE 1 -FLAGS (\Flagged)")
                    form = b"* 1 FETCH (UID %d FLAGS (\\Seen \\Recent) MODSEQ (%d))"
                    uid = int(re.findall(rb"UID (\d+)", line)[0])
                    assert line == form % (uid, first + 2)
                    await imap.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
                    await imap.ok("EXPUNGE")

    asyncio.run(run())


def test_conditional_store(store: Store, tmp_path: Path) -> None:
    """Section 3.1.3: what changed since stays as it is, and is named by MODIFIED and a FETCH."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            known = await with_messages(one, 4)
            await two.ok("SELECT INBOX")
            await two.ok(r"STORE 2,4 +FLAGS (\Flagged)")
            lines = await one.ok(rf"STORE 4,1:3,2 (UNCHANGEDSINCE {known}) +FLAGS.SILENT ($Done)")
            lines = [line for line in lines if b" FETCH " in line or line.startswith(b"T")]
            assert lines[:-1] == [
                b"* 1 FETCH (UID 1 MODSEQ (%d))" % (known + 2),
                rb"* 2 FETCH (UID 2 FLAGS (\Flagged \Seen \Recent) MODSEQ (%d))" % (known + 1),
                b"* 3 FETCH (UID 3 MODSEQ (%d))" % (known + 2),
                rb"* 4 FETCH (UID 4 FLAGS (\Flagged \Seen \Recent) MODSEQ (%d))" % (known + 1),
            ]
            assert b" OK [MODIFIED 2,4] " in lines[-1]
            (line, _) = await one.ok("SEARCH KEYWORD $Done")
            assert line == b"* SEARCH 1 3"
            await two.ok("UID STORE 1 +FLAGS.SILENT (x)")
            lines = await one.ok(f"UID STORE 1:3 (UNCHANGEDSINCE {known + 1}) FLAGS ($Other)")
            assert b" OK [MODIFIED 1,3] " in lines[-1]
            # With the MODSEQ it was told, it goes through; a change that is none gives no new one.
            for _ in range(2):
                lines = await one.ok(f"UID STORE 2 (UNCHANGEDSINCE {known + 4}) FLAGS ($Other)")
                assert lines[:-1] == [
                    b"* 2 FETCH (UID 2 FLAGS ($Other \\Recent) MODSEQ (%d))" % (known + 4)
                ]
                assert b"MODIFIED" not in lines[-1]
            # Section 3.1.3, example 8: 0 holds for no message.
            assert (
                b" OK [MODIFIED 1:4] "
                in (await one.ok("STORE 1:* (UNCHANGEDSINCE 0) +FLAGS (z)"))[-1]
            )
            lines = await one.ok("UID STORE 99 (UNCHANGEDSINCE 1) +FLAGS (z)")
            assert b"MODIFIED" not in lines[-1]

    asyncio.run(run())


def test_silent_store_tells_the_modseq_and_what_another_session_changed(
    store: Store, tmp_path: Path
) -> None:
    """RFC 3501 section 6.4.6: the flags are known without a race also with .SILENT."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            await with_messages(two, 3)
            known = highest(await one.ok("SELECT INBOX (CONDSTORE)"))
            await two.ok("STORE 2 +FLAGS ($theirs)")
            lines = await one.ok("STORE 1:2 +FLAGS.SILENT ($mine)")
            told = [line for line in lines if b" FETCH " in line]
            assert told == [
                b"* 1 FETCH (UID 1 MODSEQ (%d))" % (known + 2),
                b"* 2 FETCH (UID 2 FLAGS (\\Seen $mine $theirs) MODSEQ (%d))" % (known + 2),
            ]
            assert len(await one.ok("NOOP")) == 1
            assert len(await one.ok("STORE 1:2 +FLAGS.SILENT ($mine)")) == 1, "nothing changed"
            await two.ok("STORE 3 +FLAGS ($theirs)")
            lines = await one.ok("STORE 3 FLAGS.SILENT ($mine)")
            assert b"* 3 FETCH (UID 3 MODSEQ (%d))" % (known + 4) in lines
            assert len(await one.ok("NOOP")) == 1, "who replaces all flags knows them all"

    asyncio.run(run())


def test_silent_store_without_modseqs(store: Store, tmp_path: Path) -> None:
    """The change of another session is told all the same."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            await with_messages(two, 1)
            await one.ok("SELECT INBOX")
            await two.ok("STORE 1 +FLAGS ($more)")
            told = (await one.ok("STORE 1 +FLAGS.SILENT ($again)"))[:-1]
            assert told[-1] == b"* 1 FETCH (FLAGS (\\Seen $again $more))"
            assert len(await one.ok("NOOP")) == 1

    asyncio.run(run())


def test_fetch_of_what_changed(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            known = await with_messages(imap, 4)
            assert (await imap.ok("FETCH 2:3 (MODSEQ)"))[1:-1] == [
                b"* 2 FETCH (MODSEQ (%d))" % (known - 2),
                b"* 3 FETCH (MODSEQ (%d))" % (known - 1),
            ]
            await imap.ok("STORE 2,4 +FLAGS.SILENT (a)")
            await imap.ok("STORE 1 +FLAGS.SILENT (a)")
            lines = await imap.ok(f"FETCH 1:3 (FLAGS) (CHANGEDSINCE {known})")
            assert lines[:-1] == [
                b"* 1 FETCH (FLAGS (\\Seen a \\Recent) MODSEQ (%d))" % (known + 2),
                b"* 2 FETCH (FLAGS (\\Seen a \\Recent) MODSEQ (%d))" % (known + 1),
            ]
            lines = await imap.ok(f"UID FETCH 1:* (UID) (CHANGEDSINCE {known + 1})")
            assert lines[:-1] == [b"* 1 FETCH (UID 1 MODSEQ (%d))" % (known + 2)]
            assert len(await imap.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {known + 2})")) == 1
            # Section 3.2.4: a body that is read sets \Seen, and that is told with UID and MODSEQ.
            await imap.ok(r"STORE 3 -FLAGS.SILENT (\Seen)")
            (line, _) = await imap.ok("FETCH 3 BODY[TEXT]")
            assert line.startswith(
                b"* 3 FETCH (UID 3 FLAGS (\\Seen \\Recent) MODSEQ (%d) BODY[TEXT] " % (known + 4)
            )

    asyncio.run(run())


def test_search_of_modseqs(store: Store, tmp_path: Path) -> None:
    """Section 3.1.5: the answer ends with the highest MODSEQ of what was found."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            known = await with_messages(imap, 3)
            await imap.ok("ENABLE CONDSTORE")
            await imap.ok("STORE 2 +FLAGS.SILENT (a)")
            for key in (
                f"MODSEQ {known}",
                f'MODSEQ "/flags/\\\\seen" all {known}',
                f"OR MODSEQ {known + 1} 3",
            ):
                assert (await imap.ok(f"SEARCH {key}"))[0] == b"* SEARCH 2 3 (MODSEQ %d)" % (
                    known + 1
                )
            (line, _) = await imap.ok(f"UID SEARCH NOT MODSEQ {known}")
            assert line == b"* SEARCH 1 (MODSEQ %d)" % (known - 2)
            assert (await imap.ok(f"SEARCH MODSEQ {known + 9}"))[0] == b"* SEARCH"

    asyncio.run(run())


REFUSED = (
    "SELECT INBOX (OTHER)",
    "SELECT INBOX ()",
    "SELECT INBOX (CONDSTORE",
    "SELECT INBOX (CONDSTORE CONDSTORE)",
    "SELECT INBOX (QRESYNC (1 1))",
    "FETCH 1 FLAGS (CHANGEDSINCE)",
    "FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
    "FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 1)",
    "FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
    "UID FETCH 1 FLAGS (VANISHED)",
    "UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
    "STORE 1 (UNCHANGEDSINCE) +FLAGS (a)",
    "STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 1) +FLAGS (a)",
    "STORE 1 () +FLAGS (a)",
    "SEARCH MODSEQ",
    "SEARCH MODSEQ -1",
    'SEARCH MODSEQ "/flags/a" some 1',
    'SEARCH MODSEQ "/other" all 1',
)


def test_what_is_refused(store: Store, tmp_path: Path) -> None:
    """A bad parameter is BAD, and leaves what is selected."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await with_messages(imap, 1)
            for command in REFUSED:
                assert b" BAD " in (await imap.command(command))[-1], command
                await imap.ok("FETCH 1 FLAGS")

    asyncio.run(run())


def test_conditional_store_names_messages_that_are_gone(store: Store, tmp_path: Path) -> None:
    """Section 3.1.3, the last example; UIDs that are gone are passed over."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            last = await with_messages(one, 4)
            await two.ok("SELECT INBOX")
            await one.ok(r"STORE 3 +FLAGS (\Flagged)")
            await one.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)")
            await one.ok("EXPUNGE")
            lines = await two.command(rf"STORE 1:4 (UNCHANGEDSINCE {last}) +FLAGS.SILENT (\Draft)")
            assert b" NO [MODIFIED 2:3] " in lines[-1]
            assert [line[:10] for line in lines if b"MODSEQ (" in line][:3] == [
                b"* 1 FETCH ",
                b"* 3 FETCH ",
                b"* 4 FETCH ",
            ]
            assert not any(b"EXPUNGE" in line for line in lines)
            lines = await two.ok(rf"UID STORE 2 (UNCHANGEDSINCE {last}) +FLAGS (\Draft)")
            assert b"MODIFIED" not in lines[-1]
            assert b"* 2 EXPUNGE" in lines

    asyncio.run(run())
