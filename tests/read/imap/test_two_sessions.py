"""Sessions that have the same mailbox selected: numbers stay, news come when they may."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kit.imap import imap_place, make_reader
from kit.store import make_intake, open_test_store, running
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes

LETTER = b"Subject: x\r\n\r\nbody\r\n"


def test_changes_are_told_and_numbers_stay(store: Store, tmp_path: Path) -> None:
    """RFC 3501 section 7.4.1: no EXPUNGE during FETCH, STORE, SEARCH."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            for _ in range(3):
                await one.append("INBOX", LETTER)
            assert b"* 3 RECENT" in await one.ok("SELECT INBOX")
            assert b"* 0 RECENT" in await two.ok("SELECT INBOX")
            await one.ok(r"STORE 2 +FLAGS.SILENT (\Deleted \Flagged)")
            (told, _) = await two.ok("NOOP")
            assert told == rb"* 2 FETCH (UID 2 FLAGS (\Flagged \Deleted))"
            lines = await one.ok("EXPUNGE")
            assert lines[0] == b"* 2 EXPUNGE"
            # Two still counts three messages; the second has no more to show than its UID.
            lines = await two.ok("FETCH 1:3 UID")
            assert lines[:-1] == [b"* %d FETCH (UID %d)" % (number, number) for number in (1, 2, 3)]
            lines = await two.ok("FETCH 1:3 (UID RFC822.SIZE)")
            assert [line[:18] for line in lines[:-1]] == [
                b"* 1 FETCH (UID 1 R",
                b"* 3 FETCH (UID 3 R",
            ]
            assert b"[EXPUNGEISSUED]" in lines[-1]
            assert (await two.ok("SEARCH ALL"))[0] in (b"* SEARCH 1 2 3", b"* SEARCH 1 3")
            lines = await two.ok(r"STORE 3 +FLAGS (\Answered)")
            assert lines[:-1] == [rb"* 3 FETCH (FLAGS (\Answered))"]
            assert (await two.ok("NOOP"))[0] == b"* 2 EXPUNGE"
            assert (await two.ok("FETCH 1:* UID"))[:-1] == [
                b"* 1 FETCH (UID 1)",
                b"* 2 FETCH (UID 3)",
            ]
            assert (await one.ok("NOOP"))[:-1] == [rb"* 2 FETCH (UID 3 FLAGS (\Answered \Recent))"]
            await two.append("INBOX", LETTER)
            # Two was told first, at the end of its APPEND; one keeps the two it took at SELECT.
            assert (await one.ok("NOOP"))[:-1] == [b"* 3 EXISTS", b"* 2 RECENT"]
            assert (await two.ok("FETCH 3 FLAGS"))[0] == rb"* 3 FETCH (FLAGS (\Recent))"
            assert (await one.ok("FETCH 3 FLAGS"))[0] == b"* 3 FETCH (FLAGS ())"

    asyncio.run(run())


NO_SUCH_NUMBER = (
    "FETCH {} UID",
    "STORE {} +FLAGS (\\Seen)",
    "COPY {} Archive",
    "MOVE {} Archive",
)


