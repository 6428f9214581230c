"""Bytes that no row names any more: those of deleted and moved messages, and what crashes left.

Laws:
- Who takes a location out of a row writes it to table ``blob_garbage`` in the same transaction. The
  bytes are deleted ten minutes later: until then somebody may read an older snapshot.
- An object is deleted before its location is forgotten. A file is unlinked afterwards, once: as
  soon as it is gone, a message that moves back to files may get its name.
- The sweep lists the objects, and takes those that no row names for garbage if they are older than
  a day, both by their ids and by the clock of S3. It only looks into a prefix that has the mark of
  this store, and passes over what is deeper, so that it never deletes what is another's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.blobs.bucket import BucketUnavailable, ListedObject
from zajil.store.blobs.location import OBJECT, is_object_name, parse_location, time_of_id
from zajil.store.blobs.mark import new_mark, remember_mark, require_mark
from zajil.store.engine.batch import time_of
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import ORPHAN_AGE_MS, Store
from zajil.store.schema import blob, blob_garbage

GARBAGE_AGE_MS = 600_000
_AT_ONCE = 500
T = TypeVar("T")


# ---- units of work and queries ------------------------------------------------------------------


def add_garbage(tx: Connection, items: Sequence[Sequence[str]]) -> list[None]:
    """Have bytes deleted that no row names; each item: locations. Unit of work: idempotent."""
    for location in dict.fromkeys(one for item in items for one in item):
        known = sa.select(blob_garbage.c.location).where(blob_garbage.c.location == location)
        if tx.scalar(known) is None:
            row = {"location": location, "since_ms": time_of(tx)}
            tx.execute(sa.insert(blob_garbage).values(row))
    return [None] * len(items)


def forget_garbage(tx: Connection, items: Sequence[Sequence[str]]) -> list[set[str]]:
    """Forget locations; return of each item those that were there. Unit of work: idempotent."""
    wanted = [one for item in items for one in item]
    forget = sa.delete(blob_garbage).where(blob_garbage.c.location.in_(wanted))
    gone = set(tx.scalars(forget.returning(blob_garbage.c.location)))
    return [gone.intersection(item) for item in items]


def find_garbage(
    conn: Connection, before_ms: int, *, has_objects: bool = True
) -> tuple[list[str], list[str]]:
    """Return locations whose time has come, some at a time.

    Args:
        conn: a snapshot.
        before_ms: since when they must be garbage.
        has_objects: also objects in S3.

    Returns:
        Those to delete, and those that a row names all the same, which only are to be forgotten.
    """
    query = sa.select(blob_garbage.c.location).where(blob_garbage.c.since_ms < before_ms)
    if not has_objects:
        query = query.where(sa.not_(blob_garbage.c.location.startswith(OBJECT)))
    found = list(conn.scalars(query.order_by(blob_garbage.c.since_ms).limit(_AT_ONCE)))
    named = named_locations(conn, found)
    return [one for one in found if one not in named], sorted(named)


def count_garbage(conn: Connection) -> int:
    """Return how many locations wait to be deleted."""
    return conn.scalar(sa.select(sa.func.count()).select_from(blob_garbage)) or 0


def named_locations(conn: Connection, locations: Iterable[str]) -> set[str]:
    """Return those of the locations that rows of blobs name."""
    wanted = set(locations)
    ids = sorted({parse_location(one).blob_id for one in wanted})
    named: set[str] = set()
    for start in range(0, len(ids), _AT_ONCE):
        some = blob.c.id.in_(ids[start : start + _AT_ONCE])
        named.update(conn.scalars(sa.select(blob.c.location).where(some)))
    return wanted & named


# ---- deleting -----------------------------------------------------------------------------------


async def collect_garbage(store: Store, now_ms: int) -> int:
    """Delete the bytes whose time has come; return how many messages they were of.

    Raises:
        StoreUnavailable: the rest waits for the next time.
    """
    count = 0
    find = partial(
        find_garbage, before_ms=now_ms - GARBAGE_AGE_MS, has_objects=store.blobs.reads_objects
    )
    while True:
        garbage, named = await store.read(find)
        if not garbage and not named:
            return count
        await asyncio.to_thread(_delete_objects, store, garbage)
        gone = await store.write(forget_garbage, [*garbage, *named])
        files = [one for one in garbage if one in gone and not one.startswith(OBJECT)]
        await asyncio.to_thread(store.blobs.files.unlink, files)
        count += len(garbage)


def _delete_objects(store: Store, locations: Sequence[str]) -> None:
    names = [parse_location(one).name for one in locations if one.startswith(OBJECT)]
    if names:
        for name in names:
            store.blobs.objects.cache.forget(name)
        with told():
            store.blobs.objects.bucket.delete_all(names)


# ---- what crashes left --------------------------------------------------------------------------


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
        for some in portions_of(store.blobs.objects.bucket.list()):
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


def portions_of(items: Iterable[T]) -> Iterator[list[T]]:
    """Divide into portions for one query each."""
    rest = iter(items)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


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
