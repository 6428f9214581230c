"""Messages moved between files and S3, or to a new key, while the store is used."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kit.blobs import KEY, OTHER, key_file, release, write
from kit.s3 import FaultyProxy, S3Server, moto_server
from kit.store import open_test_store, running
from zajil.core.ids import BlobId
from zajil.store.blobs.garbage import (
    GARBAGE_AGE_MS,
    add_garbage,
    collect_garbage,
    count_garbage,
    find_garbage,
)
from zajil.store.blobs.keys import key_id
from zajil.store.blobs.moving import (
    NewBlobPlace,
    _rows,
    change_places,
    count_places,
    move_blobs,
)
from zajil.store.blobs.used_keys import load_used_keys, require_keys
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.blobs import StagedBlob
from zajil.store.schema import blob

pytest.importorskip("obstore")
pytest.importorskip("moto.server")
COUNT = 12


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


def fill(store: Store) -> dict[BlobId, bytes]:
    bodies = {}
    for size in range(COUNT):
        body = os.urandom(2000 + 30_000 * size)
        staged = store.blobs.stage_now([body])
        store.write_now(write, staged)
        bodies[staged.blob_id] = body
    small = store.blobs.stage([b"in its row"])
    store.write_now(write, small)
    return bodies | {small.blob_id: b"in its row"}


def require_all(store: Store, bodies: dict[BlobId, bytes]) -> None:
    for blob_id, body in bodies.items():
        assert store.read_now(lambda conn: store.blobs.read(conn, blob_id)) == body  # noqa: B023


def move(store: Store, **to: bool) -> tuple[int, int, list[str]]:
    steps: list[tuple[int, int]] = []
    done = move_blobs(store, progress=lambda *step: steps.append(step), **to)
    assert steps[-1][0] == steps[-1][1]
    return done.blobs, done.gone, done.failed


def test_from_files_to_s3_and_back(s3: S3Server, tmp_path: Path) -> None:
    options: dict[str, Any] = s3.store_options(s3.new_place())
    store = open_test_store("sqlite", tmp_path / "data", inline_limit=1000)
    bodies = fill(store)
    store.close_now()

    store = open_test_store("sqlite", tmp_path / "data", **options)
    assert move(store, to_objects=True) == (COUNT, 0, [])
    assert store.read_now(count_places) == (0, COUNT)
    require_all(store, bodies)
    assert store.read_now(count_garbage) == COUNT  # the files: who reads them now may go on
    assert store.sweep(-1) == 0
    late_ms = int(time.time() * 1000) + GARBAGE_AGE_MS + 1000
    garbage, named = store.read_now(lambda conn: find_garbage(conn, late_ms))
    assert (len(garbage), named) == (COUNT, [])
    assert move(store, to_objects=True) == (0, 0, [])
    assert move(store, to_objects=False) == (COUNT, 0, [])
    assert store.read_now(count_places) == (COUNT, 0)
    require_all(store, bodies)
    store.close_now()


def test_a_new_key_for_old_messages(s3: S3Server, tmp_path: Path) -> None:
    path = key_file(tmp_path / "key", KEY)
    options: dict[str, Any] = s3.store_options(s3.new_place(), key_file=path)
    store = open_test_store("sqlite", tmp_path / "data", **options)
    require_keys(store)
    bodies = fill(store)
    store.close_now()
    key_file(path, OTHER, KEY)
    store = open_test_store("sqlite", tmp_path / "data", **options)
    require_keys(store)
    assert move(store, to_objects=True) == (COUNT, 0, [])
    assert store.read_now(load_used_keys) == [key_id(OTHER)]
    store.close_now()
    key_file(path, OTHER)
    store = open_test_store("sqlite", tmp_path / "data", **options)
    require_keys(store)
    require_all(store, bodies)
    store.close_now()


def test_what_is_damaged_or_deleted_is_left(s3: S3Server, tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data", **s3.store_options(s3.new_place()))
    store.blobs.writes_objects = False
    bodies = fill(store)
    damaged, deleted = list(bodies)[2:4]
    query = sa.select(blob.c.location).where(blob.c.id == damaged)
    location = store.read_now(lambda conn: conn.scalar(query))
    (store.blobs.files.folder / str(location)).write_bytes(bytes(len(bodies[damaged])))
    stage = store.blobs.stage_large

    def delete_one_meanwhile(blob_id: BlobId, *given: Any, **options: Any) -> StagedBlob:
        staged = stage(blob_id, *given, **options)
        if blob_id == deleted:
            store.write_now(release, deleted)
        return staged

    store.blobs.stage_large = delete_one_meanwhile  # type: ignore[method-assign]
    count, gone, failed = move(store, to_objects=True)
    assert (count, gone, len(failed)) == (COUNT - 2, 1, 1)
    assert "not those that were stored" in failed[0]
    assert damaged in failed[0]
    assert store.read_now(count_places) == (1, COUNT - 2)
    del bodies[damaged], bodies[deleted]
    require_all(store, bodies)
    store.close_now()


def test_a_move_that_s3_interrupts_goes_on(s3: S3Server, tmp_path: Path) -> None:
    proxy = FaultyProxy(s3)
    options = proxy.server.store_options(s3.new_place(), s3=proxy.server.options(timeout_ms=1000))
    store = open_test_store("sqlite", tmp_path / "data", **options)
    store.blobs.writes_objects = False
    bodies = fill(store)

    def fail_in_the_middle(done: int, _total: int) -> None:
        proxy.fault = "503" if done else ""

    with pytest.raises(StoreUnavailable, match="run the command again"):
        move_blobs(store, to_objects=True, progress=fail_in_the_middle)
    require_all(store, {})
    proxy.fault = ""
    store.blobs.objects._uploads._resting_until = None
    files, objects = store.read_now(count_places)
    assert files
    assert objects
    assert move(store, to_objects=True) == (files, 0, [])
    require_all(store, bodies)
    store.close_now()
    proxy.close()


def test_a_file_that_waits_to_be_deleted_is_not_written_again(s3: S3Server, tmp_path: Path) -> None:
    """An S3 that failed kept the names of files that were gone; a move back took these names."""
    proxy = FaultyProxy(s3)
    options: dict[str, Any] = proxy.server.store_options(s3.new_place())
    store = open_test_store("sqlite", tmp_path / "data", **options)
    store.blobs.writes_objects = False
    bodies = fill(store)
    move(store, to_objects=True)
    store.write_now(add_garbage, [store.blobs.objects.put(BlobId("0" * 28), [b"x"], 1)[0]])

    async def collect() -> int:
        async with running(store):
            return await collect_garbage(store, int(time.time() * 1000) + GARBAGE_AGE_MS + 1000)

    proxy.fault = "403"
    with pytest.raises(StoreUnavailable):
        asyncio.run(collect())
    proxy.fault = ""
    large = [one for one in _rows(store) if one.location is not None]
    staged = [
        store.blobs.stage_large(BlobId(one.id), one.size, [bodies[one.id]], to_objects=False)
        for one in large
    ]
    assert asyncio.run(collect()) == COUNT + 1
    for one, new in zip(large, staged, strict=True):
        place = NewBlobPlace(BlobId(one.id), one.location, new.location or "")
        assert store.write_now(change_places, place)
    require_all(store, bodies)
    store.close_now()
    proxy.close()


def test_a_file_of_somebody_else_is_not_removed(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data", inline_limit=10)
    staged = store.blobs.stage_now([b"x" * 100])
    assert staged.location is not None
    with pytest.raises(StoreUnavailable, match="File exists"):
        store.blobs.files.write(staged.blob_id, staged.location, [b"y" * 100])
    store.write_now(write, staged)
    assert store.read_now(lambda conn: store.blobs.read(conn, staged.blob_id)) == b"x" * 100
    store.close_now()
