"""The prefix of a store in S3: the object that marks it as that of one store, and the sweep.

Laws:
- Two stores in one prefix would take each other's objects for garbage. So nothing is deleted by
  listing before the mark was compared with the one that the store remembers.
- The sweep lists the objects, and takes those that no row names for garbage if they are older than
  a day, both by their ids and by the clock of S3. It passes over what is deeper than our names.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.config.options_server import StoreOptions
from zajil.core.value_class import value_class
from zajil.store.blobs.bucket import Bucket, BucketUnavailable, ListedObject, MissingObject
from zajil.store.blobs.garbage import add_garbage, named_locations
from zajil.store.blobs.location import OBJECT, is_object_name, parse_location, time_of_id
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import ORPHAN_AGE_MS, Store
from zajil.store.schema import blob_garbage, blob_place

MARK_NAME = "zajil-store"
"""Of the object; its content is the mark."""
_AT_ONCE = 500
"""Objects that one query looks up."""


# ---- the mark ------------------------------------------------------------------------------------


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


# ---- what crashes left ---------------------------------------------------------------------------


async def sweep_objects(store: Store, now_ms: int) -> int:
    """Find objects that no row names, and have them deleted; return how many there were.

    Raises:
        StoreUnavailable: they cannot be listed, or the prefix belongs to another store.
    """
    await store.write(remember_mark, new_mark(store.blobs.objects.bucket.place))
    count = 0
    strays = find_strays(store, now_ms - ORPHAN_AGE_MS)
    while (some := await asyncio.to_thread(next, strays, None)) is not None:
        await store.write(add_garbage, some)
        count += len(some)
    return count


def sweep_objects_now(store: Store, now_ms: int) -> int:
    """Do the same in this thread, for the command line."""
    count = 0
    for some in find_strays(store, now_ms - ORPHAN_AGE_MS):
        store.write_now(add_garbage, some)
        count += len(some)
    return count


def find_strays(store: Store, before_ms: int) -> Iterator[list[str]]:
    """Yield the locations of objects that no row names, some at a time.

    Args:
        store: opened.
        before_ms: younger ones are left out: their transactions may be under way.

    Raises:
        StoreUnavailable: they cannot be listed, or the prefix belongs to another store.
    """
    require_mark(store)
    with told():
        every = iter(store.blobs.objects.bucket.list())
        while some := list(islice(every, _AT_ONCE)):
            old = [f"{OBJECT}{one.name}" for one in some if _is_old(one, before_ms)]
            named = store.read_now(partial(_named_or_garbage, locations=old))
            found = [one for one in old if one not in named]
            if found:
                yield found


def _is_old(one: ListedObject, before_ms: int) -> bool:
    if not is_object_name(one.name):
        return False  # not ours
    # A message that is moved or restored has an old id, and an object that was written just now.
    made_ms = time_of_id(parse_location(f"{OBJECT}{one.name}").blob_id) or 0
    return max(made_ms, int(one.modified.timestamp() * 1000)) < before_ms


def _named_or_garbage(conn: Connection, *, locations: Sequence[str]) -> set[str]:
    waits = sa.select(blob_garbage.c.location).where(blob_garbage.c.location.in_(locations))
    return named_locations(conn, locations) | set(conn.scalars(waits))


@contextmanager
def told() -> Iterator[None]:
    """Make a failure of S3 one of the store.

    Raises:
        StoreUnavailable: S3 failed.
    """
    try:
        yield
    except BucketUnavailable as error:
        raise StoreUnavailable(str(error)) from error
