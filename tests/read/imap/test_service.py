"""What a listener guards: size, number, silence, an orderly end; and large messages."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest

from kit.imap import imap_place, literals, make_reader
from kit.store import open_test_store, running
from zajil.read.imap.line_ends import LineEnds
from zajil.read.imap.service import ImapLimits
from zajil.store.engine.open import Store


@pytest.fixture
def sqlite(tmp_path: Path) -> Store:
    return open_test_store("sqlite", tmp_path / "data")


def test_a_large_message_comes_in_pieces(sqlite: Store, tmp_path: Path) -> None:
    make_reader(sqlite)
    line = b"0123456789" * 7 + b"\r\n"
    body = line * (20_000_000 // len(line))
    head = b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    message = head + b"--b\r\n\r\nsmall\r\n--b\r\n\r\n" + body + b"--b--\r\n"

    async def run() -> int:
        async with running(sqlite), imap_place(sqlite, tmp_path) as place, place.session() as imap:
            assert b" OK " in await imap.append("INBOX", message)
            await imap.ok("SELECT INBOX")
            (line, _) = await imap.ok("FETCH 1 BODY[1]")
            assert list(literals(line)) == [b"small"]
            (line, _) = await imap.ok("FETCH 1 BODY.PEEK[2]<1000000.50>")
            assert list(literals(line)) == [body[1_000_000:1_000_050]]
            (line, _) = await imap.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
            assert list(literals(line)) == [b"Subject: large\r\n\r\n"]
            # Only our side is measured: the client throws away what it reads.
            await imap.send(b"x FETCH 1 BODY.PEEK[]\r\n")
            tracemalloc.start()
            got = 0
            while got < len(message):
                got += len(await imap.reader.read(65536))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return peak

    assert asyncio.run(run()) < 8_000_000


def test_a_message_over_the_limit(sqlite: Store, tmp_path: Path) -> None:
    make_reader(sqlite)

    async def run() -> None:
        async with (
            running(sqlite),
            imap_place(sqlite, tmp_path, message_size=1000) as place,
            place.session() as imap,
        ):
            assert b" NO [TOOBIG]" in (await imap.command("APPEND INBOX {1001}"))[-1]
            assert b" NO [TOOBIG]" in await imap.append("INBOX", b"x" * 100_000)
            await imap.ok("NOOP")
            assert b" NO " in await imap.append("INBOX", b"Subject: \x00\r\n\r\n")

    asyncio.run(run())


def test_too_many_connections(sqlite: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            running(sqlite),
            imap_place(sqlite, tmp_path, sessions_per_address=1) as place,
        ):
            one = await place.connect(tls=False)
            two = await place.connect(tls=False)
            assert two.greeting.startswith(b"* BYE")
            await one.close()
            await two.close()

    asyncio.run(run())


def test_silence_of_a_stranger(sqlite: Store, tmp_path: Path) -> None:
    times = ImapLimits(log_in_seconds=0.05)

    async def run() -> None:
        async with running(sqlite), imap_place(sqlite, tmp_path, times=times) as place:
            client = await place.connect(tls=False)
            assert (await client.read_response()).startswith(b"* BYE")
            assert await client.is_closed()
            await client.close()

    asyncio.run(run())


def test_the_end_of_the_server_is_said(sqlite: Store, tmp_path: Path) -> None:
    make_reader(sqlite)

    async def run() -> None:
        async with running(sqlite):
            async with imap_place(sqlite, tmp_path) as place:
                client = await place.connect()
                await client.log_in()
                await client.ok("SELECT INBOX")
            assert (await client.read_response()).startswith(b"* BYE")
            await client.close()

    asyncio.run(run())


def test_a_store_that_is_away(sqlite: Store, tmp_path: Path) -> None:
    """Never OK for what is not on disk, and the connection stays."""
    make_reader(sqlite)

    async def run() -> None:
        async with running(sqlite), imap_place(sqlite, tmp_path) as place, place.session() as imap:
            await imap.ok("SELECT INBOX")
            await sqlite.writer.close()
            assert b" NO [UNAVAILABLE]" in await imap.append("INBOX", b"Subject: x\r\n\r\n")
            assert b" NO [UNAVAILABLE]" in (await imap.command("CREATE x"))[-1]
            await imap.ok("NOOP")

    asyncio.run(run())


@pytest.mark.parametrize("tls", [False, True])
def test_uvloop_serves_the_same(sqlite: Store, tmp_path: Path, tls: bool) -> None:
    uvloop = pytest.importorskip("uvloop")
    make_reader(sqlite)

    async def run() -> None:
        async with running(sqlite), imap_place(sqlite, tmp_path) as place:
            client = await place.connect(tls=tls)
            if not tls:
                await client.ok("STARTTLS")
                await client.writer.start_tls(place.client_tls, server_hostname="127.0.0.1")
            await client.log_in()
            await client.append("INBOX", b"Subject: x\r\n\r\n")
            assert b"* 1 EXISTS" in await client.ok("SELECT INBOX")
            await client.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize(
    ("parts", "want"),
    [
        ([b"a\r\nb\r\n"], b"a\r\nb\r\n"),
        ([b"a\nb\rc\r\n"], b"a\r\nb\r\nc\r\n"),
        ([b"a\r", b"\nb"], b"a\r\nb"),
        ([b"a\r", b"b\r"], b"a\r\nb\r\n"),
        ([b"\n", b"\n", b"\r", b"\r"], b"\r\n\r\n\r\n\r\n"),
        ([b"\r", b"", b"\n.\r", b"\n"], b"\r\n.\r\n"),
    ],
)
def test_no_bare_line_end_is_stored(parts: list[bytes], want: bytes) -> None:
    line_ends = LineEnds()
    cleaned = [line_ends.clean(part) for part in parts]
    assert b"".join([*cleaned, line_ends.end()]) == want
