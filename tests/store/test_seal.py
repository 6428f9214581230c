"""Encrypted messages: any part is read alone, and what was changed is noticed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.blobs import KEY, OTHER, key_file, write
from kit.store import open_test_store
from zajil.app.shards import open_shard
from zajil.config.load import parse_configuration
from zajil.config.options_shards import MAIN_SHARD
from zajil.core.ids import BlobId
from zajil.net.system import SystemClock
from zajil.store.blobs.keys import BadStoreKey, StoreKeys, key_id
from zajil.store.blobs.location import (
    file_location,
    object_location,
    parse_location,
    time_of_id,
)
from zajil.store.blobs.seal import FRAME, HEAD_SIZE, SealedReader, seal, sealed_size
from zajil.store.blobs.used_keys import load_used_keys, missing_keys, require_keys
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.mail.blob_reader import BlobReader

ID = BlobId("0199aabbccdd0123456789abcdef")


def sealed(content: bytes, blob_id: BlobId = ID) -> bytes:
    pieces = [content[at : at + 50_000] for at in range(0, len(content), 50_000)]
    return b"".join(seal(KEY, blob_id, pieces, os.urandom))


def opened(form: bytes, size: int, key: bytes = KEY, blob_id: BlobId = ID) -> SealedReader:
    return SealedReader(key, blob_id, size, BlobReader(len(form), form, None))


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 3 * FRAME + 7])
def test_what_is_sealed_is_read(size: int) -> None:
    content = os.urandom(size)
    form = sealed(content)
    assert len(form) == sealed_size(size)
    assert size < 20 or content[:50] not in form  # one byte may be there by chance
    assert opened(form, size).read_at(0, size) == content


@given(st.integers(0, 4 * FRAME), st.integers(0, 4 * FRAME))
def test_any_part_is_read_alone(offset: int, size: int) -> None:
    assert opened(_FORM, len(_CONTENT)).read_at(offset, size) == _CONTENT[offset : offset + size]


_CONTENT = os.urandom(3 * FRAME + 99)
_FORM = sealed(_CONTENT)
_WHOLE = FRAME + 16


def _changes() -> Iterator[tuple[str, bytes]]:
    frames = [_FORM[HEAD_SIZE + at * _WHOLE :][:_WHOLE] for at in range(4)]
    head = _FORM[:HEAD_SIZE]
    yield "a bit", _FORM[:-1] + bytes([_FORM[-1] ^ 1])
    yield "frames exchanged", head + frames[1] + frames[0] + frames[2] + frames[3]
    yield "a frame repeated", head + frames[0] + frames[0] + frames[2] + frames[3]
    yield "other random bytes", head[:-1] + bytes([head[-1] ^ 1]) + _FORM[HEAD_SIZE:]
    yield "not ours", b"x" + _FORM[1:]


@pytest.mark.parametrize("form", [pytest.param(form, id=name) for name, form in _changes()])
def test_what_was_changed_is_noticed(form: bytes) -> None:
    with pytest.raises(StoreUnavailable, match="damaged"):
        opened(form, len(_CONTENT)).read_at(0, len(_CONTENT))


def test_a_message_that_was_cut_off_at_a_frame_is_noticed() -> None:
    short = _FORM[: HEAD_SIZE + 2 * _WHOLE]
    with pytest.raises(StoreUnavailable, match="damaged"):
        opened(short, 2 * FRAME).read_at(0, 2 * FRAME)


def test_another_key_and_another_message_do_not_fit() -> None:
    for key, blob_id in ((OTHER, ID), (KEY, BlobId("0" * 28))):
        with pytest.raises(StoreUnavailable, match="another key"):
            opened(_FORM, len(_CONTENT), key, blob_id).read_at(0, 1)


def test_keys_of_a_file(tmp_path: Path) -> None:
    path = key_file(tmp_path / "key", KEY)
    keys = StoreKeys(path)
    assert (keys.current, keys.find(key_id(KEY)), keys.find("0")) == (key_id(KEY), KEY, None)
    key_file(path, OTHER, KEY)
    assert keys.find(key_id(OTHER)) == OTHER  # it was given to this node before others use it
    assert keys.current == key_id(KEY)


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "is missing"), ("", "contains no key"), ("abc\n", "line 1"), ("# x\nAAAA", "line 2")],
)
def test_a_bad_key_file(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "key"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadStoreKey, match=reason):
        StoreKeys(path)


def test_large_messages_in_files_are_encrypted(tmp_path: Path) -> None:
    path = key_file(tmp_path / "key", KEY)
    data = tmp_path / "data"
    store = open_test_store("sqlite", data, key_file=path)
    require_keys(store)
    staged = store.blobs.stage_now([b"Subject: secret\r\n\r\n", _CONTENT])
    store.write_now(write, staged)
    (file,) = [one for one in (data / "blobs").rglob("*") if one.is_file()]
    assert b"Subject" not in file.read_bytes()
    assert store.read_now(lambda conn: store.blobs.read(conn, staged.blob_id)).endswith(_CONTENT)
    assert store.sweep(-1) == 0
    store.close_now()

    # A new key for new messages, the old one for old ones.
    store = open_test_store("sqlite", data, key_file=key_file(path, OTHER, KEY))
    require_keys(store)
    again = store.blobs.stage_now([_CONTENT])
    store.write_now(write, again)
    assert again.location == file_location(again.blob_id, key_id(OTHER))
    for one in (staged, again):
        assert store.read_now(lambda conn: store.blobs.read(conn, one.blob_id)).endswith(_CONTENT)  # noqa: B023
    store.close_now()

    store = open_test_store("sqlite", data, key_file=key_file(path, OTHER))
    assert missing_keys(store) == [key_id(KEY)]
    with pytest.raises(BadStoreKey, match=key_id(KEY)):
        require_keys(store)
    with pytest.raises(StoreUnavailable, match="which is not in"):
        store.read_now(lambda conn: store.blobs.read(conn, staged.blob_id))
    store.close_now()


def test_a_worker_remembers_the_key_that_it_found(tmp_path: Path) -> None:
    """It took the place of one that ended after a new key was put into the file."""
    path = key_file(tmp_path / "key", KEY)
    open_test_store("sqlite", tmp_path / "data", key_file=path).close_now()
    text = f'[server]\nhostname = "a.example"\ndata_dir = "{tmp_path}/data"\n[store]\nkey_file = '
    configuration = parse_configuration(f'{text}"{path}"\n', tmp_path / "z.toml")
    store = open_test_store("sqlite", tmp_path / "data", None, key_file=path)
    assert store.read_now(load_used_keys) == []
    store.close_now()
    store = open_shard(configuration, MAIN_SHARD, SystemClock(), os.urandom, 0)
    assert store.read_now(load_used_keys) == [key_id(KEY)]
    store.close_now()


def test_locations() -> None:
    for location, is_object, key in [
        (file_location(ID), False, None),
        (file_location(ID, "0a1b2c3d"), False, "0a1b2c3d"),
        (object_location(ID, b"123456"), True, None),
        (object_location(ID, b"123456", "0a1b2c3d"), True, "0a1b2c3d"),
    ]:
        place = parse_location(location)
        assert (place.is_object, place.blob_id, place.key_id) == (is_object, ID, key)
        assert location == ("s3:" if is_object else "") + place.name
    assert time_of_id(ID) == 0x0199AABBCCDD
    assert time_of_id("readme") is time_of_id("x" * 28) is None
