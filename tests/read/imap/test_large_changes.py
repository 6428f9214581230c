"""Changes of many messages are made in portions, so that others write in between; and caps."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kit.imap import PASSWORD, ImapClient, ImapPlace, imap_place, make_reader
from kit.store import open_test_store, running
from zajil.read.imap.context import PORTION
from zajil.store.engine.open import Store
from zajil.store.mail.caps import Caps
from zajil.store.mail.messages import CHANGES
from zajil.store.schema import expunged, message

MESSAGE = b"Subject: small\r\n\r\nx\r\n"
MANY = 2 * PORTION + 7
COMMITS = (2, 3)
"""For so many messages, if the first was quick and if it was not."""


@asynccontextmanager
async def filled(
    store: Store, folder: Path, count: int = MANY
) -> AsyncIterator[tuple[ImapPlace, ImapClient]]:
    """Serve an account that has so many messages in the selected mailbox ``full``."""
    make_reader(store)
    async with running(store), imap_place(store, folder) as place, place.session() as imap:
        await imap.ok("CREATE full")
        assert b" OK " in await imap.append("full", MESSAGE)
        have = 1
        while have < count:
            await imap.ok("SELECT full")
            await imap.ok(f"COPY 1:{min(have, count - have)} full")
            have += min(have, count - have)
        await imap.ok("SELECT full")
        yield place, imap


async def count(imap: ImapClient, mailbox: str) -> int:
    (line, _) = await imap.ok(f"STATUS {mailbox} (MESSAGES)")
    found = re.search(rb"MESSAGES (\d+)", line)
    assert found is not None
    return int(found[1])


@pytest.fixture
def sqlite(tmp_path: Path) -> Store:
    return open_test_store("sqlite", tmp_path / "data")


def test_copy_is_made_in_portions_and_names_all(store: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with filled(store, tmp_path) as (_, imap):
            await imap.ok("CREATE cp")
            commits = store.writer.commits
            (*_, tagged) = await imap.ok("COPY 1:* cp")
            assert store.writer.commits - commits in COMMITS
            found = re.search(rb"COPYUID \d+ 1:(\d+) 1:(\d+)\]", tagged)
            assert found is not None
            assert (int(found[1]), int(found[2])) == (MANY, MANY)
            assert await count(imap, "cp") == MANY

    asyncio.run(run())


def test_others_write_in_between(sqlite: Store, tmp_path: Path) -> None:
    """Somebody else's message is stored before the copy of an earlier command ends."""
    make_reader(sqlite, "badr@north.test")

    async def run() -> None:
        async with filled(sqlite, tmp_path, 16 * PORTION) as (place, imap):
            await imap.ok("CREATE cp")
            async with place.session("badr") as badr, place.session() as probe:
                copying = asyncio.ensure_future(imap.ok("COPY 1:* cp"))
                while not await count(probe, "cp"):
                    pass
                assert b" OK " in await badr.append("INBOX", MESSAGE)
                assert not copying.done()
                await copying

    asyncio.run(run())


