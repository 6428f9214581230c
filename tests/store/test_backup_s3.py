"""Backups in S3: a real server of its protocol, and what goes wrong with one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.backups import all_blobs, fill_store, look_into, saved_blobs
from kit.s3 import moto_server
from kit.store import open_test_store
from zajil.config.options_s3 import S3Options
from zajil.net.system import SystemClock
from zajil.store.backup.create import create_snapshot
from zajil.store.backup.s3 import S3Target
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.target import NoSuchObject, TargetUnavailable

pytest.importorskip("obstore")
pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server() as server:
        yield server.endpoint


def target_at(endpoint: str, place: str = "s3://mail/a/prefix") -> S3Target:
    options = S3Options(endpoint=endpoint, region="us-east-1", access_key="me", secret_key="word")
    return S3Target(place, options)


def test_a_snapshot_in_s3(endpoint: str, tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data")
    try:
        fill_store(store, messages=5)
        target, seal = target_at(endpoint), BackupSeal(bytes(32))
        made = create_snapshot(store, target, seal, clock=SystemClock())
        again = create_snapshot(store, target, seal, clock=SystemClock())
        assert again.manifest.added_bytes == 0
        assert saved_blobs(look_into(target, made.name, seal)) == all_blobs(store)
        with pytest.raises(NoSuchObject):
            target.get("lock")
    finally:
        store.close_now()


def test_an_object_that_exists_is_not_written_anew(endpoint: str) -> None:
    target = target_at(endpoint, "s3://mail/other")
    assert target.put_new("one", b"first")
    assert not target.put_new("one", b"second")
    assert target.get("one") == b"first"
    assert list(target.names("")) == [("one", 5)]
    target.delete("one")
    target.delete("one")


def test_a_bucket_that_is_missing_and_a_service_that_is_away(endpoint: str) -> None:
    with pytest.raises(TargetUnavailable, match=r"404 Not Found \(NoSuchBucket\)"):
        target_at(endpoint, "s3://nobody").put("one", b"")
    with pytest.raises(
        TargetUnavailable, match=r"cannot connect to http://127\.0\.0\.1:9: Connection refused"
    ):
        target_at("http://127.0.0.1:9/").get("one")
