"""Old snapshots go, and only what nobody needs goes with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.backups import all_blobs, back_up, fill_store, look_into, made_message, saved_blobs
from kit.store import make_account, make_intake, open_test_store
from zajil.net.system import SystemClock
from zajil.store.backup.lock import TargetLock
from zajil.store.backup.manifest import snapshot_names
from zajil.store.backup.prune import Pruned, choose_kept, prune_target
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.target import FolderTarget, TargetInUse
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes

NOW_MS = 1_796_083_200_000  # 2026-12-01, noon or so


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Store]:
    store = open_test_store("sqlite", tmp_path / "data")
    fill_store(store, messages=3, large=0)
    yield store
    store.close_now()


def prune(folder: Path, keep: int = 1, *, dry_run: bool = False) -> Pruned:
    target = FolderTarget(folder)
    return prune_target(
        target, BackupSeal(), clock=SystemClock(), keep=keep, keep_days=0, dry_run=dry_run
    )


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_what_the_last_snapshot_needs_stays(filled: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    first = back_up(filled, target)
    owner = make_account(filled, "dina@north.test")
    content = filled.blobs.stage([made_message(7)])
    filled.write_now(write_intakes, make_intake(content, local=[owner]))
    last = back_up(filled, target)
    (target / "objects" / "aa").mkdir(exist_ok=True)
    (target / "objects" / "aa" / ("aa" * 32)).write_bytes(b"left by a backup that was killed")
    before = files(target)
    tried = prune(target, dry_run=True)
    assert files(target) == before
    done = prune(target)
    assert done == tried
    assert (done.snapshots, done.kept) == ((first.name,), (last.name,))
    assert done.objects == len(before - files(target)) - 1
    assert saved_blobs(look_into(target, last.name)) == all_blobs(filled)
    assert prune(target).objects == 0


def test_a_damaged_snapshot_keeps_all_objects(filled: Store, tmp_path: Path) -> None:
    made = back_up(filled, tmp_path / "target")
    back_up(filled, tmp_path / "target")
    (tmp_path / "target" / "snapshots" / made.name).write_bytes(b"damaged")
    before = files(tmp_path / "target" / "objects")
    assert prune(tmp_path / "target", keep=2).unreadable == (made.name,)
    assert files(tmp_path / "target" / "objects") == before


def test_nothing_is_deleted_beside_a_backup(filled: Store, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "target")
    back_up(filled, tmp_path / "target")
    target = FolderTarget(tmp_path / "target")
    with TargetLock(target, SystemClock()), pytest.raises(TargetInUse):
        prune(tmp_path / "target")
    assert len(snapshot_names(target)) == 2


@pytest.mark.parametrize(
    ("keep", "days", "kept"),
    [
        (1, 0, "3"),
        (2, 0, "23"),
        (1, 1, "3"),
        (1, 2, "13"),
        (1, 400, "013"),
        (9, 1, "0123"),
    ],
)
def test_the_last_ones_and_the_last_of_each_day_stay(keep: int, days: int, kept: str) -> None:
    names = ["20261101-a", "20261130-b", "20261201-c", "20261201-d"]
    assert choose_kept(names, NOW_MS, keep, days) == [names[int(number)] for number in kept]
