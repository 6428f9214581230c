"""Bytes that no row names any more: those of deleted and moved messages, and what crashes left.

Laws:
- Who takes a location out of a row writes it to table ``blob_garbage`` in the same transaction. The
  bytes are deleted ten minutes later: until then somebody may read an older snapshot.
- An object is deleted before its location is forgotten. A file is unlinked afterwards, once: as
  soon as it is gone, a message that moves back to files may get its name.
- What a crash left without a row, the sweep of the prefix finds (``prefix``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.blobs.location import OBJECT, parse_location
from zajil.store.engine.batch import time_of
from zajil.store.engine.open import Store
from zajil.store.schema import blob, blob_garbage

GARBAGE_AGE_MS = 600_000
_AT_ONCE = 500


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
        # A server with S3 has it imported before the fork (``store.engine.life``).
        from zajil.store.blobs.prefix import told

        for name in names:
            store.blobs.objects.cache.forget(name)
        with told():
            store.blobs.objects.bucket.delete_all(names)