def test_sequence_numbers_that_do_not_exist(store: Store, tmp_path: Path) -> None:
    """RFC 3501 section 9: BAD for a sequence number; a UID that does not exist is no error.

    Nor is a number in a search (RFC 7377 section 2).
    """
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for count in range(3):
                await imap.ok("SELECT INBOX")
                for text in NO_SUCH_NUMBER:
                    for numbers in (
                        f"{count + 1}",
                        f"1:{count + 1}",
                        "4294967295",
                        f"{count + 1}:*",
                    ):
                        answer = (await imap.command(text.format(numbers)))[-1]
                        assert b" BAD " in answer, (text, numbers)
                    if not count:
                        assert b" BAD " in (await imap.command(text.format("*")))[-1]
                for text in ("FETCH {} UID", "STORE {} +FLAGS ()", "COPY {} Archive", "EXPUNGE {}"):
                    assert len(await imap.ok("UID " + text.format("77:78"))) == 1
                for key in ("UID 77", str(count + 1), f"{count + 1}:99", "4294967295"):
                    assert (await imap.ok(f"SEARCH {key}"))[0] == b"* SEARCH"
                    assert (await imap.ok(f"UID SEARCH NOT ALL {key}"))[0] == b"* SEARCH"
                everything = b"".join([b" %d" % number for number in range(1, count + 1)])
                assert (await imap.ok(f"SEARCH NOT {count + 1}"))[0] == b"* SEARCH" + everything
                assert (await imap.ok("SEARCH 1:99"))[0] == b"* SEARCH" + everything
                await imap.append("INBOX", LETTER)
            await imap.ok("SELECT Archive")
            assert (await imap.ok("SEARCH 1:* NOT DELETED"))[0] == b"* SEARCH"
            assert (await imap.ok("UID SEARCH 1:*"))[0] == b"* SEARCH"

    asyncio.run(run())


def test_move_and_uid_expunge(store: Store, tmp_path: Path) -> None:
    """RFC 6851 section 4.3: COPYUID comes before EXPUNGE; RFC 4315 section 2.1: only those."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for _ in range(4):
                await imap.append("INBOX", LETTER, r"(\Seen)")
            await imap.ok("SELECT INBOX")
            lines = await imap.ok("UID MOVE 2:3 Trash")
            assert lines[0].startswith(b"* OK [COPYUID ")
            assert b" 2:3 1:2] " in lines[0]
            assert lines[1:4] == [b"* 3 EXPUNGE", b"* 2 EXPUNGE", b"* 2 RECENT"]
            await imap.ok(r"UID STORE 1:* +FLAGS.SILENT (\Deleted)")
            lines = await imap.ok("UID EXPUNGE 4")
            assert lines[:-1] == [b"* 2 EXPUNGE", b"* 1 RECENT"]
            assert (await imap.ok("STATUS INBOX (MESSAGES)"))[0] == b'* STATUS "INBOX" (MESSAGES 1)'
            assert len(await imap.ok("CLOSE")) == 1
            assert (await imap.ok("STATUS INBOX (MESSAGES)"))[0] == b'* STATUS "INBOX" (MESSAGES 0)'
            await imap.ok("SELECT Trash")
            lines = await imap.ok("FETCH 1:* FLAGS")
            assert lines[0] == rb"* 1 FETCH (FLAGS (\Seen \Recent))"
            assert b" NO [TRYCREATE]" in (await imap.command("COPY 1 Nowhere"))[-1]

    asyncio.run(run())


def test_the_selected_mailbox_is_deleted(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            await one.ok("CREATE Work/2026")
            await two.ok("SELECT Work/2026")
            await one.ok("DELETE Work/2026")
            await two.send(b"x NOOP\r\n")
            assert (await two.read_response()).startswith(b"* BYE")
            assert await two.is_closed()

    asyncio.run(run())


def test_a_client_deletes_what_it_selected(store: Store, tmp_path: Path) -> None:
    """RFC 3501 section 2.2.2: every command has its tagged answer; the session goes on."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            await one.ok("CREATE gone")
            await one.append("gone", LETTER)
            await two.ok("EXAMINE gone")
            for again in range(2):
                await one.ok("SELECT gone")
                assert len(await one.ok("DELETE gone")) == 1
                assert b" BAD " in (await one.command("FETCH 1 FLAGS"))[-1], "nothing is selected"
                assert b" NO [NONEXISTENT]" in (await one.command("SELECT gone"))[-1]
                await one.ok("NOOP")
                if not again:
                    await two.send(b"x NOOP\r\n")
                    assert (await two.read_response()).startswith(b"* BYE")
                await one.ok("CREATE gone")
            await one.ok("EXAMINE gone")
            assert b" NO [CANNOT]" in (await one.command("DELETE INBOX"))[-1]
            await one.ok("UID FETCH 1:* FLAGS")

    asyncio.run(run())


