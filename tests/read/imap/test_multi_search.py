"""ESEARCH: one search through many mailboxes. (RFC 7377)"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from zajil.read.imap import multi_search
from zajil.store.engine.open import Store
from zajil.store.schema import mailbox

PLUM = b"Subject: plum\r\n\r\nstone fruit\r\n"
PEAR = b"Subject: pear\r\n\r\ncore fruit\r\n"
_ANSWER = re.compile(
    rb'\* ESEARCH \(TAG "T\d+" MAILBOX "([^"]*)" UIDVALIDITY (\d+)\) UID(?: (.*))?'
)


async def found(imap: ImapClient, command: str) -> dict[str, str]:
    """Return what is told of each mailbox."""
    answers = {}
    for line in (await imap.ok(f"ESEARCH {command}"))[:-1]:
        answer = _ANSWER.fullmatch(line)
        assert answer is not None, line
        answers[answer[1].decode()] = (answer[3] or b"").decode()
    return answers


async def make_mailboxes(imap: ImapClient) -> None:
    """Make mailboxes with one or two messages in each."""
    for name in ("box", "box/a", "box/a/b", "boxes"):
        await imap.ok(f"CREATE {name}")
        await imap.append(name, PLUM)
    await imap.append("box/a", PLUM, r"(\Seen)")
    await imap.append("INBOX", PEAR)


def test_which_mailboxes_are_searched(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await make_mailboxes(imap)
            await imap.ok("SUBSCRIBE box/a/b")
            everything = {"box", "box/a", "box/a/b", "boxes"}
            for sources, want in {
                "mailboxes boxes": {"boxes"},
                'mailboxes (box/a "inbox" none)': {"box/a"},
                "subtree box": {"box", "box/a", "box/a/b"},
                "subtree (box/a boxes)": {"box/a", "box/a/b", "boxes"},
                "subtree-one box": {"box", "box/a"},
                "subscribed": {"box/a/b"},
                "personal": everything,
                "inboxes": everything,
                "Subtree box MAILBOXES (box boxes)": everything,
                "mailboxes nowhere": set(),
            }.items():
                assert set(await found(imap, f"IN ({sources}) SUBJECT plum")) == want, sources
            # Nothing is selected, and nothing changes that.
            for bad in ("ALL", "IN (selected) ALL", "IN (personal selected) ALL"):
                assert b" BAD " in (await imap.command(f"ESEARCH {bad}"))[-1]
            await imap.ok("SELECT INBOX")
            assert await found(imap, "IN (mailboxes box) ALL") == {"box": "ALL 1"}
            assert (await imap.ok("SEARCH SUBJECT pear"))[0] == b"* SEARCH 1"
            assert await found(imap, "ALL") == {"INBOX": "ALL 1"}
            both = await found(imap, "IN (selected mailboxes (INBOX box)) ALL")
            assert both == {"INBOX": "ALL 1", "box": "ALL 1"}

    asyncio.run(run())


def test_what_is_told(store: Store, tmp_path: Path) -> None:
    """UIDs and UIDVALIDITY of each mailbox; nothing of one without a match, not even COUNT."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await make_mailboxes(imap)
            await imap.ok("CREATE &AOk-t&AOk-")  # été
            await imap.append("&AOk-t&AOk-", PLUM)
            for asked, want in {
                "RETURN (COUNT MIN MAX) SUBJECT plum": "MIN 1 MAX 2 COUNT 2",
                "RETURN () SUBJECT plum": "ALL 1:2",
                "RETURN (PARTIAL -1:-1) ALL": "PARTIAL (-1:-1 2)",
                "RETURN (PARTIAL 9:8 COUNT) ALL": "PARTIAL (9:8 NIL) COUNT 2",
                "CHARSET UTF-8 TEXT fruit": "ALL 1:2",
                "2:9 SUBJECT plum": "ALL 2",  # a number that no message has is no error
                "OR SEEN UID 7": "ALL 2",
                "RETURN (COUNT) SUBJECT pear": None,
                "RETURN (COUNT) 8": None,
            }.items():
                told = await found(imap, f"IN (mailboxes box/a) {asked}")
                assert told == ({} if want is None else {"box/a": want}), asked
            told = await found(imap, "IN (mailboxes box/a) RETURN (MAX) MODSEQ 1")
            assert re.fullmatch(r"MAX 2 MODSEQ \d+", told["box/a"])
            (line, _) = await imap.ok("ESEARCH IN (mailboxes &AOk-t&AOk-) SUBJECT plum")
            assert b' MAILBOX "&AOk-t&AOk-" UIDVALIDITY ' in line
            (validity,) = re.findall(rb"UIDVALIDITY (\d+)", line)
            (status, _) = await imap.ok("STATUS &AOk-t&AOk- (UIDVALIDITY)")
            assert status.endswith(b"(UIDVALIDITY %b)" % validity)
            await imap.ok("ENABLE IMAP4rev2")
            (line, _) = await imap.ok('ESEARCH IN (mailboxes "été") SUBJECT plum')
            assert ' MAILBOX "été" UIDVALIDITY '.encode() in line

    asyncio.run(run())


