"""What is kept in the store of many messages answers after a restart, and goes with a message."""

from __future__ import annotations

import asyncio
import functools
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.imap import ImapPlace, imap_place, make_reader
from kit.store import NOW_MS, running
from store.test_text_index import index
from zajil.core.directory import AccountEntry
from zajil.core.ids import Uid
from zajil.store.engine.open import Store
from zajil.store.engine.writer import Unit
from zajil.store.mail.header_columns import HeaderColumns
from zajil.store.mail.kept_blocks import KeptBlock, find_blocks, keep_blocks
from zajil.store.mail.mailbox_changes import RenameMailbox, rename_mailbox
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    PutMessage,
    expunge_messages,
    put_messages,
)
from zajil.store.mail.value_cache import ValueCache, uids_within
from zajil.store.people.accounts import delete_account
from zajil.store.schema import blob, kept_block, mailbox, message, summary

FIRST = 400
"""The UID of the first message: the others of the first block never were."""
MANY = 640
"""The last ones are in the second block, to which messages still come."""
ASKED = (
    "UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (Subject From)]",
    "FETCH 1:* (UID ENVELOPE)",
    "FETCH 1:* (BODYSTRUCTURE BODY)",
    "FETCH 1:* PREVIEW",
    "UID SEARCH SENTSINCE 9-Mar-2026",
    "UID SEARCH HEADER X-Kind ne",
    "UID SORT (SUBJECT) UTF-8 ALL",
    "UID SORT (REVERSE DATE) UTF-8 ALL",
    "UID SORT (DISPLAYFROM CC) UTF-8 ALL",
    "UID THREAD REFERENCES UTF-8 ALL",
)


def _message(number: int) -> bytes:
    return (
        f"From: =?utf-8?B?2LPZhNin2YU=?= {number % 7} <amal{number}@north.test>\r\n"
        f"Subject: =?utf-8?B?2LPZhNin2YU=?= {number % 50}\r\n"
        f"Date: {1 + number % 28} Mar 2026 10:00:00 +0300\r\n"
        f"Message-ID: <{number}@north.test>\r\n"
        f"In-Reply-To: <{number // 2}@north.test>\r\n"
        f"X-Kind: {'needle' if number % 9 == 0 else 'hay'}\r\n\r\ntext {number}\r\n"
    ).encode()


def _unit(write: Callable[[Connection], object]) -> Unit[None, None]:
    def unit(tx: Connection, items: Sequence[None]) -> list[None]:
        write(tx)
        return [None] * len(items)

    return unit


def _put(store: Store, who: AccountEntry, numbers: range) -> None:
    staged = [store.blobs.stage_now([_message(number)]) for number in numbers]
    new = [PutMessage(who.account_id, who.inbox, one, frozenset(), NOW_MS) for one in staged]
    store.write_now(_unit(lambda tx: put_messages(tx, new)), None)


@pytest.fixture
def amal(store: Store) -> AccountEntry:
    """Make an account whose INBOX has a complete block and the beginning of another one."""
    who = make_reader(store)
    begin = sa.update(mailbox).where(mailbox.c.id == who.inbox).values(uid_next=FIRST)
    store.write_now(_unit(lambda tx: tx.execute(begin)), None)
    _put(store, who, range(MANY))
    index(store, who)
    return who


def _restart(store: Store) -> None:
    """Forget what a worker has in memory."""
    store.header_cache, store.header_columns = ValueCache(), HeaderColumns()


async def _kinds(store: Store) -> dict[bytes, list[int]]:
    """Return the numbers of the blocks of each kind, once all that was to be written is."""
    await store.write(_unit(lambda tx: None), None)
    query = sa.select(kept_block.c.kind, kept_block.c.number).order_by(kept_block.c.number)
    found: dict[bytes, list[int]] = {}
    for kind, number in await store.read(lambda conn: conn.execute(query).all()):
        found.setdefault(bytes(kind), []).append(number)
    return found


async def _ask(place: ImapPlace) -> list[list[bytes]]:
    async with place.session() as client:
        await client.ok("SELECT INBOX")
        return [(await client.ok(command))[:-1] for command in ASKED]