COMMANDS = [
    "FETCH 1 BODY[]",
    "STORE 1 +FLAGS (\\Seen)",
    "SEARCH BODY x",
    "EXPUNGE",
    "NOOP",
    "CHECK",
    "UID COPY 1 Archive",
    "MOVE 1 Archive",
    "COPY 1 gone",
    "STATUS INBOX (MESSAGES)",
]


def test_every_command_on_a_mailbox_that_another_session_deleted(
    store: Store, tmp_path: Path
) -> None:
    """The session ends with BYE that says why; nothing fails."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
        ):
            for command in COMMANDS:
                async with place.session() as two:
                    await one.ok("CREATE gone")
                    await one.append("gone", LETTER)
                    await two.ok("SELECT gone")
                    await one.ok("DELETE gone")
                    await two.send(b"x " + command.encode() + b"\r\n")
                    lines = [await two.read_response()]
                    while not lines[-1].startswith(b"* BYE"):
                        lines.append(await two.read_response())
                    assert lines[-1] == b"* BYE the selected mailbox was deleted", command
                    assert await two.is_closed()
            async with place.session() as two:
                for leave in ("CLOSE", "UNSELECT", "SELECT INBOX"):
                    await one.ok("CREATE gone")
                    await two.ok("SELECT gone")
                    await one.ok("DELETE gone")
                    await two.ok(leave)

    asyncio.run(run())


def test_a_selected_mailbox_is_renamed(store: Store, tmp_path: Path) -> None:
    """It stays selected, by whoever had it: its UIDs are what they were."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            await one.ok("CREATE old/below")
            await one.append("old/below", LETTER)
            await one.ok("SELECT old/below")
            await two.ok("SELECT old/below")
            await one.ok("RENAME old new")
            for session in (one, two):
                assert (await session.ok("FETCH 1 UID"))[0] == b"* 1 FETCH (UID 1)"
                await session.ok("NOOP")
            await two.ok("DELETE new/below")
            assert b" BAD " in (await two.command("FETCH 1 UID"))[-1]

    asyncio.run(run())


def test_idle_tells_of_new_mail(store: Store, tmp_path: Path) -> None:
    """RFC 2177 section 3: changes are sent while the client waits."""
    amal = make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.ok("SELECT INBOX")
            await imap.send(b"i IDLE\r\n")
            assert (await imap.read_response()).startswith(b"+ ")
            item = make_intake(store.blobs.stage([LETTER]), local=[amal])
            await store.write(write_intakes, item)
            assert await imap.read_response() == b"* 1 EXISTS"
            assert await imap.read_response() == b"* 1 RECENT"
            await imap.send(b"DONE\r\n")
            assert await imap.read_until(b"i") == [b"i OK IDLE ended"]
            await imap.send(b"j IDLE\r\nfoo\r\n")
            assert (await imap.read_response()).startswith(b"+ ")
            assert (await imap.read_until(b"j"))[-1].startswith(b"j BAD")

    asyncio.run(run())


@pytest.mark.parametrize("url", ["sqlite"])
def test_idle_hears_of_another_worker(url: str, tmp_path: Path) -> None:
    """Two stores on one file, as two worker processes have them."""
    data = tmp_path / "data"
    mine, other = open_test_store(url, data, 0), open_test_store(url, data, 1)
    amal = make_reader(mine)

    async def run() -> None:
        async with (
            running(mine),
            running(other),
            imap_place(mine, tmp_path) as place,
            place.session() as imap,
        ):
            await imap.ok("SELECT INBOX")
            await imap.send(b"i IDLE\r\n")
            await imap.read_response()
            await other.write(write_intakes, make_intake(other.blobs.stage([LETTER]), local=[amal]))
            assert await imap.read_response() == b"* 1 EXISTS"

    asyncio.run(run())
