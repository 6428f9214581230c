"""SEARCH, SORT and THREAD at the edges: nothing there, numbers beyond the end, ends of days."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kit.clock import HastyClock
from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store

IN_NOTHING = {
    **dict.fromkeys(("ALL", "1:*", "*", "1", "5:7", "UID 1:*", "NOT 1:*", "$"), ""),
    "RETURN () ALL": "",
    "RETURN (MIN MAX) ALL": "",
    "RETURN (COUNT) 1:*": " COUNT 0",
    "RETURN (ALL COUNT MIN) $": " COUNT 0",
    "RETURN (PARTIAL 1:10) ALL": " PARTIAL (1:10 NIL)",
    "RETURN (PARTIAL -1:-10 COUNT) ALL": " PARTIAL (-1:-10 NIL) COUNT 0",
    "RETURN (COUNT) MODSEQ 1": " COUNT 0",
}
OF_THREE = {
    "9": "",
    "2:9": "2 3",
    "9:*": "3",
    "*:9": "3",
    "*": "3",
    "4,9,1": "1",
    "NOT 2:4294967295": "1",
    "OR 9 1": "1",
    "UID 9": "",
    "UID 9:*": "3",
    "UID 2:9 NOT UID 3": "2",
    # The day of INTERNALDATE is one in UTC, that of Date the one that is written there.
    "ON 6-Mar-2021": "1 2",
    "ON 5-Mar-2021": "",
    "BEFORE 6-Mar-2021": "",
    "BEFORE 7-Mar-2021": "1 2",
    "SINCE 7-Mar-2021": "3",
    "SENTON 5-Mar-2021": "1",
    "SENTON 6-Mar-2021": "2",
    "SENTSINCE 6-Mar-2021": "2",
    "SENTBEFORE 6-Mar-2021": "1",
    "NOT SENTSINCE 1-Jan-1990": "3",  # it has no Date field
    "KEYWORD $label1": "1",
    "KEYWORD $LABEL1 UNKEYWORD other": "1",
    "UNKEYWORD $Label1": "2 3",
    "NOT NOT NOT NOT SEEN": "2",
    "OR OR SEEN 1 OR (NOT ALL) NOT SEEN": "1 2 3",
    'SUBJECT ""': "1 2",
    'TEXT ""': "1 2 3",
    'BODY ""': "1 2 3",
}


async def found(imap: ImapClient, key: str) -> str:
    """Return what is told, without the tag."""
    line = (await imap.ok(f"SEARCH {key}"))[0].decode()
    if line.startswith("* ESEARCH"):
        return line.partition('")')[2]
    return line.removeprefix("* SEARCH").strip()


async def fill(imap: ImapClient) -> None:
    """Append three messages, of which two come at the ends of one day."""
    first = b"Subject: a\r\nDate: Fri, 5 Mar 2021 23:59:00 -0500\r\n\r\nx\r\n"
    second = b"Subject: b\r\nDate: Sat, 6 Mar 2021 00:00:00 +1300\r\n\r\nx\r\n"
    await imap.append("INBOX", first, '($Label1) " 5-Mar-2021 19:00:00 -0500"')
    await imap.append("INBOX", second, r'(\Seen) " 7-Mar-2021 12:59:59 +1300"')
    await imap.append("INBOX", b"X: c\r\n\r\nx\r\n", '" 7-Mar-2021 00:00:00 +0000"')
    await imap.ok("SELECT INBOX")


def test_an_empty_mailbox(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.ok("SELECT INBOX (CONDSTORE)")
            for key, want in IN_NOTHING.items():
                assert await found(imap, key) == want, key
            assert (await imap.ok("UID SEARCH ALL"))[0] == b"* SEARCH"
            assert (await imap.ok("SORT (DATE REVERSE FROM) UTF-8 1:*"))[0] == b"* SORT"
            assert (await imap.ok("UID THREAD REFERENCES UTF-8 ALL"))[0] == b"* THREAD"
            assert (await imap.ok("THREAD ORDEREDSUBJECT UTF-8 5"))[0] == b"* THREAD"
            (line, _) = await imap.ok("SORT RETURN (MIN ALL COUNT) (DATE) UTF-8 ALL")
            assert line.endswith(b'") COUNT 0')
            assert len(await imap.ok("ESEARCH IN (personal) RETURN (COUNT) ALL")) == 1

    asyncio.run(run())


def test_numbers_beyond_the_end_and_ends_of_days(store: Store, tmp_path: Path) -> None:
    """RFC 7377 section 2: a number that no message has is no error, in any search."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await fill(imap)
            for key, want in OF_THREE.items():
                assert await found(imap, key) == want, key
            assert (await imap.ok("SORT (REVERSE ARRIVAL) UTF-8 2:9"))[0] == b"* SORT 3 2"
            assert (await imap.ok("THREAD REFERENCES UTF-8 9:*"))[0] == b"* THREAD (3)"

    asyncio.run(run())


