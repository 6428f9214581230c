"""Bytes that the store has lost come back from a backup, and nothing else changes."""

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

from kit.backups import all_blobs, all_rows, back_up, look_into
from kit.s3 import S3Server, moto_server
from kit.store import make_account, make_intake, open_test_store, running
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import BlobId
from zajil.store.backup.read import Snapshot
from zajil.store.blobs.garbage import GARBAGE_AGE_MS, collect_garbage
from zajil.store.blobs.location import parse_location
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.people.directory import look_up
from zajil.store.restore.lost_bytes import (
    NewBytes,
    RestoredBytes,
    find_lost,
    replace_bytes,
    restore_bytes,
)
from zajil.store.schema import blob, blob_garbage, message

pytest.importorskip("obstore")
pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest, s3: S3Server, tmp_path: Path) -> Iterator[Store]:
    """Messages of all sizes; those of 100 bytes and more are not in the database."""
    options: dict[str, Any] = {"inline_limit": 100}
    if request.param == "s3":
        options |= s3.store_options(s3.new_place(), cache_size=0)
    opened = open_test_store("sqlite", tmp_path / "data", **options)
    amal = make_account(opened, "amal@north.test")
    for size in (10, 5000, 6000, 7000, 8000):
        content = [b"Subject: x\r\n\r\n", os.urandom(size)]
        staged = asyncio.run(opened.blobs.stage_any(content))
        opened.write_now(write_intakes, make_intake(staged, local=[amal]))
    yield opened
    opened.close_now()


def lose(store: Store, size: int, content: bytes | None = None) -> BlobId:
    """Lose the bytes of the message of a size, or let them be others."""
    query = sa.select(blob.c.id, blob.c.location).where(blob.c.size == size + 14)
    row = store.read_now(lambda conn: conn.execute(query).one())
    place = parse_location(row.location)
    if place.is_object:
        bucket, name = store.blobs.objects.bucket, place.name
        bucket.delete(name)
        if content is not None:
            bucket.put(name, content)
    else:
        path = store.blobs.files.folder / row.location
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    return BlobId(row.id)


def again(store: Store, snapshot: Snapshot, *, contents: bool = False) -> RestoredBytes:
    lost = find_lost(store, contents=contents, progress=lambda *_: None)
    return restore_bytes(store, snapshot, lost, lambda *_: None)


def collect(store: Store) -> None:
    """Delete what is garbage."""

    async def run() -> None:
        async with running(store):
            await collect_garbage(store, int(time.time() * 1000) + GARBAGE_AGE_MS + 60_000)

    asyncio.run(run())


def test_what_is_lost_comes_back_and_the_rest_stays(store: Store, tmp_path: Path) -> None:
    before, rows = all_blobs(store), store.read_now(all_rows)
    snapshot = look_into(tmp_path / "backup", back_up(store, tmp_path / "backup").name)
    assert again(store, snapshot, contents=True) == RestoredBytes()
    lose(store, 5000)
    lose(store, 6000, b"short")
    lose(store, 7000, bytes(7014))
    done = again(store, snapshot)
    assert (done.messages, done.left) == (2, [])
    assert again(store, snapshot, contents=True) == RestoredBytes(messages=1, bytes=7014)
    options = {name: getattr(store._options, name) for name in ("inline_limit", "blobs", "s3")}
    collect(store)
    reopened = open_test_store("sqlite", store.data_dir, cache_size=0, **options)
    found, found_rows = all_blobs(reopened), reopened.read_now(all_rows)
    reopened.close_now()
    assert (found, found_rows) == (before, rows)


def test_a_backup_without_these_bytes_is_no_help(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    lose(store, 5000)
    without = look_into(folder, back_up(store, folder).name)
    (reason,) = again(store, without).left
    assert reason.startswith("message 2 in mailbox INBOX of amal")
    assert reason.endswith("was missing when the backup was made")
    staged = asyncio.run(store.blobs.stage_any([bytes(9000)]))
    amal = store.read_now(lambda conn: look_up(conn, parse_address("amal@north.test"))).entry
    assert isinstance(amal, AccountEntry)
    store.write_now(write_intakes, make_intake(staged, local=[amal]))
    lose(store, 9000 - 14)
    assert "the backup does not have it" in " ".join(again(store, without).left)
    store.write_now(forge_digest, 6000)
    lose(store, 6000)
    assert "the backup has other bytes" in " ".join(again(store, without).left)


def test_bytes_of_a_message_that_is_deleted_meanwhile_do_not_stay(store: Store) -> None:
    """Also where they would have gone to the place of the lost ones."""
    blob_id = lose(store, 5000)
    query = sa.select(blob.c.location).where(blob.c.id == blob_id)
    old = store.read_now(lambda conn: conn.scalar(query))
    staged = store.blobs.stage_again(blob_id, 5014, [bytes(5014)])
    store.write_now(delete_message, blob_id)
    assert store.write_now(replace_bytes, NewBytes(old, staged)) is False
    garbage = sa.select(blob_garbage.c.location)
    assert staged.location in store.read_now(lambda conn: list(conn.scalars(garbage)))


def delete_message(tx: Connection, items: Sequence[BlobId]) -> list[None]:
    for blob_id in items:
        tx.execute(sa.delete(message).where(message.c.blob_id == blob_id))
        tx.execute(sa.delete(blob).where(blob.c.id == blob_id))
    return [None] * len(items)


def forge_digest(tx: Connection, items: Sequence[int]) -> list[None]:
    for size in items:
        tx.execute(sa.update(blob).where(blob.c.size == size + 14).values(digest=bytes(32)))
    return [None] * len(items)