def test_only_the_selected_mailbox_can_be_saved(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await make_mailboxes(imap)
            await imap.ok("SELECT box/a")
            for bad in (
                "IN (mailboxes box/a) RETURN (SAVE) ALL",
                "IN (selected personal) RETURN (SAVE COUNT) ALL",
                "IN (personal) $",
                "IN (selected-delayed) ALL",
                "IN () ALL",
                "IN (mailboxes) ALL",
                "IN (personal) RETURN (FOO) ALL",
                "IN (personal",
                "IN (mailboxes box (option)) ALL",
            ):
                assert b" BAD " in (await imap.command(f"ESEARCH {bad}"))[-1], bad
            assert await found(imap, "RETURN (SAVE) SEEN") == {}  # nothing is to be told
            assert (await imap.ok("SEARCH $"))[0] == b"* SEARCH 2"
            told = await found(imap, "IN (selected) RETURN (SAVE ALL) NOT $")
            assert told == {"box/a": "ALL 1"}
            assert (await imap.ok("SEARCH $"))[0] == b"* SEARCH 1"
            assert await found(imap, "RETURN (SAVE) DELETED") == {}
            assert (await imap.ok("SEARCH $"))[0] == b"* SEARCH"
            await imap.ok("SEARCH RETURN (SAVE) ALL")
            answer = await imap.command("ESEARCH RETURN (SAVE) CHARSET KOI8-R ALL")
            assert b" NO [BADCHARSET" in answer[-1]
            assert (await imap.ok("SEARCH $"))[0] == b"* SEARCH"
            await imap.ok("ENABLE UIDONLY")
            assert b" BAD [UIDREQUIRED]" in (await imap.command("ESEARCH IN (personal) 1"))[-1]
            assert set(await found(imap, "IN (personal) SEEN")) == {"box/a"}

    asyncio.run(run())


def test_only_what_may_be_read(store: Store, tmp_path: Path) -> None:
    """Section 2.2: r for all, and l as well for what is not named."""
    make_reader(store)
    make_reader(store, "bilal@north.test")

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as owner,
            place.session("bilal") as other,
        ):
            await make_mailboxes(owner)
            await owner.ok("SETACL box bilal lr")
            await owner.ok("SETACL box/a bilal r")
            await owner.ok("SETACL box/a/b bilal l")
            (seen,) = await found(other, "IN (subtree Shared) SUBJECT plum")
            assert seen == "Shared/amal/box"
            named = " ".join(f"Shared/amal/{name}" for name in ("box/a", "box/a/b", "boxes"))
            assert set(await found(other, f"IN (mailboxes ({named})) ALL")) == {"Shared/amal/box/a"}
            assert await found(other, "IN (personal) SUBJECT plum") == {}
            await other.ok("SELECT Shared/amal/box")
            assert set(await found(other, "ALL")) == {"Shared/amal/box"}
            await other.ok("UNSELECT")
            await owner.ok("DELETEACL box bilal")
            assert await found(other, "IN (mailboxes Shared/amal/box) ALL") == {}

    asyncio.run(run())


def test_too_many_mailboxes(store: Store, tmp_path: Path) -> None:
    amal = make_reader(store)

    def add(tx: Connection, counts: Sequence[int]) -> list[None]:
        inbox = sa.select(mailbox).where(mailbox.c.account_id == amal.account_id)
        row = dict(tx.execute(inbox.where(mailbox.c.name == "INBOX")).mappings().one())
        del row["id"]
        rows = [{**row, "name": f"many/{number}", "role": None} for number in range(*counts)]
        tx.execute(sa.insert(mailbox), rows)
        return [None]

    store.write_now(add, multi_search.MAX_SEARCHED)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.append("many/7", PLUM)
            assert b" NO [LIMIT]" in (await imap.command("ESEARCH IN (personal) ALL"))[-1]
            assert await found(imap, "IN (subtree many) ALL") == {"many/7": "ALL 1"}
            names = " ".join(["x"] * 101)
            assert b" BAD " in (await imap.command(f"ESEARCH IN (mailboxes ({names})) ALL"))[-1]

    asyncio.run(run())