def test_the_saved_result_in_each_command(store: Store, tmp_path: Path) -> None:
    """RFC 5182: also an empty one is a set, of no messages."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await fill(imap)
            await imap.ok("CREATE Other")
            for empty in ("SEARCH RETURN (SAVE) DELETED", "UID SEARCH RETURN (SAVE MIN) DELETED"):
                await imap.ok(empty)
                for command in (
                    *("FETCH $ FLAGS", "UID FETCH $ FLAGS", "STORE $ +FLAGS (x)", "COPY $ Other"),
                    *("UID STORE $ +FLAGS (x)", "UID COPY $ Other", "MOVE $ Other"),
                    *("UID MOVE $ Other", "UID EXPUNGE $"),
                ):
                    assert len(await imap.ok(command)) == 1, command
            await imap.ok("SEARCH RETURN (SAVE PARTIAL 5:9) ALL")
            assert await found(imap, "$") == ""
            await imap.ok("UID SEARCH RETURN (SAVE PARTIAL -1:-1) ALL")
            assert await found(imap, "$") == "3"
            await imap.ok("SORT RETURN (SAVE MAX) (REVERSE ARRIVAL) UTF-8 ALL")
            assert await found(imap, "$") == "1"
            await imap.ok("SORT RETURN (SAVE) (ARRIVAL) UTF-8 2:3")
            assert await found(imap, "$") == "2 3"
            (line, _) = await imap.ok("UID SORT (REVERSE ARRIVAL) UTF-8 UID $")
            assert line == b"* SORT 3 2"
            assert (await imap.ok("THREAD REFERENCES UTF-8 $"))[0] == b"* THREAD (2)(3)"
            lines = await imap.ok("UID STORE $ +FLAGS ($Work)")
            assert [line.split()[1] for line in lines if b" FETCH " in line] == [b"2", b"3"]
            assert b"[COPYUID " in (await imap.ok("COPY $ Other"))[-1]
            assert (
                b"NO [BADCHARSET"
                in (await imap.command("SORT RETURN (SAVE) (DATE) KOI8-R ALL"))[-1]
            )
            assert await found(imap, "$") == ""
            await imap.ok("SEARCH RETURN (SAVE) 2")
            lines = await imap.ok("MOVE $ Other")
            assert b"* 2 EXPUNGE" in lines
            assert await found(imap, "$") == ""
            assert await found(imap, "ALL") == "1 2"

    asyncio.run(run())


def test_a_long_search_tells_how_far_it_is(store: Store, tmp_path: Path) -> None:
    """RFC 9585: every ten seconds, with the tag, what is done and what there is."""
    make_reader(store)

    async def run() -> None:
        clock = HastyClock(11_000)
        async with (
            running(store),
            imap_place(store, tmp_path, clock=clock) as place,
            place.session() as imap,
        ):
            await fill(imap)
            lines = await imap.ok("SEARCH HEADER X-None nothing")
            tag = lines[-1].split()[0]
            told = b'* OK [INPROGRESS ("%b" 3 3)] ' % tag
            assert any(line.startswith(told) for line in lines), lines
            lines = await imap.ok("ESEARCH IN (personal) HEADER X-None nothing")
            told = b'* OK [INPROGRESS ("%b" NIL NIL)] ' % lines[-1].split()[0]
            assert any(line.startswith(told) for line in lines), lines
            assert len(await imap.ok("SEARCH SEEN")) == 2

    asyncio.run(run())
