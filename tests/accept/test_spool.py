"""The bytes of a message while they arrive: in memory, in a file, or nowhere without room."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.reading import inbox_of
from kit.store import make_account, open_test_store, running
from kit.talk import Talk, talk_to_receiver
from zajil.accept.spool import Spool
from zajil.config.options import LimitOptions
from zajil.mailauth.dkim_body import BodyDigests, BodyNeed, NotHashed, body_needs
from zajil.message.fields import read_fields, split_message
from zajil.message.source import Source, read_pieces
from zajil.store.engine.errors import ReserveReached, StoreFull, StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.engine.spill import Spill, SpillFile

HEAD = (
    b"From: Amal <amal@north.test>\r\nTo: noor@south.test\r\n"
    b"Date: Mon, 23 Nov 2026 19:09:21 +0000\r\n"
)
LARGE = HEAD + b"\r\n" + (b"x" * 70 + b"\r\n") * 10_000


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    store = open_test_store("sqlite", tmp_path / "data")
    yield store
    store.close_now()


def limits(**changes: int) -> LimitOptions:
    return LimitOptions().model_copy(update={"memory": 1000, **changes})


def blob_files(folder: Path) -> list[Path]:
    return [path for path in (folder / "data" / "blobs").rglob("*") if path.is_file()]


def whole(source: bytes | Source) -> bytes:
    return b"".join(read_pieces(source))


async def fill(spool: Spool | Spill, data: bytes, size: int) -> None:
    for at in range(0, len(data), size):
        taken = spool.add(data[at : at + size])
        if taken is not None:
            await taken


@pytest.mark.parametrize("memory", [10, 1000, len(LARGE), len(LARGE) + 1])
@pytest.mark.parametrize("size", [7000, 1 << 20])
def test_what_comes_out_is_what_came_in(sqlite_store: Store, memory: int, size: int) -> None:
    async def run() -> None:
        spool = Spool(limits(memory=memory), sqlite_store.blobs)
        await fill(spool, LARGE, size)
        header, body = await spool.split()
        assert header == HEAD
        assert header + whole(body) == LARGE
        assert isinstance(body, bytes) == (memory >= len(LARGE))
        staged = await sqlite_store.blobs.stage_any([b"Received: x\r\n", header, body])
        assert staged.size == len(LARGE) + 13
        assert staged.location is not None
        path = blobs_of(sqlite_store) / staged.location
        assert path.read_bytes() == b"Received: x\r\n" + LARGE

    asyncio.run(run())


def blobs_of(store: Store) -> Path:
    return store.blobs.files.folder


def test_a_small_message_costs_no_file(sqlite_store: Store, tmp_path: Path) -> None:
    spool = Spool(limits(), sqlite_store.blobs)
    assert spool.add(HEAD) is None
    assert spool.add(b"\r\nhello\r\n") is None
    assert asyncio.run(spool.split()) == (HEAD, b"\r\nhello\r\n")
    assert blob_files(tmp_path) == []


def test_a_crash_leaves_nothing(sqlite_store: Store, tmp_path: Path) -> None:
    """The file has no name, and is closed when nobody refers to it."""

    async def run() -> None:
        spool = Spool(limits(), sqlite_store.blobs)
        await fill(spool, LARGE, 65_536)
        assert blob_files(tmp_path) == []

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(run())
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_past_the_limit_nothing_is_kept(sqlite_store: Store) -> None:
    async def run() -> None:
        spool = Spool(limits(message_size=100_000), sqlite_store.blobs)
        await fill(spool, LARGE, 65_536)
        assert spool.too_large
        assert spool.size == len(LARGE)
        with pytest.raises(StoreUnavailable):
            await spool.split()

    asyncio.run(run())


def test_a_header_section_that_never_ends(sqlite_store: Store) -> None:
    """Attack: all of a message is header section; only what shows that is read."""

    async def run() -> None:
        spool = Spool(limits(header_size=2000), sqlite_store.blobs)
        await fill(spool, b"X: y\r\n" * 100_000, 65_536)
        header, _ = await spool.split()
        assert 2000 < len(header) <= 2004

    asyncio.run(run())


BODY = b"\r\nBuy  me \t\r\n" + b"word  word\t word\r\n" * 40_000 + b"\r\n\r\n"
SIGNED = b"DKIM-Signature: v=1; c=relaxed/relaxed; l=100\r\nDKIM-SIGNATURE: c=simple/simple\r\n"
OURS = BodyNeed("relaxed", "sha256", None)


def hashes(spool: Spool, header: bytes, body: bytes | Source) -> list[bytes]:
    digests = spool.digests(read_fields(header), body)
    needs = [OURS, BodyNeed("simple", "sha256", None), BodyNeed("relaxed", "sha256", 100)]
    return [digests.digest(need) for need in needs]


def hashes_of(data: bytes) -> list[bytes]:
    end, start = split_message(data)
    digests = BodyDigests((OURS, *body_needs(read_fields(data[:end]))))
    digests.feed(data[start:])
    needs = [OURS, BodyNeed("simple", "sha256", None), BodyNeed("relaxed", "sha256", 100)]
    return [digests.digest(need) for need in needs]


def test_the_body_is_hashed_on_the_way(sqlite_store: Store) -> None:
    small = (SIGNED + HEAD + b"\r\nsmall\r\n", SIGNED + HEAD)
    large = (
        SIGNED + b"X: y\r\n" * 20_000 + BODY[:9000],
        (SIGNED + HEAD + BODY[:9000]).replace(b"\r\n", b"\n"),
    )

    async def run() -> None:
        for memory in (10, 1000, 100_000, 10_000_000):
            for data, size in ((data, size) for data in small for size in (1, 7, 10_000)):
                await check(data, memory, size)
            for data, size in ((data, size) for data in large for size in (4000, 10_000_000)):
                await check(data, memory, size)

    async def check(data: bytes, memory: int, size: int) -> None:
        spool = Spool(limits(memory=memory), sqlite_store.blobs, [OURS])
        await fill(spool, data, size)
        assert hashes(spool, *await spool.split()) == hashes_of(data)

    asyncio.run(run())


def test_a_large_body_is_hashed_once_and_never_read(sqlite_store: Store) -> None:
    async def run() -> None:
        data = SIGNED + HEAD + BODY
        for memory in (10, 10_000_000):
            spool = Spool(limits(memory=memory), sqlite_store.blobs, [OURS])
            await fill(spool, data, 65_536)
            header, _ = await spool.split()
            assert hashes(spool, header, b"not looked at") == hashes_of(data)

    asyncio.run(run())


def test_a_submission_is_hashed_for_our_signature_only(sqlite_store: Store) -> None:
    async def run() -> None:
        spool = Spool(limits(), sqlite_store.blobs, [OURS], reads_signatures=False)
        await fill(spool, SIGNED + HEAD + BODY, 65_536)
        header, body = await spool.split()
        digests = spool.digests(read_fields(header), body)
        assert digests.digest(OURS)
        with pytest.raises(NotHashed):
            digests.digest(BodyNeed("simple", "sha256", None))

    asyncio.run(run())


def test_a_header_section_that_ends_too_late_is_not_hashed(sqlite_store: Store) -> None:
    """Attack: it is looked through once, whatever the pieces are, and its hash is not wanted."""

    async def run() -> None:
        spool = Spool(limits(header_size=90_000), sqlite_store.blobs, [OURS])
        await fill(spool, SIGNED + b"X: y\r\n" * 20_000 + BODY, 500)
        header, body = await spool.split()
        assert len(header) > 90_000
        assert spool.digests(read_fields(header), body).size == 0

    asyncio.run(run())


def test_what_is_too_large_is_not_hashed_any_more(sqlite_store: Store) -> None:
    async def run() -> None:
        spool = Spool(limits(message_size=100_000), sqlite_store.blobs, [OURS])
        await fill(spool, HEAD + BODY, 65_536)
        assert spool.too_large
        assert spool.digests([], b"").size == 0

    asyncio.run(run())


@given(
    pieces=st.lists(st.binary(max_size=40), max_size=20),
    memory=st.integers(0, 60),
    reads=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=5),
    start=st.integers(0, 800),
)
@settings(max_examples=60, deadline=None)
def test_random_access_agrees_with_memory(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[bytes],
    memory: int,
    reads: list[tuple[int, int]],
    start: int,
) -> None:
    folder = tmp_path_factory.mktemp("spill")

    async def run() -> None:
        spill = Spill(lambda: SpillFile(folder / "x"), memory)
        data = b"".join(pieces)
        for piece in pieces:
            taken = spill.add(piece)
            if taken is not None:
                await taken
        begin = min(start, len(data))
        content = spill.content(begin)
        assert whole(content) == data[begin:]
        if not isinstance(content, bytes):
            for offset, size in reads:
                assert content.read_at(offset, size) == data[begin:][offset : offset + size]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, StoreFull), (errno.EIO, StoreUnavailable)]
)
def test_a_failure_is_kept_for_the_end(code: int, kind: type[Exception]) -> None:
    def no_file() -> SpillFile:
        raise OSError(code, "no")

    async def run() -> None:
        spill = Spill(no_file, 100)
        await fill(spill, b"x" * 5000, 90)
        assert spill.size == 5000
        assert type(spill.failure) is kind
        with pytest.raises(kind):
            spill.content()

    asyncio.run(run())


async def send_large(client: Talk) -> str:
    await client.say("MAIL FROM:<amal@north.test>")
    await client.say("RCPT TO:<noor@south.test>")
    await client.say("DATA")
    for at in range(0, len(LARGE), 65_536):
        client.conn.receive_data(LARGE[at : at + 65_536])
    return await client.say(b".\r\n")


def test_a_large_mail_arrives_whole(sqlite_store: Store) -> None:
    make_account(sqlite_store, "noor@south.test")

    async def run() -> None:
        async with running(sqlite_store):
            client = await talk_to_receiver(sqlite_store, limits())
            assert (await send_large(client)).startswith("250 2.0.0")
            (text,) = await inbox_of(sqlite_store, "noor@south.test")
            assert text.endswith(LARGE)

    asyncio.run(run())


def test_a_full_disk_defers_and_nothing_else(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Design section 4: disk full is 4yz; and the session goes on when there is room again."""
    make_account(sqlite_store, "noor@south.test")

    def no_room() -> None:
        raise StoreFull("no room")

    async def run() -> None:
        async with running(sqlite_store):
            client = await talk_to_receiver(sqlite_store, limits())
            with monkeypatch.context() as patch:
                patch.setattr(sqlite_store.blobs.files, "_require_space", no_room)
                assert (await send_large(client)).startswith("452 4.3.1")
            assert await inbox_of(sqlite_store, "noor@south.test") == []
            assert (await send_large(client)).startswith("250 2.0.0")

    asyncio.run(run())


