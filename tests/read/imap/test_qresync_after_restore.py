"""A client whose state is newer than the backup that was restored sees what is there now."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import sqlalchemy as sa

from kit.backups import back_up, look_into
from kit.imap import imap_place, make_reader
from kit.store import open_test_store, running, small_store_options
from zajil.net.system import SystemClock
from zajil.store.backup.refill import UID_JUMP
from zajil.store.backup.restore import restore_store
from zajil.store.engine.open import Store
from zajil.store.schema import mailbox

LETTER = b"Subject: x\r\n\r\nbody\r\n"


def numbers(word: bytes, lines: list[bytes]) -> int:
    """Return the number behind a response code."""
    found = re.search(rb"\[%b (\d+)\]" % word, b"\n".join(lines))
    assert found
    return int(found[1])


def test_all_that_came_later_is_told_to_be_gone_and_all_else_is_told_anew(tmp_path: Path) -> None:
    async def before() -> tuple[int, int, str]:
        """Five messages; a backup; then two more, one less, and a flag."""
        store = open_test_store("sqlite", tmp_path / "data")
        make_reader(store)
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as client,
        ):
            for _ in range(5):
                await client.append("INBOX", LETTER)
            name = back_up(store, tmp_path / "target").name
            await client.append("INBOX", LETTER)
            await client.append("INBOX", LETTER)
            await client.ok("ENABLE QRESYNC")
            lines = await client.ok("SELECT INBOX")
            await client.ok(r"UID STORE 2 +FLAGS.SILENT (\Deleted)")
            await client.ok("UID EXPUNGE 2")
            await client.ok("UID STORE 3 +FLAGS ($seen-later)")
            await client.ok("UNSELECT")
            known = numbers(b"HIGHESTMODSEQ", await client.ok("SELECT INBOX"))
            return numbers(b"UIDVALIDITY", lines), known, name

    async def after(validity: int, known: int) -> None:
        store = open_test_store("sqlite", tmp_path / "new")
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as client,
        ):
            await client.ok("ENABLE QRESYNC")
            lines = await client.ok(f"SELECT INBOX (QRESYNC ({validity} {known} 1,3:7))")
            assert numbers(b"UIDVALIDITY", lines) == validity
            assert numbers(b"HIGHESTMODSEQ", lines) > known
            (gone,) = [line for line in lines if b"VANISHED" in line]
            assert gone.strip().endswith(b"VANISHED (EARLIER) 6:7")
            told = [line for line in lines if b"FETCH" in line]
            uids = [int(found[1]) for line in told if (found := re.search(rb"UID (\d+)", line))]
            # Message 2 is back. Who lists what it knows hears nothing of it, but of the number.
            assert uids == [1, 3, 4, 5]
            assert b"* 5 EXISTS" in lines
            assert not any(b"seen-later" in line for line in told)
            lines = await client.ok(f"SELECT INBOX (QRESYNC ({validity} {known}))")
            assert len([line for line in lines if b"FETCH" in line]) == 5
            # A client with CONDSTORE alone sees that all may have changed.
            lines = await client.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {known})")
            assert len([line for line in lines if b"FETCH (" in line]) == 5
            # No UID ever means another message.
            await client.append("INBOX", LETTER)
            (line,) = [line for line in await client.ok("UID SEARCH ALL") if b"SEARCH" in line]
            assert int(re.findall(rb"\d+", line)[-1]) > UID_JUMP

    validity, known, name = asyncio.run(before())
    restore_store(
        look_into(tmp_path / "target", name),
        small_store_options("sqlite"),
        tmp_path / "new",
        clock=SystemClock(),
    )
    asyncio.run(after(validity, known))


def test_a_new_uidvalidity_lets_clients_forget_all(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data")
    make_reader(store)
    name = back_up(store, tmp_path / "target").name
    old = validities(store)
    store.close_now()
    restore_store(
        look_into(tmp_path / "target", name),
        small_store_options("sqlite"),
        tmp_path / "new",
        clock=SystemClock(),
        renews_validity=True,
    )
    store = open_test_store("sqlite", tmp_path / "new")
    new = validities(store)
    store.close_now()
    assert set(new) == set(old)
    assert all(new[box] > old[box] for box in old)


def validities(store: Store) -> dict[int, int]:
    query = sa.select(mailbox.c.id, mailbox.c.uid_validity)
    return store.read_now(lambda conn: {row[0]: row[1] for row in conn.execute(query)})
