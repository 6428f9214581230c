"""QRESYNC: a client that comes back is told what it missed. (RFC 7162 section 3.2)"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from zajil.app.upkeep import forget_old_expunged
from zajil.net.system import SystemClock
from zajil.store.engine.open import Store

LETTER = b"Subject: x\r\n\r\nbody\r\n"


async def open_inbox(client: ImapClient) -> tuple[int, int]:
    """Select INBOX with QRESYNC enabled; give UIDVALIDITY and HIGHESTMODSEQ."""
    await client.ok("ENABLE QRESYNC")
    lines = b"\n".join(await client.ok("SELECT INBOX"))
    found = [
        re.findall(rb"\[%b (\d+)\]" % word, lines) for word in (b"UIDVALIDITY", b"HIGHESTMODSEQ")
    ]
    return int(found[0][0]), int(found[1][0])


async def fill(client: ImapClient, count: int) -> None:
    for _ in range(count):
        await client.append("INBOX", LETTER)


async def remove(client: ImapClient, uids: str) -> list[bytes]:
    await client.ok(rf"UID STORE {uids} +FLAGS.SILENT (\Deleted)")
    return await client.ok(f"UID EXPUNGE {uids}")


def news(lines: list[bytes]) -> list[bytes]:
    """Return those responses that tell what changed."""
    return [line for line in lines if b"VANISHED" in line or b"FETCH" in line]


def test_what_was_missed_is_told_at_select(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            await fill(one, 8)
            validity, known = await open_inbox(one)
            await one.ok("UNSELECT")
            await two.ok("SELECT INBOX")
            await remove(two, "2:3,7")
            await two.ok(r"UID STORE 5 +FLAGS ($new)")
            await fill(two, 1)
            lines = await one.ok(f"SELECT INBOX (QRESYNC ({validity} {known}))")
            assert b"* 6 EXISTS" in lines
            assert [re.sub(rb"MODSEQ \(\d+\)", b"MODSEQ", line) for line in news(lines)] == [
                b"* VANISHED (EARLIER) 2:3,7",
                b"* 3 FETCH (UID 5 FLAGS ($new) MODSEQ)",
                b"* 6 FETCH (UID 9 FLAGS () MODSEQ)",
            ]
            assert next(line for line in lines if b"FLAGS (" in line).endswith(b" $new)")
            # Only of what the client knows; a set without a number that vanished is no answer.
            lines = await one.ok(f"SELECT INBOX (QRESYNC ({validity} {known} 1:2,8))")
            assert news(lines) == [b"* VANISHED (EARLIER) 2"]
            lines = await one.ok(f"SELECT INBOX (CONDSTORE QRESYNC ({validity} {known} 1,4))")
            assert news(lines) == []
            # Another UIDVALIDITY: everything else is ignored.
            lines = await one.ok(f"SELECT INBOX (QRESYNC ({validity + 1} {known}))")
            assert news(lines) == []
            assert b"* OK [CLOSED] previous mailbox is closed" in lines
            (last,) = re.findall(rb"\[HIGHESTMODSEQ (\d+)\]", b"\n".join(lines))
            lines = await one.ok(f"EXAMINE INBOX (QRESYNC ({validity} {last.decode()}))")
            assert news(lines) == []

    asyncio.run(run())


def test_what_is_forgotten_is_found_by_comparing(store: Store, tmp_path: Path) -> None:
    """What the client knows and the mailbox has not vanished; the sample makes that shorter."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await fill(imap, 9)
            validity, known = await open_inbox(imap)
            await remove(imap, "1,4:5")
            await forget_old_expunged(store, SystemClock().now_ms() + 1000)
            await remove(imap, "8")
            for state, told in [
                (f"{known}", [b"1,4:5,8"]),
                (f"{known} 1:5", [b"1,4:5"]),
                # Numbers 1 and 2 are UIDs 2 and 3: what is before is known; number 3 is not UID 4.
                (f"{known} 1:9 (1:3 2:4)", [b"4:5,8"]),
                (f"{known} (1:3,5 2:3,6,8)", [b"8"]),
                (f"{known} 1:9 (1:4294967295 1:4294967295)", [b"1,4:5,8"]),
                (f"{known + 4}", []),
                ("1", [b"1,4:5,8"]),
                ("99999", [b"1,4:5,8"]),
            ]:
                lines = await imap.ok(f"SELECT INBOX (QRESYNC ({validity} {state}))")
                found = [line[21:] for line in lines if line.startswith(b"* VANISHED (EARLIER) ")]
                assert found == told, state
            lines = await imap.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {known + 3} VANISHED)")
            assert lines[:-1] == [b"* VANISHED (EARLIER) 8"]

    asyncio.run(run())


