"""A store with something of everything in it, for backups; and what a store contains."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.store import make_account, make_intake
from zajil.core.ids import BlobId
from zajil.net.system import SystemClock
from zajil.store.backup.create import Created, create_snapshot
from zajil.store.backup.read import Snapshot, open_snapshot
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.spool import LEFT_OUT
from zajil.store.backup.target import BackupTarget, FolderTarget
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.schema import blob, metadata


def fill_store(store: Store, messages: int = 20, large: int = 1) -> None:
    """Put accounts, messages, and a queue into a store.

    Args:
        store: opened.
        messages: small ones, each for both accounts.
        large: so many of five million bytes, in files.
    """
    owners = [make_account(store, f"{name}@north.test") for name in ("amal", "badr")]
    for number in range(messages):
        content = store.blobs.stage([made_message(number)])
        remote = ["them@elsewhere.test"] if number % 5 == 0 else []
        store.write_now(write_intakes, make_intake(content, local=owners, remote=remote))
    for _ in range(large):
        content = store.blobs.stage_now([b"Subject: large\r\n\r\n", os.urandom(5_000_000)])
        store.write_now(write_intakes, make_intake(content, local=owners[:1]))


def made_message(number: int, size: int = 2000) -> bytes:
    """Return a message that no other is equal to."""
    head = f"Subject: رسالة {number}\r\n\r\n".encode()
    return head + os.urandom(size // 2).hex().encode() + b"\r\n"


def back_up(store: Store, folder: Path, seal: BackupSeal | None = None) -> Created:
    """Make a snapshot in a folder."""
    return create_snapshot(store, FolderTarget(folder), seal or BackupSeal(), clock=SystemClock())


def look_into(target: BackupTarget | Path, name: str, seal: BackupSeal | None = None) -> Snapshot:
    """Open a snapshot."""
    place = FolderTarget(target) if isinstance(target, Path) else target
    return open_snapshot(place, seal or BackupSeal(), name)


def all_rows(conn: Connection) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables that backups contain, in the order of their keys."""
    return {
        name: [
            dict(row._mapping)
            for row in conn.execute(sa.select(table).order_by(*table.primary_key))
        ]
        for name, table in metadata.tables.items()
        if name not in LEFT_OUT
    }


def all_blobs(store: Store) -> dict[str, bytes]:
    """Return the bytes of all blobs."""
    ids = store.read_now(lambda conn: list(conn.scalars(sa.select(blob.c.id))))
    return {one: store.read_now(lambda conn: store.blobs.read(conn, BlobId(one))) for one in ids}  # noqa: B023


def saved_rows(snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """Return what ``all_rows`` returns, from a snapshot."""
    return {name: list(snapshot.rows(name)) for name in metadata.tables if name not in LEFT_OUT}


def saved_blobs(snapshot: Snapshot) -> dict[str, bytes]:
    """Return what ``all_blobs`` returns, from a snapshot."""
    return {place.blob_id: b"".join(snapshot.read_blob(place)) for place in snapshot.places()}
