"""What is damaged in a backup is found, named, and written again where the store has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.backups import all_blobs, back_up, fill_store, look_into, saved_blobs
from kit.store import open_test_store
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.target import FolderTarget
from zajil.store.backup.verify import BackupVerifier, VerifiedBackup, remove_damaged
from zajil.store.engine.open import Store


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Store]:
    store = open_test_store("sqlite", tmp_path / "data")
    fill_store(store, messages=10)
    yield store
    store.close_now()


def verify(folder: Path, part: tuple[int, int] = (1, 1)) -> VerifiedBackup:
    return BackupVerifier(FolderTarget(folder), BackupSeal(), part, lambda done, total: None).run()


def test_a_whole_backup_has_no_faults(filled: Store, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "target")
    back_up(filled, tmp_path / "target")
    done = verify(tmp_path / "target")
    objects = [path for path in (tmp_path / "target/objects").rglob("*") if path.is_file()]
    assert (done.faults, done.snapshots, done.messages) == ((), 2, 11)
    assert done.objects == len(objects)


def test_the_parts_are_all_together(filled: Store, tmp_path: Path) -> None:
    made = back_up(filled, tmp_path / "target")
    parts = [verify(tmp_path / "target", (number, 3)) for number in (1, 2, 3)]
    assert sum(part.messages for part in parts) >= made.manifest.messages
    assert not any(part.faults for part in parts)


def test_each_damaged_object_is_found_and_written_again(filled: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    made = back_up(filled, target)
    for number, name in enumerate(sorted(set(made.manifest.objects()))):
        path = target / "objects" / name[:2] / name
        content = path.read_bytes()
        if number % 2:
            path.unlink()
        else:
            path.write_bytes(content[:-3] + b"abc")
        done = verify(target)
        assert name in {fault.name for fault in done.faults}
        parts = [verify(target, (number, 2)) for number in (1, 2)]
        assert sum(len(part.faults) for part in parts)
        assert remove_damaged(FolderTarget(target), done.faults) == 1
        again = back_up(filled, target)
        assert saved_blobs(look_into(target, again.name)) == all_blobs(filled)
        assert path.exists()
        assert not verify(target).faults


def test_a_damaged_manifest_is_found(filled: Store, tmp_path: Path) -> None:
    made = back_up(filled, tmp_path / "target")
    path = tmp_path / "target" / "snapshots" / made.name
    path.write_bytes(path.read_bytes()[:-9])
    (fault,) = verify(tmp_path / "target").faults
    assert fault.snapshot == made.name
    assert remove_damaged(FolderTarget(tmp_path / "target"), [fault]) == 0
