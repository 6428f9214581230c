"""What became of the last backups, for alerts, metrics and ``zajil status``."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.schema import backup_run, held_blob


@value_class(frozen=True, slots=True, kw_only=True)
class BackupRun:
    """The last attempts at one target."""

    place: str
    """The target: a folder, or ``s3://...``."""
    tried_ms: int
    """When the last attempt ended."""
    done_ms: int | None
    """The last complete backup has everything as it was then; ``None``: there is none."""
    snapshot: str
    """Its name."""
    left_out: int
    """Files and messages that are missing in it."""
    error: str
    """Why the last attempt failed; empty: it did not."""


@value_class(frozen=True, slots=True)
class FailedBackup:
    """What ``record_failed`` takes."""

    place: str
    at_ms: int
    error: str


def load_run(conn: Connection, place: str) -> BackupRun | None:
    """Return what became of backups to a target; ``None``: none was tried."""
    row = conn.execute(sa.select(backup_run).where(backup_run.c.place == place)).one_or_none()
    return None if row is None else BackupRun(**row._mapping)


def record_backup(tx: Connection, items: Sequence[BackupRun]) -> list[None]:
    """Note that a backup was made.

    Unit of work: idempotent.
    """
    for item in items:
        _write(
            tx,
            item.place,
            {
                "tried_ms": item.tried_ms,
                "done_ms": item.done_ms,
                "snapshot": item.snapshot,
                "left_out": item.left_out,
                "error": item.error,
            },
        )
    return [None] * len(items)


def record_failed(tx: Connection, items: Sequence[FailedBackup]) -> list[None]:
    """Note that no backup could be made; what is known of the last one stays.

    Unit of work: idempotent.
    """
    for item in items:
        _write(tx, item.place, {"tried_ms": item.at_ms, "error": item.error})
    return [None] * len(items)


def _write(tx: Connection, place: str, values: dict[str, object]) -> None:
    changed = tx.execute(sa.update(backup_run).where(backup_run.c.place == place).values(**values))
    if not changed.rowcount:
        fresh = {"snapshot": "", "left_out": 0, **values}
        tx.execute(sa.insert(backup_run).values(place=place, **fresh))


def has_held_blobs(conn: Connection) -> bool:
    """Return whether deleted messages are kept for a backup."""
    return conn.scalar(sa.select(held_blob.c.blob_id).limit(1)) is not None
