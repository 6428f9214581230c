"""A whole store comes back from a snapshot: on both databases, and after kill -9 at any moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.backups import all_blobs, all_rows, back_up, fill_store, look_into, saved_blobs
from kit.store import PostgresServer, open_test_store, small_store_options
from zajil.net.system import SystemClock
from zajil.store.backup.create import create_snapshot
from zajil.store.backup.lock import NAME
from zajil.store.backup.refill import MODSEQ_JUMP, NUMBER_JUMP, UID_JUMP
from zajil.store.backup.restore import RestoredStore, restore_store
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.target import DamagedBackup, FolderTarget
from zajil.store.engine.errors import StoreExists, StoreFull, WrongSchema
from zajil.store.engine.open import Store
from zajil.store.mail.mailbox_changes import NewMailbox, create_mailbox
from zajil.store.mail.mailboxes import list_mailboxes
from zajil.store.people.accounts import list_accounts
from zajil.store.repair.check import find_damage

Rows = dict[str, list[dict[str, Any]]]


def expected_rows(rows: Rows) -> Rows:
    """Return what becomes of rows in a restore."""
    modseqs = {}
    for row in rows["mailbox"]:
        row["uid_next"] += UID_JUMP
        row["modseq"] += MODSEQ_JUMP
        row["forgotten_modseq"] = modseqs[row["id"]] = row["modseq"]
    for row in rows["message"]:
        row["modseq"] = modseqs[row["mailbox_id"]]
        row["indexed"] = 0
    for row in rows["recipient"]:
        if row["state"] == "waiting":
            row["state"] = "held"
    return rows


def without_reasons(rows: Rows) -> Rows:
    for row in rows["recipient"]:
        row["reason"] = ""
    return rows


def restore(folder: Path, name: str, url: str, data_dir: Path) -> RestoredStore:
    options = small_store_options(url)
    return restore_store(look_into(folder, name), options, data_dir, clock=SystemClock())


def damage(store: Store) -> list[Any]:
    return find_damage(store, is_served=False, progress=lambda done, total: None)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    store = open_test_store("sqlite", tmp_path / "data")
    yield store
    store.close_now()


@pytest.fixture(params=["sqlite", "postgresql"])
def other_url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield "sqlite"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    yield server.new_url()


def test_everything_comes_back_on_either_database(
    store: Store, tmp_path: Path, other_url: str
) -> None:
    fill_store(store)
    made = back_up(store, tmp_path / "target")
    done = restore(tmp_path / "target", made.name, other_url, tmp_path / "new")
    assert done.held == 4
    assert done.missing == 0
    other = open_test_store(other_url, tmp_path / "new")
    try:
        rows = without_reasons(expected_rows(store.read_now(all_rows)))
        assert without_reasons(other.read_now(all_rows)) == rows
        assert all_blobs(other) == all_blobs(store)
        assert not damage(other)
        # No number is given a second time, also none that was given after the snapshot.
        owner = other.read_now(list_accounts)[0].account_id
        new = NewMailbox(owner, "New", 5, 100)
        highest = max(row["id"] for row in rows["mailbox"])
        assert other.write_now(create_mailbox, new) > highest + NUMBER_JUMP - 1
        # And a snapshot of it is as good as the first one.
        again = back_up(other, tmp_path / "second")
        assert saved_blobs(look_into(tmp_path / "second", again.name)) == all_blobs(store)
    finally:
        other.close_now()


def test_a_store_is_never_overwritten(store: Store, tmp_path: Path) -> None:
    fill_store(store, messages=1, large=0)
    made = back_up(store, tmp_path / "target")
    rows = store.read_now(all_rows)
    with pytest.raises(StoreExists):
        restore(tmp_path / "target", made.name, store._options.url, store.data_dir)
    assert store.read_now(all_rows) == rows


def test_a_snapshot_of_a_newer_schema_is_refused(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = back_up(sqlite_store, tmp_path / "target")
    monkeypatch.setattr("zajil.store.backup.restore.known_schemas", lambda: ["0001", "0045"])
    with pytest.raises(WrongSchema, match=r"install Zajil 0\.1"):
        restore(tmp_path / "target", made.name, "sqlite", tmp_path / "new")


def test_a_disk_with_too_little_space_is_refused_at_once(
    sqlite_store: Store, tmp_path: Path
) -> None:
    made = back_up(sqlite_store, tmp_path / "target")
    options = small_store_options("sqlite", free_space_reserve=1 << 60)
    snapshot = look_into(tmp_path / "target", made.name)
    with pytest.raises(StoreFull):
        restore_store(snapshot, options, tmp_path / "new", clock=SystemClock())
    assert not (tmp_path / "new" / "store.sqlite").exists()


def test_a_damaged_snapshot_leaves_no_store(sqlite_store: Store, tmp_path: Path) -> None:
    fill_store(sqlite_store, messages=3, large=0)
    made = back_up(sqlite_store, tmp_path / "target")
    ((pack, _),) = made.manifest.packs
    path = tmp_path / "target" / "objects" / pack[:2] / pack
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(DamagedBackup):
        restore(tmp_path / "target", made.name, "sqlite", tmp_path / "new")
    assert not list((tmp_path / "new").glob("store.*"))
    path.write_bytes(content)
    restore(tmp_path / "target", made.name, "sqlite", tmp_path / "new")


class Deadly(FolderTarget):
    """A target at which the process is killed."""

    def __init__(self, folder: Path, writes: int = -1, reads: int = -1) -> None:
        super().__init__(folder)
        self.writes, self.reads = writes, reads

    def put(self, name: str, content: bytes) -> None:
        if self.writes == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.writes -= name != NAME
        super().put(name, content)

    def get(self, name: str) -> bytes:
        if self.reads == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.reads -= 1
        return super().get(name)


def is_killed(work: Callable[[], object]) -> bool:
    """Do something in a process of its own; return whether it was killed before the end."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return bool(status)


