"""What one account may cost the others over IMAP: memory, reader threads, statements.

Nothing here looks at a clock: bytes, statements and turns are counted.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import FrameType

import pytest
import sqlalchemy as sa

from kit.imap import ImapClient, ImapPlace, imap_place, literals, make_reader
from kit.store import open_test_store, running
from zajil.read.imap.search_text import MessageText
from zajil.store.engine.open import Store
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.mail.messages import MessageReader

SESSIONS = 5
HELD = 3 << 19
"""Bytes that one session may hold: 768 KiB of its answer, and the buffers of TLS at both ends."""


@pytest.fixture
def sqlite(tmp_path: Path) -> Store:
    return open_test_store("sqlite", tmp_path / "data")


def many_times(items: int, size: int) -> str:
    """Ask for nearly the whole of each message, again and again, in different words."""
    wanted = " ".join(f"BODY.PEEK[]<{n}.{size}>" for n in range(items))
    return f"FETCH 1:* ({wanted})"


@contextmanager
def counted(store: Store) -> Iterator[list[str]]:
    """Collect the statements that readers run."""
    statements: list[str] = []

    def note(conn: object, cursor: object, statement: str, *more: object) -> None:
        statements.append(statement)

    engine = store.reader.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


async def fill(imap: ImapClient, count: int, message: bytes) -> None:
    for _ in range(count):
        assert b" OK " in await imap.append("INBOX", message)


async def enter(place: ImapPlace) -> ImapClient:
    """Open one more session of the account, for which the test does not read much."""
    client = await place.connect()
    sock: socket.socket = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    await client.log_in()
    await client.ok("SELECT INBOX")
    return client


async def stall(place: ImapPlace, command: str) -> ImapClient:
    """Send a command, and take nothing of the answer."""
    client = await enter(place)
    transport = client.writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    await client.send(b"x " + command.encode() + b"\r\n")
    return client


async def until_still(probe: ImapClient) -> int:
    """Let all others of the account have turns until nothing changes; give the bytes in use.

    An account's requests get their turns in order, so each NOOP lets everybody else do one.
    """
    before, now = -(1 << 30), 0
    while abs(now - before) > 100_000:
        for _ in range(40):
            await probe.ok("NOOP")
        gc.collect()
        before, now = now, tracemalloc.get_traced_memory()[0]
    return now


@pytest.mark.parametrize("large", [False, True], ids=["in the database", "in a file"])
def test_what_nobody_reads_is_not_built(sqlite: Store, tmp_path: Path, large: bool) -> None:
    make_reader(sqlite)
    size = 1_000_000 if large else 250_000
    message = b"Subject: large\r\n\r\n" + b"0123456789" * (size // 10)

    async def run() -> None:
        async with (
            running(sqlite),
            imap_place(sqlite, tmp_path) as place,
            place.session() as probe,
        ):
            await fill(probe, 4, message)
            await probe.ok("SELECT INBOX")
            tracemalloc.start()
            before = await until_still(probe)
            stalled = [await stall(place, many_times(60, size)) for _ in range(SESSIONS)]
            held = await until_still(probe) - before
            assert held < SESSIONS * HELD
            # Who hangs up is not worked for any more.
            for client in stalled:
                client.writer.transport.abort()
            stalled.clear()
            del client
            assert await until_still(probe) - before < HELD
            tracemalloc.stop()

    asyncio.run(run())


def test_a_long_answer_is_whole(sqlite: Store, tmp_path: Path) -> None:
    """Cut into turns or not, each item has its own bytes."""
    make_reader(sqlite)
    head = b"A: 1\r\nB: 2\r\nA: 3\r\n"
    message = head + b"\r\n" + bytes(range(32, 127)) * 2500

    async def run() -> None:
        async with (
            running(sqlite),
            imap_place(sqlite, tmp_path) as place,
            place.session() as imap,
        ):
            await fill(imap, 3, message)
            await imap.ok("SELECT INBOX")
            for line in (await imap.ok(many_times(20, 200_000)))[:-1]:
                assert list(literals(line)) == [message[n : n + 200_000] for n in range(20)]
            long = "BODY.PEEK[] BODY.PEEK[TEXT] BODY.PEEK[]<1.200000> UID"
            fields = "BODY.PEEK[HEADER.FIELDS (A)] BODY.PEEK[HEADER.FIELDS.NOT (A)]<1.3>"
            for items in (f"({long} {fields})", f"({fields})"):
                for line in (await imap.ok(f"FETCH 1:* {items}"))[:-1]:
                    assert list(literals(line))[-2:] == [b"A: 1\r\nA: 3\r\n\r\n", b": 2"]

    asyncio.run(run())


def test_fields_without_a_last_line_end(sqlite: Store, tmp_path: Path) -> None:
    make_reader(sqlite)

    async def run() -> None:
        async with (
            running(sqlite),
            imap_place(sqlite, tmp_path) as place,
            place.session() as imap,
        ):
            await fill(imap, 1, b"A: 1\r\nB: 2")
            await imap.ok("SELECT INBOX")
            (line, _) = await imap.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (B)]")
            assert list(literals(line)) == [b"B: 2\r\n\r\n"]
            (line, _) = await imap.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (C)]")
            assert list(literals(line)) == [b"\r\n"]

    asyncio.run(run())


def test_messages_are_read_with_few_statements(sqlite: Store, tmp_path: Path) -> None:
    make_reader(sqlite)

    async def run() -> None:
        async with (
            running(sqlite),
            imap_place(sqlite, tmp_path) as place,
            place.session() as imap,
        ):
            await fill(imap, 100, b"Subject: small\r\n\r\nx\r\n")
            await imap.ok("SELECT INBOX")
            await imap.ok("NOOP")
            with counted(sqlite) as statements:
                assert len(await imap.ok("FETCH 1:* (BODY.PEEK[])")) == 101
            assert len(statements) < 10

    asyncio.run(run())


# ---- SEARCH -------------------------------------------------------------------------------------


def test_each_field_is_decoded_once_however_many_keys() -> None:
    fields = b"".join(b"x: =?utf-8?q?value_%d?=\r\n" % n for n in range(50))
    body = b"Content-Type: text/plain\r\n\r\n" + b"text " * 100
    text = MessageText(MessageReader(fields, BlobReader(len(body), body, None)))
    decoded: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            decoded[frame.f_code.co_name] += 1

    sys.setprofile(note)
    try:
        for n in range(100):
            assert text.has_field(b"x", f"value {n}") == (n < 50)
            assert text.header_has(f"x: value {n}") == (n < 50)
            assert not text.has_field(b"y", str(n))
            assert not text.body_has(f"value {n}")
    finally:
        sys.setprofile(None)
    assert decoded["decode_words"] == 51
    assert decoded["parse_message"] == 1


def test_no_term_is_found_across_two_fields() -> None:
    head = b"x: one\r\nx: two\r\nz:\r\n\r\n"
    text = MessageText(MessageReader(b"", BlobReader(len(head), head, None)))
    assert text.has_field(b"x", "one")
    assert text.has_field(b"x", "two")
    assert not text.has_field(b"x", "onetwo")
    assert not text.has_field(b"x", "one two")
    assert text.has_field(b"z", "")
    assert not text.has_field(b"y", "")


def test_others_are_served_while_one_account_searches(sqlite: Store, tmp_path: Path) -> None:
    """And the work for a client that is gone ends."""
    account_id = make_reader(sqlite).account_id
    make_reader(sqlite, "badr@north.test")
    message = b"Content-Type: text/plain\r\n\r\n" + b"0123456789 " * 30_000

    async def run() -> None:
        async with (
            running(sqlite),
            imap_place(sqlite, tmp_path) as place,
            place.session() as probe,
            place.session("badr") as badr,
        ):
            await fill(probe, 20, message)
            await fill(badr, 1, message)
            await probe.ok("SELECT INBOX")
            with counted(sqlite) as whole:
                await probe.ok("SEARCH NOT BODY nothing")
            searching = [await enter(place) for _ in range(12)]
            for client in searching:
                await client.send(b"x SEARCH NOT BODY nothing\r\n")
            answers = [asyncio.ensure_future(one.read_response()) for one in searching]
            async with place.session("badr") as other:
                await other.ok("SELECT INBOX")
                await other.ok("FETCH 1 BODY.PEEK[]")
                await other.ok("STATUS INBOX (MESSAGES)")
                assert not any(answer.done() for answer in answers)
            with counted(sqlite) as after:
                for client in searching:
                    client.writer.transport.abort()
                await asyncio.gather(*answers, return_exceptions=True)
                # An account's requests get their turns in order: each lets everybody else do one.
                quiet = 0
                while quiet < 3:
                    before = len(after)
                    await sqlite.work(lambda: None, account_id)
                    quiet = quiet + 1 if len(after) == before else 0
            assert len(after) < len(searching) * len(whole) / 2

    asyncio.run(run())


def test_flags_are_searched_by_sql(sqlite: Store, tmp_path: Path) -> None:
    make_reader(sqlite)

    async def run() -> None:
        async with (
            running(sqlite),
            imap_place(sqlite, tmp_path) as place,
            place.session() as imap,
        ):
            await fill(imap, 30, b"Subject: small\r\n\r\nx\r\n")
            await imap.ok("SELECT INBOX")
            await imap.ok(r"STORE 5,7 +FLAGS (\Seen)")
            await imap.ok("NOOP")
            with counted(sqlite) as statements:
                assert (await imap.ok("SEARCH UNSEEN 4:8"))[0] == b"* SEARCH 4 6 8"
                assert (await imap.ok("UID SEARCH SEEN"))[0] == b"* SEARCH 5 7"
            rows = [one for one in statements if "received_at_ms" in one]
            assert rows == []

    asyncio.run(run())


COUNT = 12
EVERYTHING = frozenset(range(1, COUNT + 1))
LEAVES = {
    "SEEN": frozenset(n for n in EVERYTHING if n & 1),
    "FLAGGED": frozenset(n for n in EVERYTHING if n & 2),
    "KEYWORD $Work": frozenset(n for n in EVERYTHING if n & 4),
    "LARGER 1000": frozenset(n for n in EVERYTHING if n & 8),
    "SUBJECT odd": frozenset(n for n in EVERYTHING if n % 3 == 0),
    "2:7": frozenset(range(2, 8)),
    "UID 5:*": frozenset(range(5, COUNT + 1)),
    "ALL": EVERYTHING,
}


def random_key(random: Random, depth: int) -> tuple[str, frozenset[int]]:
    """Make a key, and say which messages it holds for."""
    kind = random.choice(["leaf", "leaf", "NOT", "OR", "AND"]) if depth else "leaf"
    if kind == "leaf":
        return random.choice(list(LEAVES.items()))
    left, found = random_key(random, depth - 1)
    if kind == "NOT":
        return f"NOT {left}", EVERYTHING - found
    right, more = random_key(random, depth - 1)
    if kind == "OR":
        return f"OR {left} {right}", found | more
    return f"({left} {right})", found & more


def test_any_key_finds_what_it_says(sqlite: Store, tmp_path: Path) -> None:
    """Whatever is decided by numbers, by SQL, by the row and by the text."""
    make_reader(sqlite)
    random = Random(15)

    async def run() -> None:
        async with (
            running(sqlite),
            imap_place(sqlite, tmp_path) as place,
            place.session() as imap,
        ):
            for n in sorted(EVERYTHING):
                subject = b"odd" if n in LEAVES["SUBJECT odd"] else b"even"
                size = 2000 if n in LEAVES["LARGER 1000"] else 10
                flags = {r"\Seen": "SEEN", r"\Flagged": "FLAGGED", "$Work": "KEYWORD $Work"}
                mine = " ".join(flag for flag, key in flags.items() if n in LEAVES[key])
                message = b"Subject: %b\r\n\r\n%b" % (subject, b"x" * size)
                assert b" OK " in await imap.append("INBOX", message, f"({mine})")
            await imap.ok("SELECT INBOX")
            for _ in range(300):
                key, found = random_key(random, 4)
                (line, _) = await imap.ok(f"SEARCH {key}")
                assert set(map(int, line.split()[2:])) == found, key

    asyncio.run(run())


def test_a_long_set_takes_no_memory_of_its_own(sqlite: Store, tmp_path: Path) -> None:
    """Each of many sets names the whole mailbox; what is kept of a set is what was written."""
    make_reader(sqlite)

    async def run() -> None:
        async with (
            running(sqlite),
            imap_place(sqlite, tmp_path) as place,
            place.session() as imap,
        ):
            await fill(imap, 300, b"Subject: small\r\n\r\nx\r\n")
            await imap.ok("SELECT INBOX")
            keys = " ".join(f"UID 1:{4294967295 - n}" for n in range(900))
            tracemalloc.start()
            (line, _) = await imap.ok(f"SEARCH {keys}")
            assert len(line.split()) == 302
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
            tracemalloc.stop()

    asyncio.run(run())
