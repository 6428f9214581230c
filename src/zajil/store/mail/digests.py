"""The digests of messages, and those of messages that an older version stored."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import BlobId
from zajil.core.value_class import value_class
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.blob_reader import digest_of
from zajil.store.schema import blob

_BATCH = 32
_BATCH_BYTES = 1 << 20
_MISSING: sa.ColumnElement[bool] = sa.literal_column("digest IS NULL")
"""The condition of an index, word by word."""


@value_class(frozen=True, slots=True)
class NewDigest:
    """What ``write_digests`` takes."""

    blob_id: BlobId
    digest: bytes
    """SHA-256."""


def count_undigested(conn: Connection) -> int:
    """Return how many blobs have no digest yet."""
    return conn.scalar(sa.select(sa.func.count()).select_from(blob).where(_MISSING)) or 0


def compute_digests(store: Store, after: str) -> tuple[Sequence[NewDigest], str | None]:
    """Compute the digests of some blobs that have none, in the order of their ids; in a thread.

    Args:
        store: opened.
        after: an id.

    Returns:
        The digests, and the id to go on after; ``None``: there are no more. What cannot be read
        gets none.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    some = store.read_now(partial(_find, after=after))
    openers = store.read_now(lambda conn: store.blobs.open_all(conn, some))
    found = []
    for blob_id, open_blob in openers.items():
        try:
            with open_blob() as reader:
                found.append(NewDigest(blob_id, digest_of(reader)))
        except (StoreUnavailable, OSError):
            continue
    return found, some[-1] if some else None


def _find(conn: Connection, *, after: str) -> Sequence[BlobId]:
    has_bytes = sa.or_(blob.c.content.is_not(None), blob.c.location.is_not(None))
    query = sa.select(blob.c.id, blob.c.size).where(_MISSING, blob.c.id > after, has_bytes)
    size = 0
    ids: list[BlobId] = []
    for row in conn.execute(query.order_by(blob.c.id).limit(_BATCH)):
        if ids and size + row.size > _BATCH_BYTES:
            break
        ids.append(BlobId(row.id))
        size += row.size
    return ids


def write_digests(tx: Connection, items: Sequence[Sequence[NewDigest]]) -> list[None]:
    """Write digests of blobs that have none. Unit of work: idempotent; locks the blobs."""
    for item in items:
        for one in item:
            mine = sa.and_(blob.c.id == one.blob_id, blob.c.digest.is_(None))
            tx.execute(sa.update(blob).where(mine).values(digest=one.digest))
    return [None] * len(items)