def test_a_new_worker_reads_no_rows(store: Store, amal: AccountEntry, tmp_path: Path) -> None:
    """The same is answered where the messages have become others behind its back."""

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            first = await _ask(place)
            kinds = await _kinds(store)
            assert set(map(tuple, kinds.values())) == {(0,)}
            assert len(kinds) == 12
            old = sa.select(message.c.blob_id).where(message.c.uid < 1024)
            for change in (
                sa.delete(summary).where(summary.c.blob_id.in_(old)),
                sa.update(blob).where(blob.c.id.in_(old)).values(content=b"X-Other: x\r\n\r\n"),
            ):
                await store.write(_unit(lambda tx: tx.execute(change)), None)  # noqa: B023
            _restart(store)
            assert await _ask(place) == first
            assert await _kinds(store) == kinds

    asyncio.run(run())


def test_damaged_blocks_are_made_anew(store: Store, amal: AccountEntry, tmp_path: Path) -> None:
    """What can be made again must not keep a mailbox from being read."""

    async def blocks() -> dict[int, bytes]:
        rows = await store.read(
            lambda conn: conn.execute(sa.select(kept_block.c.id, kept_block.c.data)).all()
        )
        return {row.id: bytes(row.data) for row in rows}

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            first = await _ask(place)
            await _kinds(store)
            whole = await blocks()
            for number, (row_id, data) in enumerate(whole.items()):
                cut = data[: number % 5 * 2]
                flipped = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
                change = (
                    sa.update(kept_block)
                    .where(kept_block.c.id == row_id)
                    .values(data=cut if number % 2 else flipped)
                )
                await store.write(_unit(lambda tx: tx.execute(change)), None)  # noqa: B023
            _restart(store)
            assert await _ask(place) == first
            await _kinds(store)
            assert sorted((await blocks()).values()) == sorted(whole.values())

    asyncio.run(run())


def test_nothing_of_an_expunged_message_stays(
    store: Store, amal: AccountEntry, tmp_path: Path
) -> None:
    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            await _ask(place)
            assert len(await _kinds(store)) == 12
            async with place.session() as client:
                await client.ok("SELECT INBOX")
                await client.ok("UID STORE 1030 +FLAGS.SILENT (\\Deleted)")
                await client.ok("EXPUNGE")
                assert len(await _kinds(store)) == 12, "it was in no block"
                await client.ok("UID STORE 500 +FLAGS.SILENT (\\Deleted)")
                await client.ok("EXPUNGE")
                assert not await _kinds(store)
            kept = await _ask(place)  # from the memory of this worker
            assert not any(b"amal100@north.test" in line for answer in kept for line in answer)
            for _ in range(2):
                _restart(store)
                assert await _ask(place) == kept
                assert len(await _kinds(store)) == 12

    asyncio.run(run())


def test_a_block_that_was_made_before_an_expunge_is_not_written(
    store: Store, amal: AccountEntry
) -> None:
    """Nor one to whose range messages still come."""
    query = sa.select(message.c.uid).where(message.c.mailbox_id == amal.inbox)
    uids = array("I", sorted(store.read_now(lambda conn: conn.scalars(query).all())))
    whole, open_ = uids_within(uids, 0), uids_within(uids, 1)
    gone = ExpungeMessages(amal.account_id, amal.inbox, (Uid(500),), deleted_only=False)
    numbers = sa.select(kept_block.c.number)
    for uids, number, before, kept in (
        (open_, 1, (), []),
        (whole[1:], 0, (), []),
        (whole, 0, (), [0]),
        (whole, 0, (gone,), []),
    ):
        for item in before:
            store.write_now(expunge_messages, item)
        block = KeptBlock(amal.inbox, b"x", number, uids, b"data")
        store.write_now(keep_blocks, [block])
        assert store.read_now(lambda conn: conn.scalars(numbers).all()) == kept


