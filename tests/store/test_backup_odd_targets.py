"""Targets that others write to, and file systems that can do less."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.backups import all_blobs, back_up, fill_store, look_into, saved_blobs
from kit.store import open_test_store
from zajil.net.system import SystemClock
from zajil.store.backup.lock import NAME, TargetLock
from zajil.store.backup.manifest import (
    FORMAT,
    SNAPSHOTS,
    Manifest,
    object_path,
    snapshot_names,
    write_manifest,
)
from zajil.store.backup.prune import prune_target
from zajil.store.backup.read import blob_place, choose_snapshot
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.target import (
    DamagedBackup,
    FolderTarget,
    TargetInUse,
    TargetUnavailable,
)
from zajil.store.backup.verify import BackupFault, BackupVerifier, remove_damaged
from zajil.store.engine.open import Store

LEADS_OUT = "aaaaaaaa/../../../victim".ljust(64, "/")


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Store]:
    store = open_test_store("sqlite", tmp_path / "data")
    fill_store(store, messages=3, large=0)
    yield store
    store.close_now()


def test_names_in_a_manifest_do_not_lead_out(filled: Store, tmp_path: Path) -> None:
    """Security: a snapshot that somebody else wrote names files and SQL of their choice."""
    folder = tmp_path / "target"
    good = look_into(folder, back_up(filled, folder).name).manifest
    table = good.tables["account"]
    chunk = dataclasses.replace(table.chunks[0], name=LEADS_OUT)
    odd: list[Manifest] = [
        dataclasses.replace(good, packs=((LEADS_OUT, 1),)),
        dataclasses.replace(
            good, tables={**good.tables, "account": dataclasses.replace(table, chunks=(chunk,))}
        ),
        dataclasses.replace(good, tables={**good.tables, 'account"; --': table}),
        dataclasses.replace(
            good,
            tables={
                **good.tables,
                "account": dataclasses.replace(table, columns=(('id" --', "integer"),)),
            },
        ),
    ]
    target, seal = FolderTarget(folder), BackupSeal()
    for number, manifest in enumerate(odd):
        name = write_manifest(target, seal, f"20991231-00000{number}-000", manifest)
        with pytest.raises(DamagedBackup):
            look_into(folder, name)
    (folder / "objects" / "aa" / "aaaaaaaa").mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    found = BackupVerifier(target, seal, (1, 1), lambda _done, _total: None).run()
    assert len(found.faults) == len(odd)
    remove_damaged(target, [*found.faults, BackupFault("", "", LEADS_OUT)])
    assert victim.exists()
    with pytest.raises(DamagedBackup):
        object_path(LEADS_OUT)
    with pytest.raises(DamagedBackup):
        blob_place(["../../../etc/passwd", 1, "00", []])


def test_a_manifest_that_is_too_deep(tmp_path: Path) -> None:
    target, seal = FolderTarget(tmp_path), BackupSeal()
    target.put("zajil-backup", json.dumps({"format": FORMAT, "key_check": ""}).encode())
    content = b"[" * 200_000
    name = f"20991231-000000-000-{seal.name_of(content)[:16]}"
    target.put(SNAPSHOTS + name, seal.close(name, content))
    with pytest.raises(DamagedBackup):
        look_into(tmp_path, name)


def test_files_of_other_programs(filled: Store, tmp_path: Path) -> None:
    """A file manager leaves files everywhere: none is a snapshot, and none is deleted."""
    folder = tmp_path / "target"
    name = back_up(filled, folder).name
    for place in ("snapshots/Thumbs.db", "snapshots/.DS_Store", "objects/Thumbs.db"):
        (folder / place).write_bytes(b"x")
    target = FolderTarget(folder)
    assert snapshot_names(target) == [name]
    assert choose_snapshot(target, None) == name
    done = prune_target(target, BackupSeal(), clock=SystemClock(), keep=1, keep_days=0)
    assert (done.kept, done.snapshots, done.objects) == ((name,), (), 0)
    assert (folder / "objects/Thumbs.db").exists()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_links_and_permissions(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """FAT, exFAT and some of CIFS: no hard links, no chmod, no fsync of folders."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    def refuse_sync(_: Path) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "zajil-backup").touch()  # a crash just after the name was taken
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr("zajil.store.backup.target.sync_folder", refuse_sync)
    first, second = back_up(filled, folder), back_up(filled, folder)
    assert saved_blobs(look_into(folder, second.name)) == all_blobs(filled)
    assert snapshot_names(FolderTarget(folder)) == [first.name, second.name]
    target = FolderTarget(folder)
    assert not target.put_new("zajil-backup", b"other")
    assert not list(folder.rglob(".draft-*"))


@pytest.mark.parametrize("until_ms", [10**30, 253_402_300_799_000, -(10**30)])
def test_a_lock_of_a_clock_that_was_wrong(tmp_path: Path, until_ms: int) -> None:
    target = FolderTarget(tmp_path)
    target.put(NAME, json.dumps({"owner": "x", "until_ms": until_ms, "host": "far"}).encode())
    with TargetLock(target, SystemClock()):
        pass


def test_a_fifo_in_the_place_of_an_object(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "zajil-backup")
    with pytest.raises(TargetUnavailable, match="not a file"):
        FolderTarget(tmp_path).get("zajil-backup")


def test_a_second_program_leaves_alone_what_the_first_one_writes(
    filled: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "target"
    back_up(filled, folder)
    draft = folder / "objects" / "aa" / ".draft-1"
    draft.parent.mkdir(exist_ok=True)
    draft.write_bytes(b"half")
    with TargetLock(FolderTarget(folder), SystemClock()), pytest.raises(TargetInUse):
        back_up(filled, folder)
    assert draft.exists()
    back_up(filled, folder)
    assert not draft.exists()
