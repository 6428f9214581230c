"""Bodies: small ones in rows, large ones in files; durable before the commit, gone after it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.blobs import read, release, write
from kit.store import make_account, make_intake
from zajil.core.ids import BlobId
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.blob_rows import keep_blobs, release_blobs
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.intake import write_intakes
from zajil.store.schema import message

LARGE = os.urandom(1 << 20)


def files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]


def test_a_large_message_is_on_disk_before_the_commit(store: Store, tmp_path: Path) -> None:
    staged = asyncio.run(store.blobs.stage_any([LARGE[:1000], LARGE[1000:]]))
    assert staged.content is None
    assert [path.read_bytes() for path in files(tmp_path)] == [LARGE]
    store.write_now(write, staged)
    assert read(store, staged.blob_id) == LARGE


def test_a_small_message_needs_no_file(store: Store, tmp_path: Path) -> None:
    staged = asyncio.run(store.blobs.stage_any([b"a", b"", b"b"]))
    store.write_now(write, staged)
    assert (read(store, staged.blob_id), files(tmp_path)) == (b"ab", [])


def test_an_empty_message_is_one(store: Store) -> None:
    staged = store.blobs.stage([])
    store.write_now(write, staged)
    assert read(store, staged.blob_id) == b""


@pytest.mark.parametrize("body", [b"0123456789" * 10, LARGE], ids=["row", "file"])
def test_random_access(store: Store, body: bytes) -> None:
    staged = asyncio.run(store.blobs.stage_any([body]))
    store.write_now(write, staged)
    with store.read_now(lambda conn: store.blobs.open(conn, staged.blob_id)) as reader:
        assert reader.size == len(body)
        for offset, size in [(0, 1), (7, 20), (len(body) - 3, 10), (len(body) + 5, 1), (0, 0)]:
            assert reader.read_at(offset, size) == body[offset : offset + size]


def test_a_blob_that_is_not_there(store: Store) -> None:
    with pytest.raises(NoSuchBlob):
        read(store, BlobId("gone"))


def test_a_file_that_went_is_not_an_empty_message(store: Store, tmp_path: Path) -> None:
    staged = asyncio.run(store.blobs.stage_any([LARGE]))
    store.write_now(write, staged)
    (path,) = files(tmp_path)
    path.write_bytes(LARGE[:-1])
    with pytest.raises(StoreUnavailable):
        read(store, staged.blob_id)
    path.unlink()
    with pytest.raises(StoreUnavailable):
        read(store, staged.blob_id)


def test_the_last_reference_takes_the_blob_along(store: Store, tmp_path: Path) -> None:
    amal, salma = make_account(store, "amal@north.test"), make_account(store, "salma@north.test")
    shared = make_intake(asyncio.run(store.blobs.stage_any([LARGE])), local=[amal, salma])
    queued = make_intake(store.blobs.stage([b"x"]), local=[amal], remote=["a@south.test"])
    store.write_now(write_intakes, shared)
    store.write_now(write_intakes, queued)

    def delete_from(tx: Connection, items: Sequence[int]) -> list[None]:
        tx.execute(sa.delete(message).where(message.c.mailbox_id.in_(items)))
        release_blobs(tx, [shared.content.blob_id, queued.content.blob_id])
        return [None] * len(items)

    store.write_now(delete_from, amal.inbox)
    assert read(store, shared.content.blob_id) == LARGE  # the other copy still refers to it
    store.write_now(delete_from, salma.inbox)
    with pytest.raises(NoSuchBlob):
        read(store, shared.content.blob_id)
    assert files(tmp_path) == []
    assert read(store, queued.content.blob_id) == b"x"  # the queue still refers to it


def test_a_file_stays_when_its_release_is_rolled_back(store: Store, tmp_path: Path) -> None:
    staged = asyncio.run(store.blobs.stage_any([LARGE]))
    store.write_now(write, staged)

    def release_and_fail(tx: Connection, items: Sequence[BlobId]) -> list[None]:
        release(tx, items)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.write_now(release_and_fail, staged.blob_id)
    assert read(store, staged.blob_id) == LARGE


def test_an_old_blob_is_kept_only_while_it_is_there(store: Store) -> None:
    staged = store.blobs.stage([b"x"])
    store.write_now(write, staged)

    def keep(tx: Connection, items: Sequence[BlobId]) -> list[None]:
        keep_blobs(tx, items)
        return [None] * len(items)

    store.write_now(keep, staged.blob_id)
    store.write_now(release, staged.blob_id)
    with pytest.raises(NoSuchBlob):
        store.write_now(keep, staged.blob_id)


def test_what_a_crash_left_is_swept(store: Store, tmp_path: Path) -> None:
    kept, lost, young = (asyncio.run(store.blobs.stage_any([LARGE])) for _ in range(3))
    store.write_now(write, kept)
    for staged in (kept, lost):
        assert staged.location is not None
        os.utime(tmp_path / "data" / "blobs" / staged.location, (0, 0))
    assert store.sweep() == 1
    assert {path.name for path in files(tmp_path)} == {kept.blob_id, young.blob_id}
