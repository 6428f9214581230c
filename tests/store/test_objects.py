"""Messages in S3: staged before the commit, read through the cache, deleted later."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.blobs import read, write
from kit.s3 import FaultyProxy, S3Server, moto_server
from kit.store import make_account, make_intake, open_test_store, running
from zajil.store.blobs.garbage import GARBAGE_AGE_MS, collect_garbage, count_garbage
from zajil.store.blobs.gate import REST_SECONDS
from zajil.store.blobs.prefix import ForeignPlace, sweep_objects
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import ORPHAN_AGE_MS, Store
from zajil.store.mail.blob_rows import release_blobs
from zajil.store.mail.blobs import NoSuchBlob, StagedBlob
from zajil.store.mail.intake import write_intakes
from zajil.store.schema import blob_garbage

pytest.importorskip("obstore")
pytest.importorskip("moto.server")
LARGE = os.urandom(3 << 20)
SMALL = b"Subject: small\r\n\r\n"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultyProxy]:
    made = FaultyProxy(s3)
    yield made
    made.close()


def open_store_at(server: S3Server, data: Path, place: str | None = None, **fields: Any) -> Store:
    options = server.store_options(place or server.new_place(), **fields)
    return open_test_store("sqlite", data, **options)


@pytest.fixture
def stored(s3: S3Server, tmp_path: Path) -> Iterator[Store]:
    opened = open_store_at(s3, tmp_path / "data")
    yield opened
    opened.close_now()


def names(store: Store) -> list[str]:
    return sorted(one.name for one in store.blobs.objects.bucket.list())


def forget_copies(store: Store) -> None:
    store.blobs.objects.cache._limit = 0
    for one in names(store):
        store.blobs.objects.cache.forget(one)


def put(store: Store, content: bytes = LARGE) -> StagedBlob:
    staged = asyncio.run(store.blobs.stage_any([content]))
    store.write_now(write, staged)
    return staged


def test_a_large_message_is_in_s3_before_the_commit(stored: Store) -> None:
    staged = asyncio.run(stored.blobs.stage_any([LARGE[:1000], LARGE[1000:]]))
    assert staged.content is None
    assert [f"s3:{one}" for one in names(stored)] == [staged.location]
    assert stored.blobs.objects.bucket.get(names(stored)[0]) == LARGE
    stored.write_now(write, staged)
    assert read(stored, staged.blob_id) == LARGE
    small = put(stored, SMALL)
    assert small.location is None
    assert read(stored, small.blob_id) == SMALL


def test_what_was_spilled_to_a_file_goes_to_s3(stored: Store) -> None:
    async def take() -> StagedBlob:
        spill = stored.blobs.spill()
        for start in range(0, len(LARGE), 5000):
            wait = spill.add(LARGE[start : start + 5000])
            if wait is not None:
                await wait
        return await stored.blobs.stage_any([b"Received: x\r\n", spill.content()])

    staged = asyncio.run(take())
    stored.write_now(write, staged)
    assert read(stored, staged.blob_id) == b"Received: x\r\n" + LARGE


def test_all_messages_go_to_s3_if_the_limit_is_0(s3: S3Server, tmp_path: Path) -> None:
    store = open_store_at(s3, tmp_path / "data", inline_limit=0)
    staged = put(store, SMALL)
    forget_copies(store)
    assert staged.location is not None
    assert read(store, staged.blob_id) == SMALL
    store.close_now()


@pytest.mark.parametrize("cache_size", [0, 1 << 30], ids=["without copies", "with copies"])
def test_random_access(s3: S3Server, tmp_path: Path, cache_size: int) -> None:
    store = open_store_at(s3, tmp_path / "data", cache_size=cache_size)
    staged = put(store)
    for one in names(store):
        store.blobs.objects.cache.forget(one)
    with store.read_now(lambda conn: store.blobs.open(conn, staged.blob_id)) as reader:
        assert reader.size == len(LARGE)
        for offset, size in [(0, 1), (7, 2 << 20), (len(LARGE) - 3, 9), (len(LARGE) + 5, 1)]:
            assert reader.read_at(offset, size) == LARGE[offset : offset + size]
    assert store.blobs.objects.cache.size() == (len(LARGE) if cache_size else 0)
    store.close_now()


def test_a_copy_is_read_while_s3_is_away(proxy: FaultyProxy, tmp_path: Path) -> None:
    store = open_store_at(proxy.server, tmp_path / "data")
    staged = put(store)
    proxy.fault = "refuse"
    proxy.break_off()
    assert read(store, staged.blob_id) == LARGE
    store.close_now()


def test_bytes_are_deleted_some_minutes_after_the_row(stored: Store) -> None:
    amal, salma = make_account(stored, "amal@north.test"), make_account(stored, "salma@north.test")
    item = make_intake(asyncio.run(stored.blobs.stage_any([LARGE])), local=[amal, salma])
    stored.write_now(write_intakes, item)

    def delete(tx: Connection, items: Sequence[int]) -> list[None]:
        tx.execute(sa.text("DELETE FROM message WHERE mailbox_id = :id"), {"id": items[0]})
        release_blobs(tx, [item.content.blob_id])
        return [None]

    async def collect(minutes: int) -> int:
        async with running(stored):
            return await collect_garbage(stored, int(time.time() * 1000) + minutes * 60_000)

    stored.write_now(delete, amal.inbox)
    assert stored.read_now(count_garbage) == 0  # another copy refers to it
    stored.write_now(delete, salma.inbox)
    with pytest.raises(NoSuchBlob):
        read(stored, item.content.blob_id)
    assert stored.read_now(count_garbage) == len(names(stored)) == 1

    async def both() -> tuple[int, int]:
        async with running(stored):
            now_ms = int(time.time() * 1000)
            early = await collect_garbage(stored, now_ms)
            return early, await collect_garbage(stored, now_ms + GARBAGE_AGE_MS + 1000)

    assert asyncio.run(both()) == (0, 1)
    assert (names(stored), stored.read_now(count_garbage)) == ([], 0)


def test_what_crashes_left_is_found_and_nothing_else(stored: Store) -> None:
    kept = put(stored)
    lost = asyncio.run(stored.blobs.stage_any([LARGE]))
    stored.blobs.objects.bucket.put("readme.txt", b"of the operator")

    async def sweep(age_ms: int) -> int:
        return await sweep_objects(stored, int(time.time() * 1000) + age_ms)

    async def both() -> tuple[int, int, int]:
        async with running(stored):
            return await sweep(0), await sweep(ORPHAN_AGE_MS + 1000), await sweep(ORPHAN_AGE_MS * 2)

    assert asyncio.run(both()) == (0, 1, 0)  # young; found; found before
    query = sa.select(blob_garbage.c.location)
    assert stored.read_now(lambda conn: conn.scalar(query)) == lost.location
    assert read(stored, kept.blob_id) == LARGE


def test_two_stores_in_one_prefix_do_not_sweep_each_other(s3: S3Server, tmp_path: Path) -> None:
    place = s3.new_place()
    stores = [open_store_at(s3, tmp_path / name, place) for name in ("one", "other")]
    staged = put(stores[0])

    async def sweep(store: Store) -> int:
        async with running(store):
            return await sweep_objects(store, int(time.time() * 1000) + 2 * ORPHAN_AGE_MS)

    assert asyncio.run(sweep(stores[0])) == 0
    with pytest.raises(ForeignPlace, match="belongs to another store"):
        asyncio.run(sweep(stores[1]))
    assert f"s3:{names(stores[0])[0]}" == staged.location


def test_a_store_whose_prefix_is_below_is_not_swept(s3: S3Server, tmp_path: Path) -> None:
    """A shard beside a whole bucket has its messages in a folder of the same bucket."""
    outer = s3.new_place()
    above = open_store_at(s3, tmp_path / "above", outer)
    below = open_store_at(s3, tmp_path / "below", f"{outer}/north")
    staged = put(below)
    lost = asyncio.run(above.blobs.stage_any([LARGE]))

    async def sweep() -> int:
        async with running(above):
            return await sweep_objects(above, int(time.time() * 1000) + 2 * ORPHAN_AGE_MS)

    assert asyncio.run(sweep()) == 1
    query = sa.select(blob_garbage.c.location)
    assert above.read_now(lambda conn: conn.scalars(query).all()) == [lost.location]
    forget_copies(below)
    assert read(below, staged.blob_id) == LARGE
    for store in (above, below):
        store.close_now()


@pytest.mark.parametrize("fault", ["refuse", "503", "403", "cut", "hang"])
def test_s3_that_fails(fault: str, proxy: FaultyProxy, tmp_path: Path) -> None:
    options = proxy.server.options(timeout_ms=1000)
    store = open_store_at(proxy.server, tmp_path / "data", s3=options)
    staged = put(store)
    forget_copies(store)
    proxy.fault = fault
    proxy.break_off()
    with pytest.raises(StoreUnavailable, match="cannot read"):
        read(store, staged.blob_id)
    if fault != "cut":
        with pytest.raises(StoreUnavailable, match="cannot write"):
            asyncio.run(store.blobs.stage_any([LARGE]))
    before = proxy.connections
    if fault != "403":  # it works, and says no
        with pytest.raises(StoreUnavailable, match="failed some seconds ago"):
            read(store, staged.blob_id)
        assert proxy.connections == before
    assert read(store, put(store, SMALL).blob_id) == SMALL
    proxy.fault = ""
    for gate in (store.blobs.objects._uploads, store.blobs.objects._downloads):
        gate._now = lambda: time.monotonic() + REST_SECONDS
    assert read(store, staged.blob_id) == LARGE
    assert read(store, put(store).blob_id) == LARGE
    store.close_now()


def test_wrong_bytes_are_never_shown(proxy: FaultyProxy, tmp_path: Path) -> None:
    store = open_store_at(proxy.server, tmp_path / "data")
    staged = put(store)
    for one in names(store):
        store.blobs.objects.cache.forget(one)
    proxy.fault = "wrong"
    with pytest.raises(StoreUnavailable, match="other bytes"):
        read(store, staged.blob_id)
    proxy.fault = ""
    assert read(store, staged.blob_id) == LARGE
    store.close_now()


def test_an_object_that_is_missing_is_told(stored: Store) -> None:
    staged = put(stored)
    forget_copies(stored)
    stored.blobs.objects.bucket.delete(names(stored)[0])
    with pytest.raises(StoreUnavailable, match="is missing in s3://"):
        read(stored, staged.blob_id)


def test_a_bucket_that_nobody_configured(stored: Store, tmp_path: Path) -> None:
    staged = put(stored)
    stored.close_now()
    other = open_test_store("sqlite", tmp_path / "data")
    with pytest.raises(StoreUnavailable, match=r"neither store.blobs nor"):
        read(other, staged.blob_id)
    other.close_now()
