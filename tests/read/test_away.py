"""S3 is away: what is in it says so, and everything else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.imap import imap_place, literals, make_reader
from kit.s3 import FaultyProxy, moto_server
from kit.store import make_intake, open_test_store, running
from zajil.read.indexer import Indexer
from zajil.store.blobs.gate import REST_SECONDS
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.summaries import find_waiting

pytest.importorskip("obstore")
pytest.importorskip("moto.server")
LARGE = b"Subject: large\r\n\r\n" + b"many lines of one message\r\n" * 5000
SMALL = b"Subject: small\r\n\r\nshort\r\n"


@pytest.fixture(scope="module")
def proxy() -> Iterator[FaultyProxy]:
    with moto_server() as server:
        made = FaultyProxy(server)
        yield made
        made.close()


@pytest.fixture
def store(proxy: FaultyProxy, tmp_path: Path) -> Iterator[Store]:
    """A mailbox with a large and a small message; there are no copies on the disk."""
    proxy.fault = ""
    options = proxy.server.store_options(
        proxy.server.new_place(), cache_size=0, s3=proxy.server.options(timeout_ms=1000)
    )
    opened = open_test_store("sqlite", tmp_path / "data", **options)
    amal = make_reader(opened)
    for content in (LARGE, SMALL):
        staged = asyncio.run(opened.blobs.stage_any([content]))
        opened.write_now(write_intakes, make_intake(staged, local=[amal]))
    yield opened
    opened.close_now()


def come_back(proxy: FaultyProxy, store: Store) -> None:
    proxy.fault = ""
    store.blobs.objects._downloads._resting_until = 0


def test_imap_says_no_and_stays_connected(proxy: FaultyProxy, store: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.ok("SELECT INBOX")
            proxy.fault = "503"
            for what in ("BODY.PEEK[]", "BODY.PEEK[TEXT]<0.10>", "BODYSTRUCTURE", "ENVELOPE"):
                answer = (await imap.command(f"FETCH 1 {what}"))[-1]
                assert b" NO [UNAVAILABLE]" in answer
                (line, _) = await imap.ok(f"FETCH 2 {what}")
                # One message that cannot be read keeps no other one from being sent.
                *lines, answer = await imap.command(f"FETCH 1:2 {what}")
                assert [one for one in lines if b" FETCH " in one] == [line]
                assert b" NO [UNAVAILABLE]" in answer
            answer = await imap.append("INBOX", LARGE)
            assert b" NO [UNAVAILABLE]" in answer
            assert b" OK " in await imap.append("INBOX", SMALL)
            come_back(proxy, store)
            (line, _) = await imap.ok("FETCH 1 BODY.PEEK[]")
            assert next(iter(literals(line))).endswith(LARGE)

    asyncio.run(run())


def test_the_indexer_goes_on_with_others_and_comes_back(proxy: FaultyProxy, store: Store) -> None:
    async def run() -> None:
        async with running(store):
            indexer = Indexer(store)
            proxy.fault = "503"
            for _ in range(6):  # more often than a message may end the program
                await indexer.index_waiting()
            (waiting,) = await store.read(lambda conn: find_waiting(conn, 10))
            assert (waiting.size, waiting.tries) == (len(LARGE), 0)
            come_back(proxy, store)
            assert await indexer.index_waiting() == 1
            assert await store.read(lambda conn: find_waiting(conn, 10)) == []

    asyncio.run(run())


def test_a_service_that_hangs_costs_others_no_thread(proxy: FaultyProxy, store: Store) -> None:
    async def run() -> None:
        async with running(store):
            (large,) = [
                one.blob_id
                for one in await store.read(lambda conn: find_waiting(conn, 10))
                if one.size == len(LARGE)
            ]
            proxy.fault = "hang"
            tasks = [
                asyncio.create_task(store.read(lambda conn: store.blobs.read(conn, large)))
                for _ in range(40)
            ]
            await asyncio.sleep(0)
            await store.read(lambda conn: find_waiting(conn, 1))
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(one).__name__ for one in results} == {"BytesAway"}
            come_back(proxy, store)
            store.blobs.objects._downloads._now = lambda: REST_SECONDS
            assert await store.read(lambda conn: store.blobs.read(conn, large)) == LARGE

    asyncio.run(run())