def make_store(data_dir: Path) -> tuple[Rows, dict[str, bytes]]:
    store = open_test_store("sqlite", data_dir)
    try:
        fill_store(store, messages=5)
        return store.read_now(all_rows), all_blobs(store)
    finally:
        store.close_now()


def test_kill_9_at_each_object_of_a_backup(tmp_path: Path) -> None:
    """What is left is used by the next backup, and none of it is ever a snapshot."""
    rows, contents = make_store(tmp_path / "data")
    target = tmp_path / "target"

    def create(writes: int) -> None:
        store = open_test_store("sqlite", tmp_path / "data")
        create_snapshot(store, Deadly(target, writes), BackupSeal(), clock=SystemClock())

    deaths = 0
    while is_killed(lambda: create(1)):  # one object more each time
        deaths += 1
        assert not list(target.glob("snapshots/*"))
    assert deaths > 10
    (name,) = [path.name for path in target.glob("snapshots/*")]
    assert not list(target.rglob(".draft-*"))
    restore(target, name, "sqlite", tmp_path / "new")
    other = open_test_store("sqlite", tmp_path / "new")
    try:
        assert without_reasons(other.read_now(all_rows)) == without_reasons(expected_rows(rows))
        assert all_blobs(other) == contents
        assert not damage(other)
    finally:
        other.close_now()


def test_kill_9_at_each_object_of_a_restore(tmp_path: Path) -> None:
    """There is no store before it is complete; the next restore makes it."""
    rows, contents = make_store(tmp_path / "data")
    target = tmp_path / "target"
    store = open_test_store("sqlite", tmp_path / "data")
    name = back_up(store, target).name
    store.close_now()
    reads = 0

    def run() -> None:
        snapshot = look_into(Deadly(target, reads=reads), name)
        options = small_store_options("sqlite")
        restore_store(snapshot, options, tmp_path / "new", clock=SystemClock())

    while is_killed(run):
        assert not (tmp_path / "new" / "store.sqlite").exists()
        reads += 4
    assert reads > 12
    assert sorted(path.name for path in (tmp_path / "new").glob("store*")) == ["store.sqlite"]
    other = open_test_store("sqlite", tmp_path / "new")
    try:
        assert without_reasons(other.read_now(all_rows)) == without_reasons(expected_rows(rows))
        assert all_blobs(other) == contents
        assert not damage(other)
        inbox = other.read_now(lambda conn: list_mailboxes(conn, list_accounts(conn)[0].account_id))
        assert inbox
    finally:
        other.close_now()