def test_vanished_in_place_of_expunge(store: Store, tmp_path: Path) -> None:
    """Section 3.2.10: in every command that may tell of an expunge, with the new HIGHESTMODSEQ."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            await fill(one, 9)
            _, known = await open_inbox(one)
            await two.ok("SELECT INBOX")
            lines = await remove(one, "2:3,5")
            assert lines[0] == b"* VANISHED 2:3,5"
            assert lines[1] == b"* 6 RECENT"
            assert b" OK [HIGHESTMODSEQ %d]" % (known + 2) in lines[2]
            assert (await two.ok("NOOP"))[:-1] == [b"* 5 EXPUNGE", b"* 3 EXPUNGE", b"* 2 EXPUNGE"]
            # What another session removes waits until numbers may change; until then the client
            # must not believe that it knows all.
            await remove(two, "6")
            lines = await one.ok("STORE 1 +FLAGS.SILENT (x)")
            assert b"* 1 FETCH (UID 1 MODSEQ (%d))" % (known + 5) in lines
            assert b" OK [HIGHESTMODSEQ %d]" % (known + 2) in lines[-1]
            lines = await one.ok("UID SEARCH 1:2")
            assert lines[0] == b"* SEARCH 1 4"
            assert not any(b"VANISHED" in line for line in lines)
            lines = await one.ok("UID FETCH 1 (FLAGS)")
            assert lines[1] == b"* VANISHED 6"
            assert b" OK [HIGHESTMODSEQ %d]" % (known + 5) in lines[-1]
            lines = await one.ok("UID MOVE 7 Archive")
            assert lines[0].startswith(b"* OK [COPYUID ")
            assert lines[1] == b"* VANISHED 7"
            assert b" OK [HIGHESTMODSEQ %d]" % (known + 6) in lines[-1]
            await one.send(b"i IDLE\r\n")
            await one.read_response()
            await remove(two, "8")
            while (line := await one.read_response()) != b"* VANISHED 8":
                assert b"EXPUNGE" not in line
            await one.send(b"DONE\r\n")
            await one.read_until(b"i")
            await one.ok(r"UID STORE 9 +FLAGS.SILENT (\Deleted)")
            assert len(await one.ok("CLOSE")) == 1, "section 3.2.8: no HIGHESTMODSEQ"

    asyncio.run(run())


@pytest.mark.parametrize(
    "state",
    ["0 1", "1", "1 -1", "1 1 *", "1 1 1:*", "1 1 0", "1 1 (1:2 1)", "1 1 (2,1 1,2)",
     "1 1 (2:1 1:2)", "1 1 1:2 3", "1 1 1 ", "1 1 (1:* 1:*)", "1 1 (1,1 1:2)",
     "1 9223372036854775808"],
)  # fmt: skip
def test_what_is_refused(store: Store, tmp_path: Path, state: str) -> None:
    """Section 3.2.5: BAD, and the mailbox stays as it was selected."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await open_inbox(imap)
            assert b" BAD " in (await imap.command(f"SELECT INBOX (QRESYNC ({state}))"))[-1]
            await imap.ok("UID FETCH 1:* FLAGS")

    asyncio.run(run())
