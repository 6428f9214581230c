"""What FETCH and SEARCH keep of many messages gives what reading each message gives."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import NOW_MS, running
from zajil.core.directory import AccountEntry
from zajil.read.indexer import read_summaries
from zajil.store.engine.open import Store
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.mail.summaries import find_waiting, write_summaries
from zajil.store.mail.value_cache import FEWEST

_MANY = 130
_FIELDS = 'BODY.PEEK[HEADER.FIELDS (Subject "X-100%d" From)]'
_ASKED = (
    _FIELDS,
    "BODY.PEEK[HEADER.FIELDS.NOT (Subject)]",
    "ENVELOPE",
    "(FLAGS BODYSTRUCTURE BODY UID)",
    f"(RFC822.SIZE {_FIELDS} ENVELOPE)",
    "PREVIEW",
)
_NUMBER = re.compile(rb"\* (\d+) FETCH ")


def _message(number: int) -> bytes:
    lines = [f"From: Amal <amal{number}@north.test>", f"X-100%d: {number} %s"]
    if number % 7 == 0:
        lines.append("X-Long: " + "\r\n ".join(["y" * 70] * 150))  # over 8 KB
    if number % 5 != 1:
        lines.append(f"Subject: =?utf-8?Q?=D8=B3=D9=84=D8=A7=D9=85?= folded\r\n line {number}")
    if number % 11 == 0:
        lines.append("X-Kind: Needle")
    if number % 13 == 0:
        lines += ["X-Kind: other", "x-KIND : nee\r\n dle"]
    body = "text\r\n" * (number % 4)
    if number % 29 == 0:
        body = "long\r\n" * 30_000  # in a file
    ending = "" if number % 17 == 0 else "\r\n\r\n" + body
    return "\r\n".join(lines).encode() + ending.encode()


def _put(store: Store, amal: AccountEntry, numbers: range) -> None:
    staged = [store.blobs.stage_now([_message(number)]) for number in numbers]
    new = [PutMessage(amal.account_id, amal.inbox, one, frozenset(), NOW_MS) for one in staged]
    store.write_now(_put_all, new)


def _put_all(tx: Connection, items: Sequence[Sequence[PutMessage]]) -> list[None]:
    for new in items:
        put_messages(tx, new)
    return [None] * len(items)


async def _index(store: Store) -> None:
    while waiting := await store.read(lambda conn: find_waiting(conn, 100)):
        new = await store.read(lambda conn: read_summaries(conn, store.blobs, waiting))
        await store.write(write_summaries, new)


async def _by_few(client: ImapClient, count: int, asked: str) -> list[bytes]:
    """Ask for so few at a time that nothing is kept or taken from what was kept."""
    found: list[bytes] = []
    for first in range(1, count + 1, FEWEST - 1):
        last = min(count, first + FEWEST - 2)
        found += (await client.ok(f"FETCH {first}:{last} {asked}"))[:-1]
    return found


@pytest.mark.parametrize("indexed", [True, False])
def test_fetch_gives_what_each_message_gives(
    store: Store, tmp_path: Path, *, indexed: bool
) -> None:
    """Read, kept, and kept in part: after new messages, and after others are gone."""
    amal = make_reader(store)
    _put(store, amal, range(1, _MANY + 1))

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            if indexed:
                await _index(store)
            await client.ok("SELECT INBOX")
            for asked in _ASKED:
                alone = await _by_few(client, _MANY, asked)
                assert len(alone) == _MANY
                for _ in range(3):
                    assert (await client.ok(f"FETCH 1:* {asked}"))[:-1] == alone
            assert bool(store.header_cache.memory)
            await client.ok("STORE 3,50:60,130 +FLAGS.SILENT (\\Deleted)")
            await client.ok("EXPUNGE")
            _put(store, amal, range(_MANY + 1, _MANY + 9))
            await client.ok("NOOP")
            for asked in _ASKED:
                alone = await _by_few(client, _MANY - 13 + 8, asked)
                assert len(alone) == _MANY - 13 + 8
                for _ in range(2):
                    assert (await client.ok(f"FETCH 1:* {asked}"))[:-1] == alone
                    some = (await client.ok(f"FETCH 5:110 {asked}"))[:-1]
                    assert some == [
                        one for one in alone if (m := _NUMBER.match(one)) and 5 <= int(m[1]) <= 110
                    ]

    asyncio.run(run())


def test_rev2_has_its_own(store: Store, tmp_path: Path) -> None:
    """RFC 9051 section 7.5.2: MESSAGE/GLOBAL has the structure that MESSAGE/RFC822 has."""
    amal = make_reader(store)
    data = (
        b"Content-Type: message/global\r\n\r\nSubject: x\r\n\r\n"
        b"text\r\n"
    )  # fmt: skip
    for _ in range(_MANY):
        item = PutMessage(
            amal.account_id, amal.inbox, store.blobs.stage_now([data]), frozenset(), NOW_MS
        )
        store.write_now(put_messages, item)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            await _index(store)
            answers: list[list[bytes]] = []
            for enable in ("NOOP", "ENABLE IMAP4rev2"):
                async with place.session() as client:
                    await client.ok(enable)
                    await client.ok("SELECT INBOX")
                    alone = await _by_few(client, _MANY, "BODYSTRUCTURE")
                    for _ in range(2):
                        assert (await client.ok("FETCH 1:* BODYSTRUCTURE"))[:-1] == alone
                    answers.append(alone)
            assert answers[0] != answers[1]

    asyncio.run(run())


_SEARCHED = (
    "HEADER X-Kind needle",
    "HEADER X-Kind other",
    'HEADER x-kind ""',
    'HEADER "X-100%d" "%s"',
    'HEADER "X-100%d" 2',
    "NOT HEADER X-Kind needle",
    "OR HEADER X-Kind other HEADER X-Nothing x",
    "HEADER Subject {8+}\r\n\u0633\u0644\u0627\u0645",
    'HEADER From "@north.test"',
    'HEADER X-Long "yy yy"',
    'UID 2:600 HEADER From "amal5" HEADER X-Kind dle',
)


@pytest.mark.parametrize(
    ("store_url", "indexed"),
    [("sqlite", True), ("sqlite", False), ("postgresql", True)],
    indirect=["store_url"],
)
def test_search_gives_what_each_message_gives(
    store: Store, tmp_path: Path, *, indexed: bool
) -> None:
    """The same as one search for each few messages; also when the fields are kept."""
    amal, many = make_reader(store), 620
    _put(store, amal, range(1, many + 1))

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            if indexed:
                await _index(store)
            await client.ok("SELECT INBOX")
            found = []
            for asked in _SEARCHED:
                alone: list[bytes] = []
                for first in range(1, many + 1, 310):
                    some = f"SEARCH {first}:{first + 309} {asked}"
                    alone += (await client.ok(some))[0].split()[2:]
                found.append(len(alone))
                for _ in range(2):
                    assert (await client.ok(f"SEARCH {asked}"))[0].split()[2:] == alone
            assert found[:3] == [620 // 11, 620 // 13, 620 // 11 + 620 // 13 - 620 // 143]
            assert found[7] > 400
            assert b"SEARCH x-kind" in {kind for _, kind, _ in store.header_cache._kept}
            await client.ok("STORE 11,22:40 +FLAGS.SILENT (\\Deleted)")
            await client.ok("EXPUNGE")
            _put(store, amal, range(11 * 58, 11 * 58 + 2))
            await client.ok("NOOP")
            for asked in _SEARCHED:
                alone = []
                for first in range(1, many + 1, 310):
                    some = f"SEARCH {first}:{first + 309} {asked}"
                    alone += (await client.ok(some))[0].split()[2:]
                assert (await client.ok(f"SEARCH {asked}"))[0].split()[2:] == alone

    asyncio.run(run())
