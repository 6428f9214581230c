"""Snapshots of a store: complete, consistent, and cheap where little changed."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.backups import (
    all_blobs,
    all_rows,
    back_up,
    fill_store,
    look_into,
    made_message,
    saved_blobs,
    saved_rows,
)
from kit.store import make_account, make_intake
from zajil.core.ids import Uid
from zajil.net.system import SystemClock
from zajil.store.backup.hold import Hold, end_hold, release_held, take_hold
from zajil.store.backup.lock import NAME, TargetLock
from zajil.store.backup.manifest import NotABackup, UnknownFormat, require_marker
from zajil.store.backup.packs import HoldLost
from zajil.store.backup.read import choose_snapshot
from zajil.store.backup.seal import BackupSeal, WrongKey
from zajil.store.backup.spool import LEFT_OUT, kept_tables
from zajil.store.backup.target import DamagedBackup, FolderTarget, NoSuchObject, TargetInUse
from zajil.store.engine.open import Store
from zajil.store.mail.blobs import Blobs
from zajil.store.mail.deleted import purge_old
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.repair.check import find_damage
from zajil.store.schema import blob, held_blob, mailbox, message, metadata

KEY = bytes(range(32))
FAR_MS = 1 << 50
SOON_MS = SystemClock().now_ms() + 3_600_000


@pytest.mark.parametrize("key", [None, KEY])
def test_a_snapshot_has_every_row_and_every_byte(
    store: Store, tmp_path: Path, key: bytes | None
) -> None:
    fill_store(store)
    made = back_up(store, tmp_path / "target", BackupSeal(key))
    snapshot = look_into(tmp_path / "target", made.name, BackupSeal(key))
    assert saved_rows(snapshot) == store.read_now(all_rows)
    assert saved_blobs(snapshot) == all_blobs(store)
    assert made.manifest.left_out == ()
    assert made.manifest.messages == 21


def test_each_table_is_in_a_snapshot_or_left_out_for_a_reason() -> None:
    assert set(LEFT_OUT) <= set(metadata.tables)


def test_the_second_snapshot_costs_what_is_new(store: Store, tmp_path: Path) -> None:
    fill_store(store, messages=300)
    first = back_up(store, tmp_path / "target")
    owner = make_account(store, "dina@north.test")
    content = store.blobs.stage([made_message(7)])
    store.write_now(write_intakes, make_intake(content, local=[owner]))
    second = back_up(store, tmp_path / "target")
    assert second.manifest.added_bytes < first.manifest.added_bytes / 10
    for made in (first, second):
        assert len(saved_blobs(look_into(tmp_path / "target", made.name))) == made.manifest.messages
    third = back_up(store, tmp_path / "target")
    assert third.manifest.added_bytes == 0
    assert choose_snapshot(FolderTarget(tmp_path / "target"), None) == third.name


def test_only_what_holds_a_mailbox_is_read(store: Store, tmp_path: Path) -> None:
    fill_store(store)
    made = back_up(store, tmp_path / "target")
    snapshot = look_into(tmp_path / "target", made.name)
    box = store.read_now(lambda conn: conn.scalar(sa.select(sa.func.max(message.c.mailbox_id))))
    rows = list(snapshot.rows("message", (box,), (box,)))
    assert [row["uid"] for row in rows] == list(range(1, 21))
    places = snapshot.find_blobs([row["blob_id"] for row in rows] + ["nobody"])
    contents = all_blobs(store)
    assert {one: b"".join(snapshot.read_blob(places[one])) for one in places} == {
        row["blob_id"]: contents[row["blob_id"]] for row in rows
    }
    assert list(snapshot.rows("message", (box, 3), (box, 4))) == rows[2:4]
    assert [row["id"] for row in snapshot.rows("mailbox", (box,), (box,))] == [box]


def delete_all(store: Store) -> None:
    """Expunge all messages of all mailboxes, for good."""
    rows = store.read_now(
        lambda conn: conn.execute(sa.select(mailbox.c.account_id, mailbox.c.id)).all()
    )
    uids = tuple(map(Uid, range(1, 400)))
    for account_id, mailbox_id in rows:
        item = ExpungeMessages(account_id, mailbox_id, uids, deleted_only=False)
        store.write_now(expunge_messages, item)
    store.write_now(purge_old, FAR_MS)


def count(store: Store, table: sa.Table) -> int:
    query = sa.select(sa.func.count()).select_from(table)
    return store.read_now(lambda conn: conn.scalar(query)) or 0


def test_what_is_deleted_meanwhile_is_in_the_snapshot_and_gone_afterwards(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_store(store)
    rows, contents = store.read_now(all_rows), all_blobs(store)
    true_open_all, calls = Blobs.open_all, 0

    def open_all(self: Blobs, *args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            delete_all(store)
            late = store.blobs.stage([made_message(99)])
            owner = make_account(store, "late@north.test")
            store.write_now(write_intakes, make_intake(late, local=[owner]))
        return true_open_all(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Blobs, "open_all", open_all)
    made = back_up(store, tmp_path / "target")
    snapshot = look_into(tmp_path / "target", made.name)
    assert saved_rows(snapshot) == rows
    assert saved_blobs(snapshot) == contents
    assert count(store, held_blob) == 0
    assert count(store, blob) == 5  # the late one, and those that the queue has still to send
    assert not find_damage(store, is_served=False, progress=lambda done, total: None)


def test_a_hold_keeps_what_is_deleted_until_the_last_one_ends(store: Store) -> None:
    fill_store(store, messages=3)
    before = all_blobs(store)
    now_ms = SystemClock().now_ms()
    for hold_id, until_ms in (("ended", now_ms - 1), ("one", now_ms + 60_000), ("two", FAR_MS)):
        store.write_now(take_hold, Hold(hold_id, until_ms))
    delete_all(store)
    assert all_blobs(store) == before
    assert not find_damage(store, is_served=False, progress=lambda done, total: None)
    store.write_now(end_hold, "one")
    assert store.write_now(release_held, 100) == 0
    store.write_now(end_hold, "two")
    assert store.write_now(release_held, 100) == 3
    assert count(store, blob) == 1
    assert count(store, held_blob) == 0


def test_a_backup_that_writes_nothing_renews_its_hold_all_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_store(store, messages=3, large=0)
    back_up(store, tmp_path / "target")
    monkeypatch.setattr("zajil.store.backup.write._BEAT_SECONDS", 0)
    renewals = 0
    true_renew = TargetLock.renew

    def renew(self: TargetLock) -> None:
        nonlocal renewals
        renewals += 1
        true_renew(self)

    monkeypatch.setattr(TargetLock, "renew", renew)
    assert back_up(store, tmp_path / "target").manifest.added_bytes == 0
    assert renewals > len(kept_tables()) / 4


def test_a_hold_that_was_lost_ends_the_backup(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_store(store, messages=3)
    true_open_all = Blobs.open_all

    def open_all(self: Blobs, *args: object) -> object:
        store.write_now(lambda tx, items: [tx.execute(sa.text("DELETE FROM backup_hold"))], None)
        delete_all(store)
        return true_open_all(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Blobs, "open_all", open_all)
    with pytest.raises(HoldLost):
        back_up(store, tmp_path / "target")
    with pytest.raises(NoSuchObject):
        choose_snapshot(FolderTarget(tmp_path / "target"), None)


def test_a_message_without_bytes_is_named_and_the_rest_is_saved(
    store: Store, tmp_path: Path
) -> None:
    fill_store(store, messages=2)
    (file,) = [one for one in (store.data_dir / "blobs").rglob("*") if one.is_file()]
    content = file.read_bytes()
    file.unlink()
    made = back_up(store, tmp_path / "target")
    (sentence,) = made.manifest.left_out
    assert file.name in sentence
    snapshot = look_into(tmp_path / "target", made.name)
    missing = [place for place in snapshot.places() if place.is_missing]
    assert [place.blob_id for place in missing] == [file.name]
    with pytest.raises(DamagedBackup):
        list(snapshot.read_blob(missing[0]))
    file.write_bytes(content)
    made = back_up(store, tmp_path / "target")
    assert saved_blobs(look_into(tmp_path / "target", made.name)) == all_blobs(store)


def test_a_message_that_is_damaged_in_the_store_is_named(store: Store, tmp_path: Path) -> None:
    fill_store(store, messages=2)
    (file,) = [one for one in (store.data_dir / "blobs").rglob("*") if one.is_file()]
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    made = back_up(store, tmp_path / "target")
    (sentence,) = made.manifest.left_out
    assert file.name in sentence
    assert "damaged" in sentence
    assert saved_blobs(look_into(tmp_path / "target", made.name)) == all_blobs(store)


def test_a_damaged_object_is_never_read_as_whole(store: Store, tmp_path: Path) -> None:
    fill_store(store, messages=3, large=0)
    made = back_up(store, tmp_path / "target")
    ((pack, _),) = made.manifest.packs
    path = tmp_path / "target" / "objects" / pack[:2] / pack
    content = path.read_bytes()
    chunk = made.manifest.tables["blob"].chunks[0].name
    other = tmp_path / "target" / "objects" / chunk[:2] / chunk
    changed = content[:40] + bytes([content[40] ^ 1]) + content[41:]
    for damaged in (content[:-9], b"", changed, other.read_bytes()):
        path.write_bytes(damaged)
        with pytest.raises(DamagedBackup):
            saved_blobs(look_into(tmp_path / "target", made.name))
    path.unlink()
    with pytest.raises(DamagedBackup):
        saved_blobs(look_into(tmp_path / "target", made.name))


def test_a_backup_whose_last_snapshot_is_damaged_reads_everything_again(
    store: Store, tmp_path: Path
) -> None:
    fill_store(store, messages=3, large=0)
    made = back_up(store, tmp_path / "target")
    chunk = made.manifest.tables["blob"].chunks[0].name
    (tmp_path / "target" / "objects" / chunk[:2] / chunk).unlink()
    made = back_up(store, tmp_path / "target")
    assert saved_blobs(look_into(tmp_path / "target", made.name)) == all_blobs(store)


def test_another_key_is_refused(store: Store, tmp_path: Path) -> None:
    fill_store(store, messages=1, large=0)
    back_up(store, tmp_path / "sealed", BackupSeal(KEY))
    back_up(store, tmp_path / "plain")
    for folder, key in (("sealed", None), ("sealed", bytes(32)), ("plain", KEY)):
        with pytest.raises(WrongKey):
            back_up(store, tmp_path / folder, BackupSeal(key))
    # Nothing of what is in it can be read.
    everything = b"".join(
        path.read_bytes() for path in (tmp_path / "sealed").rglob("*") if path.is_file()
    )
    assert b"north.test" not in everything
    assert b"mailbox" not in everything


def test_a_target_of_another_program_or_format_is_refused(tmp_path: Path) -> None:
    target = FolderTarget(tmp_path)
    with pytest.raises(NotABackup):
        require_marker(target, BackupSeal())
    target.put("zajil-backup", b'{"format": 2, "key_check": ""}')
    with pytest.raises(UnknownFormat):
        require_marker(target, BackupSeal())
    target.put("zajil-backup", b"[]")
    with pytest.raises(DamagedBackup):
        require_marker(target, BackupSeal())


def test_one_program_at_a_time_writes_to_a_target(tmp_path: Path) -> None:
    target, clock = FolderTarget(tmp_path), SystemClock()
    with TargetLock(target, clock) as lock:
        with pytest.raises(TargetInUse), TargetLock(target, clock):
            pass
        lock.renew()
        # A process of another machine, which writes on.
        target.put(NAME, b'{"owner": "x", "host": "elsewhere", "until_ms": %d}' % SOON_MS)
        with pytest.raises(TargetInUse):
            lock.renew()
    with pytest.raises(TargetInUse), TargetLock(target, clock):
        pass
    # One of this machine that does not say which it is may live.
    here = {
        "owner": "x",
        "host": socket.gethostname(),
        "process": 1 << 22,
        "until_ms": SOON_MS,
    }
    for boot in ("", None):
        target.put(NAME, json.dumps({**here, "boot": boot}).encode())
        with pytest.raises(TargetInUse), TargetLock(target, clock):
            pass
    target.put(NAME, json.dumps({**here, "boot": "an earlier start"}).encode())
    with TargetLock(target, clock):
        pass
    target.put(NAME, b'{"owner": "x", "host": "elsewhere", "until_ms": 5}')
    with TargetLock(target, clock):
        pass
    with pytest.raises(NoSuchObject):
        target.get(NAME)
