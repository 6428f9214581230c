"""What one account may cost the others over IMAP: memory, reader threads, statements.

Nothing here looks at a clock: bytes, statements and turns are counted.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from zajil.store.open import Store
from zajil.testing.imap import ImapClient, ImapPlace, imap_place, literals, make_reader
from zajil.testing.store import open_test_store, running

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


async def stall(place: ImapPlace, command: str) -> ImapClient:
    """Send a command, and take nothing of the answer."""
    client = await place.connect()
    sock: socket.socket = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    await client.log_in()
    await client.ok("SELECT INBOX")
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
