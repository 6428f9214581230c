"""Messages and backups in OpenStack Swift, which speaks S3: another server than the one of most
tests."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.backups import all_blobs, look_into, saved_blobs
from kit.blobs import KEY, key_file
from kit.s3 import S3Server
from kit.store import make_account, make_intake, open_test_store, running
from kit.swift import swift_server
from zajil.config.options import Configuration
from zajil.config.options_server import ServerOptions
from zajil.net.system import SystemClock
from zajil.operations.s3_findings import s3_findings
from zajil.store.backup.create import create_snapshot
from zajil.store.backup.restore import restore_store
from zajil.store.backup.s3 import S3Target
from zajil.store.backup.seal import BackupSeal
from zajil.store.blobs.garbage import GARBAGE_AGE_MS, collect_garbage
from zajil.store.blobs.holdings import find_wrong_objects
from zajil.store.blobs.moving import count_places, move_blobs
from zajil.store.blobs.prefix import ForeignPlace, require_mark, sweep_objects
from zajil.store.engine.open import ORPHAN_AGE_MS, Store
from zajil.store.mail.intake import write_intakes

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]
pytest.importorskip("obstore")


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with swift_server(tmp_path_factory.mktemp("swift")) as server:
        yield server


def fill(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    for size in range(8):
        staged = store.blobs.stage_now([b"Subject: %d\r\n\r\n" % size, os.urandom(90_000 * size)])
        store.write_now(write_intakes, make_intake(staged, local=[amal]))


def test_all_that_a_store_does(swift: S3Server, tmp_path: Path) -> None:
    path = key_file(tmp_path / "key", KEY)
    options = swift.store_options(swift.new_place(), key_file=path, cache_size=0)
    store = open_test_store("sqlite", tmp_path / "data", **options)
    fill(store)
    contents = all_blobs(store)
    assert store.read_now(count_places) == (0, 8)
    lost = store.blobs.stage_now([b"a crash left it"])
    require_mark(store)
    assert list(find_wrong_objects(store, lambda: None)) == []
    assert move_blobs(store, to_objects=False, progress=lambda *_: None).blobs == 8
    assert all_blobs(store) == contents

    async def clean() -> tuple[int, int]:
        async with running(store):
            now_ms = int(time.time() * 1000)
            found = await sweep_objects(store, now_ms + 2 * ORPHAN_AGE_MS)
            return found, await collect_garbage(store, now_ms + GARBAGE_AGE_MS + 60_000)

    assert asyncio.run(clean()) == (1, 9)
    assert [one.name for one in store.blobs.objects.bucket.list()] == ["zajil-store"]
    assert lost.location is not None


def test_a_backup_in_it_is_restored_into_it(swift: S3Server, tmp_path: Path) -> None:
    place = swift.new_place()
    store = open_test_store("sqlite", tmp_path / "data", **swift.store_options(place))
    fill(store)
    require_mark(store)
    contents = all_blobs(store)
    target, seal = S3Target(swift.new_place(), swift.options()), BackupSeal(bytes(32))
    made = create_snapshot(store, target, seal, clock=SystemClock())
    snapshot = look_into(target, made.name, seal)
    assert saved_blobs(snapshot) == contents
    same = store._options
    with pytest.raises(ForeignPlace, match="belongs to a store already"):
        restore_store(snapshot, same, tmp_path / "new", clock=SystemClock())
    store.close_now()
    other = same.model_copy(update={"blobs": swift.new_place()})
    restore_store(snapshot, other, tmp_path / "new", clock=SystemClock())
    again = open_test_store("sqlite", tmp_path / "new", blobs=other.blobs, s3=other.s3)
    assert again.read_now(count_places)[1] == 7
    assert all_blobs(again) == contents
    again.close_now()


def test_config_check_finds_nothing(swift: S3Server, tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data", **swift.store_options(swift.new_place()))
    server = ServerOptions(hostname="mail.north.test", data_dir=store.data_dir)
    configuration = Configuration(server=server).model_copy(update={"store": store._options})
    assert list(s3_findings(configuration)) == []
    store.close_now()
