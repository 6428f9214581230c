"""What keeps deleted messages while a backup has still to read them.

Laws:
- A backup takes a hold before it looks at the rows, and renews it until it has read all bytes.
- While a hold is in force, ``release_blobs`` marks blobs in table ``held_blob`` instead of
  deleting them. They are deleted when no hold is in force any more, also after a backup that was
  killed.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.engine.batch import time_of
from zajil.store.mail.blob_rows import is_backup_running, release_blobs
from zajil.store.schema import backup_hold, held_blob

HOLD_MS = 600_000
"""How long a hold lasts without being renewed: a backup that was killed costs no more."""
PORTION = 500
"""Blobs that are deleted in one commit."""


@value_class(frozen=True, slots=True)
class Hold:
    """What ``take_hold`` and ``renew_hold`` take."""

    hold_id: str
    until_ms: int


def take_hold(tx: Connection, items: Sequence[Hold]) -> list[None]:
    """Begin to keep what is deleted, from this commit on; holds that have ended are removed.

    Unit of work: idempotent; on PostgreSQL it waits for transactions that delete just now.
    """
    if tx.dialect.name == "postgresql":
        # Who has seen no hold has this table locked, and deletes before our snapshot.
        tx.execute(sa.text("LOCK TABLE backup_hold IN ACCESS EXCLUSIVE MODE"))
    tx.execute(sa.delete(backup_hold).where(backup_hold.c.until_ms <= time_of(tx)))
    for item in items:
        tx.execute(sa.insert(backup_hold).values(id=item.hold_id, until_ms=item.until_ms))
    return [None] * len(items)


def renew_hold(tx: Connection, items: Sequence[Hold]) -> list[bool]:
    """Prolong holds; return for each whether it was still in force: it had no gap.

    Unit of work: idempotent.
    """
    return [
        tx.execute(
            sa.update(backup_hold)
            .where(backup_hold.c.id == item.hold_id, backup_hold.c.until_ms > time_of(tx))
            .values(until_ms=item.until_ms)
        ).rowcount
        == 1
        for item in items
    ]


def end_hold(tx: Connection, hold_ids: Sequence[str]) -> list[None]:
    """End holds; ``release_held`` then deletes what they kept.

    Unit of work: idempotent.
    """
    tx.execute(sa.delete(backup_hold).where(backup_hold.c.id.in_(hold_ids)))
    return [None] * len(hold_ids)


def release_held(tx: Connection, limits: Sequence[int]) -> list[int]:
    """Delete some of what was kept for backups, if no hold is in force.

    Unit of work: idempotent; locks the blobs.

    Args:
        tx: an open transaction.
        limits: for each item how many blobs at most.

    Returns:
        For each item how many were looked at; fewer than the limit: no others are left.
    """
    counts: list[int] = []
    for limit in limits:
        if is_backup_running(tx):
            counts.append(0)
            continue
        some = sa.select(held_blob.c.blob_id).order_by(held_blob.c.blob_id).limit(limit)
        ids = list(tx.scalars(some))
        tx.execute(sa.delete(held_blob).where(held_blob.c.blob_id.in_(ids)))
        release_blobs(tx, ids)
        counts.append(len(ids))
    return counts