def test_a_copy_whose_client_is_gone_is_undone(sqlite: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with filled(sqlite, tmp_path, 8 * PORTION) as (place, imap):
            await imap.ok("CREATE cp")
            async with place.session() as probe:
                await imap.send(b"x COPY 1:* cp\r\n")
                while not await count(probe, "cp"):
                    pass
                imap.writer.transport.abort()
                while await count(probe, "cp"):
                    pass
                (line, _) = await probe.ok("STATUS cp (UIDNEXT)")
                assert not line.endswith(b"(UIDNEXT 1)")

    asyncio.run(run())


def test_a_copy_that_meets_a_cap_on_its_way_is_undone(tmp_path: Path) -> None:
    caps = Caps(mailbox_messages=8 * PORTION, account_messages=0)
    store = open_test_store("sqlite", tmp_path / "data", caps=caps)

    async def run() -> None:
        async with filled(store, tmp_path, 6 * PORTION) as (place, one), place.session() as two:
            await one.ok("CREATE cp")
            await two.ok("SELECT full")
            answers = await asyncio.gather(*(each.command("COPY 1:* cp") for each in (one, two)))
            words = sorted(lines[-1].split()[1] for lines in answers)
            assert words in ([b"NO", b"OK"], [b"NO", b"NO"])
            refused = [lines[-1] for lines in answers if b" NO " in lines[-1]]
            reason = b" NO [LIMIT] a mailbox has at most %d messages" % caps.mailbox_messages
            assert all(reason in one for one in refused)
            assert await count(one, "cp") == words.count(b"OK") * 6 * PORTION

    asyncio.run(run())


def test_move_store_and_expunge_are_made_in_portions(store: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with filled(store, tmp_path) as (_, imap):
            await imap.ok("CREATE cp")
            commits = store.writer.commits
            assert len(await imap.ok(r"STORE 1:* +FLAGS (\Flagged)")) == MANY + 1
            assert store.writer.commits - commits in COMMITS
            commits = store.writer.commits
            lines = await imap.ok("MOVE 1:* cp")
            assert store.writer.commits - commits in COMMITS
            assert b"COPYUID " in lines[0]
            assert len([one for one in lines if one.endswith(b" EXPUNGE")]) == MANY
            await imap.ok("SELECT cp")
            await imap.ok(r"STORE 1:* +FLAGS.SILENT (\Deleted)")
            commits = store.writer.commits
            lines = await imap.ok("EXPUNGE")
            assert len([one for one in lines if one.endswith(b" EXPUNGE")]) == MANY
            assert lines[-2] == b"* 0 RECENT"
            assert store.writer.commits - commits in COMMITS
            # Where nothing is marked, nothing is written.
            commits = store.writer.commits
            await imap.ok("EXPUNGE")
            await imap.ok("CLOSE")
            assert store.writer.commits == commits

    asyncio.run(run())


def test_own_changes_of_flags_are_not_read_again(sqlite: Store, tmp_path: Path) -> None:
    """What another session changed before is read, with what comes after it."""
    statements: list[str] = []

    def note(*given: Any) -> None:
        statements.append(given[2])

    async def run() -> None:
        async with filled(sqlite, tmp_path) as (place, one), place.session() as two:
            await two.ok("SELECT full")
            sa.event.listen(sqlite.reader.engine, "before_cursor_execute", note)
            assert len(await one.ok(r"STORE 1:* +FLAGS (\Flagged)")) == MANY + 1
            assert not [text for text in statements if "FROM message" in text]
            assert len(await two.ok("NOOP")) == MANY + 1
            assert [text for text in statements if "FROM message" in text]
            await two.ok(r"STORE 1 +FLAGS (\Deleted)")
            lines = await one.ok(r"STORE 2 +FLAGS (\Deleted)")
            assert [line.split()[1] for line in lines[:-1]] == [b"2", b"1"]
            assert len(await one.ok("NOOP")) == 1

    asyncio.run(run())


def test_uid_expunge_takes_what_is_named_and_marked(store: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with filled(store, tmp_path, 12) as (_, imap):
            await imap.ok(r"STORE 1:8 +FLAGS.SILENT (\Deleted)")
            lines = await imap.ok("UID EXPUNGE 7:12")
            assert lines[:-1] == [b"* 8 EXPUNGE", b"* 7 EXPUNGE"]
            assert await count(imap, "full") == 10

    asyncio.run(run())


def test_a_large_mailbox_is_deleted_in_portions(store: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with filled(store, tmp_path) as (_, imap):
            await imap.ok("UNSELECT")
            commits = store.writer.commits
            await imap.ok("DELETE full")
            assert store.writer.commits - commits > max(COMMITS)
            assert b" NO " in (await imap.command("SELECT full"))[-1]
            # Nothing of it is left, its traces included.
            await imap.ok("CREATE full")
            assert await count(imap, "full") == 0

    asyncio.run(run())
    for table in (message, expunged):
        query = sa.select(sa.func.count()).select_from(table)
        assert store.read_now(lambda conn, query=query: conn.scalar(query)) == 0  # type: ignore[misc]


def test_renaming_a_large_inbox_moves_all(store: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with filled(store, tmp_path) as (_, imap):
            await imap.ok("MOVE 1:* INBOX")
            commits = store.writer.commits
            await imap.ok("RENAME INBOX old/mail")
            assert store.writer.commits - commits == 1 + max(COMMITS)
            assert await count(imap, "INBOX") == 0
            assert await count(imap, "old/mail") == MANY
            assert b" NO [ALREADYEXISTS]" in (await imap.command("RENAME INBOX full"))[-1]

    asyncio.run(run())


@pytest.mark.parametrize("every", [1, 2], ids=["all", "every-second"])
def test_another_session_is_told_of_many_changes(store: Store, tmp_path: Path, every: int) -> None:
    """In portions as well, and of each message once."""

    async def run() -> None:
        have = 2 * CHANGES + 9
        async with filled(store, tmp_path, have) as (place, imap), place.session() as other:
            await other.ok("SELECT full")
            chosen = range(1, have + 1, every)
            numbers = ",".join(map(str, chosen))
            await imap.ok(rf"STORE {numbers} +FLAGS.SILENT (\Deleted)")
            told = (await other.ok("NOOP"))[:-1]
            assert [int(line.split()[1]) for line in told] == [*chosen]
            assert all(rb"\Deleted" in line for line in told)
            await imap.ok("EXPUNGE")
            assert b" OK " in await imap.append("full", MESSAGE)
            count, gone = have, 0
            for line in (await other.ok("NOOP"))[:-1]:
                number, word = line.split()[1:3]
                if word == b"EXPUNGE":
                    assert 0 < int(number) <= count
                    count, gone = count - 1, gone + 1
                elif word == b"EXISTS":
                    count = int(number)
            assert (count, gone) == (have - len(chosen) + 1, len(chosen))
            answers = [await session.ok("UID SEARCH ALL") for session in (imap, other)]
            assert answers[0][0] == answers[1][0]
            uids = answers[0][0].split()[2:]
            assert len(uids) == count
            assert uids == sorted(uids, key=int)

    asyncio.run(run())


def test_another_session_is_told_of_many_arrivals(sqlite: Store, tmp_path: Path) -> None:
    """All of them, each a change of its own, some of which were changed again meanwhile."""

    async def run() -> None:
        have = CHANGES + CHANGES // 2
        async with filled(sqlite, tmp_path, 1) as (place, imap), place.session() as other:
            await other.ok("SELECT full")
            messages = b" ".join([b"{%d+}\r\n%b" % (len(MESSAGE), MESSAGE)] * 50)
            for _ in range(have // 50):
                await imap.ok(b"APPEND full " + messages)
            await imap.ok(r"STORE 3,9 +FLAGS.SILENT (\Seen)")
            assert b"* %d EXISTS" % (have + 1) in await other.ok("NOOP")
            await imap.ok("NOOP")
            answers = [await one.ok("UID SEARCH ALL") for one in (imap, other)]
            assert answers[0][0] == answers[1][0]

    asyncio.run(run())


# ---- caps ---------------------------------------------------------------------------------------


def test_caps_on_messages(tmp_path: Path) -> None:
    store = open_test_store(
        "sqlite", tmp_path / "data", caps=Caps(mailbox_messages=4, account_messages=6)
    )

    async def run() -> None:
        async with filled(store, tmp_path, 3) as (_, imap):
            answer = (await imap.command("COPY 1:2 full"))[-1]
            assert b" NO [LIMIT] a mailbox has at most 4 messages" in answer
            await imap.ok("COPY 1 full")
            answer = (await imap.command("APPEND full {500000}"))[-1]
            assert b" NO [LIMIT] a mailbox has at most 4 messages" in answer
            assert b" NO [LIMIT] " in await imap.append("full", MESSAGE)
            await imap.ok("COPY 1:2 INBOX")
            answer = (await imap.command("COPY 1 INBOX"))[-1]
            assert b" NO [OVERQUOTA] an account has at most 6 messages" in answer
            # What is the account's already may be moved, and what is removed makes room.
            await imap.ok("MOVE 1 INBOX")
            await imap.ok(r"STORE 1 +FLAGS (\Deleted)")
            await imap.ok("EXPUNGE")
            assert b" OK " in await imap.append("full", MESSAGE)

    asyncio.run(run())


def test_caps_on_mailboxes(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data", caps=Caps(mailboxes=8))
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            have = len(await imap.ok('LIST "" *')) - 1
            for n in range(have, 8):
                await imap.ok(f"CREATE box{n}")
            for command in ("CREATE more", "RENAME box7 above/box7", "RENAME INBOX more"):
                answer = (await imap.command(command))[-1]
                assert b" NO [LIMIT] an account has at most 8 mailboxes" in answer, command
            await imap.ok("DELETE box7")
            await imap.ok("CREATE more")

    asyncio.run(run())


def test_caps_on_sessions(sqlite: Store, tmp_path: Path) -> None:
    make_reader(sqlite)

    async def run() -> None:
        async with (
            running(sqlite),
            imap_place(sqlite, tmp_path, sessions_per_account=2) as place,
            place.session() as one,
            place.session() as two,
        ):
            three = await place.connect()
            words = b'LOGIN amal "%b"' % PASSWORD.encode()
            answer = (await three.command(words))[-1]
            assert b" NO [LIMIT] too many sessions of this account" in answer
            assert b" BAD " in (await three.command("SELECT INBOX"))[-1]
            await one.ok("LOGOUT")
            await one.is_closed()
            await two.ok("NOOP")
            await three.ok(words)
            await three.ok("SELECT INBOX")
            await three.close()

    asyncio.run(run())
