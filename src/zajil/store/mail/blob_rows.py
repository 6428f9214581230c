"""The rows of blobs: made, held and deleted in the transactions of what refers to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import BlobId
from zajil.store.blobs.location import OBJECT
from zajil.store.engine.batch import release_files, time_of
from zajil.store.engine.rows import execute_text, insert_rows, mark_of, marks_of, portions
from zajil.store.mail.blobs import NoSuchBlob, StagedBlob
from zajil.store.schema import blob, blob_garbage


def write_blobs(tx: Connection, staged: Sequence[StagedBlob]) -> None:
    """Make the rows of staged blobs, in the transaction of the rows that refer to them."""
    # SQLite's driver looks for an adapter of ``bytes``, and takes a bytearray as it is.
    insert_rows(
        tx,
        _COLUMNS,
        [
            (
                one.blob_id,
                one.size,
                one.content and bytearray(one.content),
                one.location,
                bytearray(one.digest),
            )
            for one in staged
        ],
    )


def keep_blobs(tx: Connection, blob_ids: Iterable[BlobId]) -> None:
    """Hold old blobs until the commit, so that a new row may refer to them (COPY).

    Raises:
        NoSuchBlob: one of them went meanwhile.
    """
    wanted = sorted(set(blob_ids))
    found: set[BlobId] = set()
    lock = " ORDER BY id FOR KEY SHARE" if tx.dialect.name == "postgresql" else ""
    for some in portions(wanted):
        # The names are constants.
        query = f"SELECT id FROM blob WHERE id IN {marks_of(tx, some)}{lock}"  # noqa: S608
        found.update(BlobId(row[0]) for row in execute_text(tx, query, some))
    for blob_id in wanted:
        if blob_id not in found:
            raise NoSuchBlob(blob_id)


def release_blobs(tx: Connection, blob_ids: Iterable[BlobId]) -> None:
    """Delete those of the blobs that no message, deleted or not, and no mail refers to any more.

    While a backup runs they are marked instead, and deleted later (``store.backup.hold``).

    Call it after the rows that referred to them are gone. Locks the blobs until the commit; their
    files are unlinked after it, their objects deleted later (``store.blobs.garbage``).
    """
    ids = sorted(set(blob_ids))
    if not ids:
        return
    # Two transactions that each take one of the last two references away must meet here, or
    # each sees the other's reference still there and nobody deletes the blob.
    if tx.dialect.name == "postgresql":
        tx.execute(
            sa.select(blob.c.id).where(blob.c.id.in_(ids)).order_by(blob.c.id).with_for_update()
        )
    is_held = is_backup_running(tx)
    for some in portions(ids):
        # The names are constants.
        free_ones = f"FROM blob WHERE id IN {marks_of(tx, some)} AND {_UNUSED}"
        if is_held:
            mark = f"INSERT INTO held_blob (blob_id) SELECT id {free_ones} ON CONFLICT DO NOTHING"
            execute_text(tx, mark, some)
            continue
        gone = execute_text(tx, f"DELETE {free_ones} RETURNING id, location", some)
        if gone:
            free = [blob_id for blob_id, _ in gone]
            forget = f"DELETE FROM summary WHERE blob_id IN {marks_of(tx, free)}"  # noqa: S608
            execute_text(tx, forget, free)
        _release_places(tx, [location for _, location in gone if location is not None])


def _release_places(tx: Connection, locations: Sequence[str]) -> None:
    objects = [one for one in locations if one.startswith(OBJECT)]
    release_files(tx, [one for one in locations if not one.startswith(OBJECT)])
    if objects:
        columns, now_ms = (blob_garbage.c.location, blob_garbage.c.since_ms), time_of(tx)
        insert_rows(tx, columns, [(location, now_ms) for location in objects], keep_old=True)


_UNUSED = (
    "NOT EXISTS (SELECT 1 FROM message WHERE message.blob_id = blob.id)"
    " AND NOT EXISTS (SELECT 1 FROM mail WHERE mail.blob_id = blob.id)"
    " AND NOT EXISTS (SELECT 1 FROM deleted_message WHERE blob_id = blob.id)"
)


def is_backup_running(tx: Connection) -> bool:
    """Return whether a backup runs that may still have to read what is deleted now.

    On PostgreSQL this locks the table until the commit, so that a backup that begins waits for it
    (``store.backup.hold.take_hold``).
    """
    query = f"SELECT 1 FROM backup_hold WHERE until_ms > {mark_of(tx)} LIMIT 1"  # noqa: S608
    return bool(execute_text(tx, query, (time_of(tx),)))


_COLUMNS = (blob.c.id, blob.c.size, blob.c.content, blob.c.location, blob.c.digest)