@pytest.mark.parametrize("how", ["RENAME", "DELETE", "account"])
def test_nothing_of_a_mailbox_stays(
    store: Store, amal: AccountEntry, tmp_path: Path, how: str
) -> None:
    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            await _ask(place)
            assert await _kinds(store)
            if how == "account":
                await store.write(delete_account, amal.account_id)
                assert not await _kinds(store)
                return
            async with place.session() as client:
                item = RenameMailbox(amal.account_id, "INBOX", "Old", NOW_MS)
                await store.write(rename_mailbox, item)
                assert not await _kinds(store)
                if how == "DELETE":
                    await client.ok("SELECT Old")
                    await client.ok("UID SORT (SUBJECT) UTF-8 ALL")
                    assert await _kinds(store)
                    await client.ok("UNSELECT")
                    await client.ok("DELETE Old")
                    assert not await _kinds(store)

    asyncio.run(run())


def test_the_kinds_are_bounded(store: Store, amal: AccountEntry, tmp_path: Path) -> None:
    """A client may ask for any fields; what was kept first makes room."""

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.ok("SELECT INBOX")
            for number in range(15):
                await client.ok(f"FETCH 1:* BODY.PEEK[HEADER.FIELDS (X-{number})]")
            await client.ok(f"FETCH 1:* BODY.PEEK[HEADER.FIELDS ({'x' * 600})]")
            names = {kind.partition(b"(")[2] for kind in await _kinds(store)}
            assert names == {b"X-%d)]" % number for number in range(3, 15)}

    asyncio.run(run())


def test_the_order_of_all_gives_that_of_many(
    store: Store, amal: AccountEntry, tmp_path: Path
) -> None:
    """It is kept; also after messages are gone, and as the first of several criteria."""
    uids = list(range(FIRST, FIRST + MANY))

    def sort(some: Iterable[int], last: Callable[[int], int] = int) -> list[bytes]:
        ordered = sorted(some, key=lambda uid: (str((uid - FIRST) % 50), last(uid)))
        return [b"%d" % uid for uid in ordered]

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:

            async def ask(criteria: str, key: str) -> list[bytes]:
                return (await client.ok(f"UID SORT ({criteria}) UTF-8 {key}"))[0].split()[2:]

            await client.ok("SELECT INBOX")
            for _ in range(2):
                assert await ask("SUBJECT", "ALL") == sort(uids)
                assert await ask("SUBJECT", "UID 450:800") == sort(range(450, 801))
                assert await ask("SUBJECT", "UID 450:460") == sort(range(450, 461))
            assert await ask("SUBJECT REVERSE ARRIVAL", "ALL") == sort(uids)
            by_name = await ask("SUBJECT DISPLAYFROM", "ALL")
            assert by_name == sort(uids, lambda uid: (uid - FIRST) % 7)
            await client.ok("UID STORE 500:520,1039 +FLAGS.SILENT (\\Deleted)")
            await client.ok("EXPUNGE")
            left = [uid for uid in uids if not 500 <= uid <= 520 and uid != 1039]
            for _ in range(2):
                assert await ask("SUBJECT", "ALL") == sort(left)
            _put(store, amal, range(MANY, MANY + 3))
            await client.ok("NOOP")
            assert await ask("SUBJECT", "ALL") == sort([*left, 1040, 1041, 1042])

    asyncio.run(run())


def test_blocks_of_another_version_are_not_used(store: Store, amal: AccountEntry) -> None:
    query = sa.select(message.c.uid).where(message.c.mailbox_id == amal.inbox)
    uids = array("I", sorted(store.read_now(lambda conn: conn.scalars(query).all())))
    store.write_now(keep_blocks, [KeptBlock(amal.inbox, b"x", 0, uids_within(uids, 0), b"data")])
    find = functools.partial(find_blocks, mailbox_id=amal.inbox, kind=b"x", numbers=[0, 1])
    assert store.read_now(find) == {0: b"data"}
    other = sa.update(kept_block).values(kind=b"0.0 x")
    store.write_now(_unit(lambda tx: tx.execute(other)), None)
    assert store.read_now(find) == {}