def test_what_is_refused_for_want_of_room_takes_none(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: the reserve is reached between the file of a large mail and its commit."""
    make_account(sqlite_store, "noor@south.test")

    def no_room() -> None:
        raise ReserveReached("no room")

    async def run() -> None:
        async with running(sqlite_store):
            client = await talk_to_receiver(sqlite_store, limits())
            with monkeypatch.context() as patch:
                patch.setattr(sqlite_store.writer, "_require_space", no_room)
                assert (await send_large(client)).startswith("452 4.3.1")
            assert blob_files(tmp_path) == []
            assert (await send_large(client)).startswith("250 2.0.0")
            assert len(blob_files(tmp_path)) == 1

    asyncio.run(run())


_LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from kit.store import make_account, open_test_store, running
from kit.talk import talk_to_receiver
sys.path.insert(0, sys.argv[2])
from test_spool import limits, send_large

async def run():
    store = open_test_store("sqlite", Path(sys.argv[1]))
    make_account(store, "noor@south.test")
    async with running(store):
        client = await talk_to_receiver(store, limits())
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        print(await send_large(client))

asyncio.run(run())
"""


def test_a_disk_that_takes_no_more_in_the_middle(tmp_path: Path) -> None:
    """A write that fails half-way: 4yz, though most of the message was taken."""
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path / "data"), here],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.startswith("451 4.3.0"), done.stderr


def test_a_message_in_single_bytes_costs_what_is_counted(sqlite_store: Store) -> None:
    """Attack: each piece has its price beside its bytes, which is fifty times as much."""
    spool = Spool(limits(memory=65_536), sqlite_store.blobs)
    message = HEAD + b"\r\n" + b"y" * 20_000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(len(message)):
            assert spool.add(message[number : number + 1]) is None
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < 2 * len(message)
    header, body = asyncio.run(spool.split())
    assert header + whole(body) == message
