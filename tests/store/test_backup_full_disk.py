"""Backups and restores on a disk that is really full: a clear sentence, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.backups import all_blobs, back_up, fill_store, look_into, saved_blobs
from kit.store import open_test_store, small_store_options
from zajil.core.errors import ZajilError
from zajil.net.system import SystemClock
from zajil.store.backup.restore import restore_store
from zajil.store.backup.target import TargetUnavailable
from zajil.store.schema import backup_hold


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=30M", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this test needs to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, left: int) -> Path:
    """Use all the space but so many bytes."""
    file = disk / "filler"
    space = os.statvfs(disk)
    with file.open("wb", buffering=0) as filler:
        filler.write(bytes(space.f_bavail * space.f_frsize - left))
    return file


def test_the_disk_of_the_target(disk: Path, tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data")
    try:
        fill_store(store, messages=20, large=2)
        for left in (0, 4096, 40_000, 5_000_000):
            filler = fill(disk, left)
            with pytest.raises(TargetUnavailable, match="No space left on device"):
                back_up(store, disk / "target")
            assert not list(disk.glob("target/snapshots/*"))
            filler.unlink()
        holds = store.read_now(lambda conn: conn.execute(sa.select(backup_hold)).all())
        assert holds == []
        made = back_up(store, disk / "target")
        assert saved_blobs(look_into(disk / "target", made.name)) == all_blobs(store)
    finally:
        store.close_now()


def test_the_disk_of_the_store(disk: Path, tmp_path: Path) -> None:
    store = open_test_store("sqlite", disk / "data")
    try:
        fill_store(store, messages=20, large=1)
        filler = fill(disk, 0)
        with pytest.raises(ZajilError, match=r"No space left|full"):
            back_up(store, tmp_path / "target")
        filler.unlink()
        made = back_up(store, tmp_path / "target")
        assert saved_blobs(look_into(tmp_path / "target", made.name)) == all_blobs(store)
    finally:
        store.close_now()


def test_the_disk_of_a_restore(disk: Path, tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data")
    fill_store(store, messages=20, large=2)
    name = back_up(store, tmp_path / "target").name
    contents = all_blobs(store)
    store.close_now()

    def restore() -> None:
        restore_store(
            look_into(tmp_path / "target", name),
            small_store_options("sqlite"),
            disk / "new",
            clock=SystemClock(),
        )

    for left in (100_000, 5_000_000):
        filler = fill(disk, left)
        with pytest.raises(ZajilError, match=r"space|full|are free"):
            restore()
        assert not (disk / "new" / "store.sqlite").exists()
        filler.unlink()
    restore()
    store = open_test_store("sqlite", disk / "new")
    assert all_blobs(store) == contents
    store.close_now()
