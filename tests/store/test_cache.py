"""Copies of objects on the disk: bounded, whole, and never a reason to fail."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zajil.store.blobs.cache import DiskCache
from zajil.store.engine.errors import ReserveReached

MIB = 1 << 20


def make(folder: Path, limit: int = 10 * MIB) -> DiskCache:
    return DiskCache(folder, limit, lambda: None)


def add(cache: DiskCache, name: str, size: int = MIB, *, age: float = 0) -> bool:
    draft = cache.begin(name, size)
    if draft is None:
        return False
    os.pwrite(draft.descriptor, b"x" * size, 0)
    draft.keep()
    draft.close()
    if age:
        os.utime(cache._path(name), (time.time() - age, time.time() - age))
    return True


def has(cache: DiskCache, name: str) -> bool:
    descriptor = cache.open(name)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def test_the_copies_that_were_not_used_go_first(tmp_path: Path) -> None:
    cache = make(tmp_path / "cache")
    for number in range(10):
        assert add(cache, f"aa/{number}", age=1000 - number)
    assert has(cache, "aa/0")  # used now
    assert add(cache, "bb/new")
    assert cache.size() <= 10 * MIB
    assert [has(cache, f"aa/{number}") for number in (0, 1, 9)] == [True, False, True]


def test_many_at_once_stay_below_the_limit(tmp_path: Path) -> None:
    folder, highest = tmp_path / "cache", 0
    caches = [make(folder) for _ in range(8)]

    def work(number: int) -> int:
        cache = caches[number % 8]
        add(cache, f"{number % 7}{number % 5}/{number}", 700_000)
        return cache.size()

    with ThreadPoolExecutor(8) as threads:
        highest = max(threads.map(work, range(200)))
    assert 5 * MIB < highest <= 10 * MIB


def test_a_message_that_is_too_large_has_no_copy(tmp_path: Path) -> None:
    cache = make(tmp_path / "cache")
    assert not add(cache, "aa/x", 3 * MIB)
    assert not add(make(tmp_path / "none", 0), "aa/x", 1)


def test_a_process_that_is_killed_leaves_no_copy_that_is_not_whole(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from zajil.store.blobs.cache import DiskCache\n"
        f"cache = DiskCache(Path({str(tmp_path / 'cache')!r}), {10 * MIB}, lambda: None)\n"
        "draft = cache.begin('aa/half', 1000000); os.write(draft.descriptor, b'x' * 1000)\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    cache = make(tmp_path / "cache")
    assert not has(cache, "aa/half")
    assert cache.size() == 1_000_000  # its draft counts until it is removed
    assert add(cache, "aa/half")
    cache.remove_stale()
    assert cache.size() == MIB
    assert has(cache, "aa/half")


def test_copies_of_before_the_start_of_the_machine_are_removed(tmp_path: Path) -> None:
    old = tmp_path / "cache" / "another-boot" / "aa"
    old.mkdir(parents=True)
    (old / "x").write_bytes(b"perhaps other bytes")
    cache = make(tmp_path / "cache")
    cache.remove_stale()
    assert not old.exists()


def test_a_disk_that_is_short_of_space_gets_copies_back(tmp_path: Path) -> None:
    def refuse() -> None:
        raise ReserveReached("no room")

    cache = make(tmp_path / "cache")
    for number in range(8):
        add(cache, f"aa/{number}", age=100 - number)
    short = DiskCache(tmp_path / "cache", 10 * MIB, refuse)
    assert short.begin("aa/new", MIB) is None
    assert short.size() <= 4 * MIB
    assert has(short, "aa/7")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    cache = make(tmp_path / "cache")
    monkeypatch.setattr(os, "truncate", fail)
    assert cache.begin("aa/x", 10) is None
    monkeypatch.undo()
    assert cache.size() == 0


def test_what_is_being_written_counts_as_well(tmp_path: Path) -> None:
    cache = make(tmp_path / "cache", 8 * MIB)
    drafts = [cache.begin(f"aa/{number}", 2 * MIB) for number in range(6)]
    assert [draft is not None for draft in drafts] == [True] * 4 + [False] * 2
    assert cache.size() == 8 * MIB
    for draft in drafts:
        if draft is not None:
            draft.close()
    assert add(cache, "bb/next", 2 * MIB)
