"""Bytes that the store has lost, taken from a backup while the server runs.

The rows are right, and stay: messages keep their UIDs and flags. Only bytes with the digest that
the row has are taken, and they go to a new place, so whoever reads meanwhile is not disturbed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import BlobId
from zajil.core.value_class import value_class
from zajil.store.backup.read import BlobPlace, Snapshot
from zajil.store.backup.target import DamagedBackup
from zajil.store.blobs.garbage import add_garbage
from zajil.store.blobs.holdings import find_wrong_files, find_wrong_objects
from zajil.store.blobs.moving import count_places
from zajil.store.engine.dialect import Progress
from zajil.store.engine.open import Store
from zajil.store.mail.blobs import StagedBlob
from zajil.store.repair.contents import check_contents, name_blob
from zajil.store.schema import blob


@dataclass(slots=True)
class RestoredBytes:
    """What was restored."""

    messages: int = 0
    bytes: int = 0
    left: list[str] = field(default_factory=list)
    """Why the bytes of others were not, one sentence for each."""


@value_class(frozen=True, slots=True)
class NewBytes:
    """What ``replace_bytes`` takes."""

    old: str | None
    """The location of the lost bytes; ``None``: they were in the row."""
    staged: StagedBlob


def replace_bytes(tx: Connection, items: Sequence[NewBytes]) -> list[bool]:
    """Let rows have new bytes, if they still name the old place.

    Unit of work: not idempotent; locks the blobs. What no row names then is garbage.

    Returns:
        For each whether it was changed.
    """
    done = []
    for item in items:
        staged = item.staged
        mine = sa.and_(blob.c.id == staged.blob_id, blob.c.location.is_not_distinct_from(item.old))
        new = {"content": staged.content, "location": staged.location}
        changed = tx.execute(sa.update(blob).where(mine).values(new)).rowcount == 1
        useless = item.old if changed else staged.location
        is_same = changed and item.old == staged.location  # a file that was gone is there again
        if useless is not None and not is_same:
            add_garbage(tx, [[useless]])
        done.append(changed)
    return done


def find_lost(store: Store, *, contents: bool, progress: Progress) -> list[BlobId]:
    """Return the messages whose bytes are missing or have another size, by id.

    Args:
        store: opened.
        contents: also those whose bytes are others than those that were stored: all are read.
        progress: of the reading.

    Raises:
        StoreUnavailable: S3 or the database cannot be read.
    """
    lost = {one.blob_id for one in find_wrong_files(store, lambda: None)}
    if store.read_now(count_places)[1]:
        lost.update(one.blob_id for one in find_wrong_objects(store, lambda: None))
    lost.update(store.read_now(lambda conn: list(conn.scalars(_NOWHERE))))
    if contents:
        lost.update(check_contents(store, progress, with_objects=True).damaged_ids)
    return [BlobId(one) for one in sorted(lost)]


def restore_bytes(
    store: Store, snapshot: Snapshot, lost: Sequence[BlobId], progress: Progress
) -> RestoredBytes:
    """Write bytes of messages again, as a backup has them.

    Args:
        store: opened, not started; a server may use it.
        snapshot: of a backup.
        lost: of ``find_lost``.
        progress: told how many messages are done, and how many there are.

    Raises:
        StoreFull, StoreUnavailable: the rest was not restored; it may be done again.
        DamagedBackup, TargetUnavailable: the list of messages in the backup cannot be read.
    """
    done = RestoredBytes()
    places = snapshot.find_blobs(lost)
    for number, blob_id in enumerate(lost):
        progress(number, len(lost))
        row = store.read_now(partial(_row, blob_id=blob_id))
        names = store.read_now(partial(name_blob, blob_id=blob_id))
        if row is None or names is None:
            continue  # deleted meanwhile
        reason = _restore(store, snapshot, row, places.get(blob_id))
        if reason is None:
            done.messages += 1
            done.bytes += row.size
        else:
            done.left.append(f"{names}: {reason}")
    progress(1, 1)
    return done


def _restore(store: Store, snapshot: Snapshot, row: Any, place: BlobPlace | None) -> str | None:
    """Return why it was not done; ``None``: it was."""
    if place is None:
        return "the backup does not have it"
    is_other = row.digest is not None and place.digest not in (None, bytes(row.digest).hex())
    if is_other or place.size != row.size:
        return "the backup has other bytes"
    try:
        staged = store.blobs.stage_again(BlobId(row.id), row.size, snapshot.read_blob(place))
    except DamagedBackup as error:
        return str(error)
    is_done = store.write_now(replace_bytes, NewBytes(row.location, staged))
    return None if is_done else "it was moved or deleted meanwhile"


def _row(conn: Connection, *, blob_id: BlobId) -> Any:
    columns = (blob.c.id, blob.c.size, blob.c.location, blob.c.digest)
    return conn.execute(sa.select(*columns).where(blob.c.id == blob_id)).one_or_none()


_NOWHERE = sa.select(blob.c.id).where(blob.c.content.is_(None), blob.c.location.is_(None))
