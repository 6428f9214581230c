"""The object that marks a prefix in S3 as that of one store.

Two stores in one prefix would take each other's objects for garbage. So nothing is deleted by
listing before the mark was compared with the one that the store remembers.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.config.options_server import StoreOptions
from zajil.core.value_class import value_class
from zajil.store.blobs.bucket import Bucket, BucketUnavailable, MissingObject
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.schema import blob_place

MARK_NAME = "zajil-store"
"""Of the object; its content is the mark."""


class ForeignPlace(StoreUnavailable):
    """The prefix belongs to another store."""


@value_class(frozen=True, slots=True)
class NewMark:
    """What ``remember_mark`` takes."""

    place: str
    mark: str


def load_mark(conn: Connection, place: str) -> str | None:
    """Return the mark that the store remembers; ``None``: it has none for this prefix."""
    return conn.scalar(sa.select(blob_place.c.mark).where(blob_place.c.place == place))


def remember_mark(tx: Connection, items: Sequence[NewMark]) -> list[str]:
    """Remember a mark, unless there is one; return the one that is. Unit of work: idempotent."""
    marks = []
    for item in items:
        # Another node may start at the same moment.
        tx.execute(_INSERT, {"place_": item.place, "mark_": item.mark})
        marks.append(load_mark(tx, item.place) or item.mark)
    return marks


_INSERT = sa.text(
    "INSERT INTO blob_place (place, mark) VALUES (:place_, :mark_) ON CONFLICT (place) DO NOTHING"
)


def new_mark(place: str) -> NewMark:
    """Make a mark for a prefix."""
    return NewMark(place, secrets.token_hex(16))


def remember_place(store: Store, options: StoreOptions) -> None:
    """Remember that a server was started with a prefix, and give it a mark; S3 is not asked.

    Raises:
        StoreUnavailable: the database cannot be written.
    """
    place = options.s3_place
    if place is not None and store.read_now(lambda conn: load_mark(conn, place)) is None:
        store.write_now(remember_mark, new_mark(place))


def require_free_place(bucket: Bucket) -> None:
    """See that no store has marked a prefix; waits for S3.

    Raises:
        ForeignPlace: one has.
        StoreUnavailable: S3 does not answer.
    """
    try:
        bucket.get(MARK_NAME)
    except MissingObject:
        return
    except BucketUnavailable as error:
        raise StoreUnavailable(str(error)) from error
    raise ForeignPlace(
        f"{bucket.place} belongs to a store already: give the new store a prefix of its own "
        "(store.blobs)"
    )


def require_mark(store: Store) -> None:
    """See that the prefix is that of this store; mark it, if nobody has. Waits for S3.

    Raises:
        ForeignPlace: it has the mark of another store.
        StoreUnavailable: S3 or the database does not answer.
    """
    bucket = store.blobs.objects.bucket
    mark = store.read_now(lambda conn: load_mark(conn, bucket.place))
    if mark is None:
        mark = store.write_now(remember_mark, new_mark(bucket.place))
    try:
        try:
            found = bucket.get(MARK_NAME)
        except MissingObject:
            bucket.put_new(MARK_NAME, mark.encode())
            found = bucket.get(MARK_NAME)
    except (BucketUnavailable, MissingObject) as error:
        raise StoreUnavailable(str(error)) from error
    if found != mark.encode():
        raise ForeignPlace(foreign_text(bucket.place))


def foreign_text(place: str) -> str:
    """Say that a prefix has the mark of another store."""
    return (
        f"{place} belongs to another store: its object {MARK_NAME} is not ours; give each store a "
        "prefix of its own (store.blobs)"
    )
