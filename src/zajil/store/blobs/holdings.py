"""Rows compared with the objects in S3: which are missing, which have another size."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.blobs.garbage import told
from zajil.store.blobs.location import OBJECT, parse_location
from zajil.store.blobs.seal import sealed_size
from zajil.store.engine.open import Store
from zajil.store.schema import blob

_ROWS = 1000


@value_class(frozen=True, slots=True)
class WrongObject:
    """An object that does not fit its row."""

    blob_id: str
    is_missing: bool
    reason: str


def find_wrong_objects(store: Store, step: Callable[[], None]) -> Iterator[WrongObject]:
    """Compare all rows that name objects with what S3 has.

    The objects are listed once; of each, eight bytes are kept in memory. What the list does not
    have is asked for by its name.

    Args:
        store: opened.
        step: called after each thousand objects and rows.

    Raises:
        StoreUnavailable: S3 or the database cannot be read.
    """
    listed = _list(store, step)
    last = ""
    while True:
        rows = store.read_now(partial(_portion, after=last))
        if not rows:
            return
        last = rows[-1].id
        for row in rows:
            place = parse_location(row.location)
            size = row.size if place.key_id is None else sealed_size(row.size)
            if not _has(listed, _print_of(place.name, size)):
                wrong = _look(store, row, place.name, size)
                if wrong is not None:
                    yield wrong
        step()


def _list(store: Store, step: Callable[[], None]) -> array[int]:
    prints = array("Q")
    with told():
        for one in store.blobs.objects.bucket.list():
            prints.append(_print_of(one.name, one.size))
            if len(prints) % _ROWS == 0:
                step()
    return array("Q", sorted(prints))


def _print_of(name: str, size: int) -> int:
    text = f"{name} {size}".encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def _has(prints: array[int], wanted: int) -> bool:
    at = bisect_left(prints, wanted)
    return at < len(prints) and prints[at] == wanted


def _look(store: Store, row: Any, name: str, size: int) -> WrongObject | None:
    """Ask for an object that was not in the list: it may be newer, and its row may be gone."""
    bucket = store.blobs.objects.bucket
    with told():
        found = bucket.head(name)
    if found is not None and found.size == size:
        return None
    if store.read_now(partial(_location_of, blob_id=row.id)) != row.location:
        return None  # moved or deleted meanwhile
    if found is None:
        return WrongObject(row.id, True, f"its object {name} is missing in {bucket.place}")
    reason = f"its object {name} in {bucket.place} has {found.size} bytes and should have {size}"
    return WrongObject(row.id, False, reason)


def _portion(conn: Connection, *, after: str) -> Sequence[Any]:
    query = sa.select(blob.c.id, blob.c.size, blob.c.location)
    query = query.where(blob.c.location.startswith(OBJECT), blob.c.id > after)
    return conn.execute(query.order_by(blob.c.id).limit(_ROWS)).all()


def _location_of(conn: Connection, *, blob_id: str) -> str | None:
    return conn.scalar(sa.select(blob.c.location).where(blob.c.id == blob_id))
