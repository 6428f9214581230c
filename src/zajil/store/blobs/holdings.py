"""Rows compared with files and with objects in S3: which are missing, which have another size."""

from __future__ import annotations

import stat
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.blobs.location import OBJECT, parse_location
from zajil.store.blobs.prefix import told
from zajil.store.blobs.seal import sealed_size
from zajil.store.engine.open import Store
from zajil.store.schema import blob

_ROWS = 1000


@value_class(frozen=True, slots=True)
class WrongBytes:
    """A file or an object that does not fit its row."""

    blob_id: str
    is_missing: bool
    reason: str


def find_wrong_objects(store: Store, step: Callable[[], None]) -> Iterator[WrongBytes]:
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
    for rows in _portions(store, blob.c.location.startswith(OBJECT)):
        for row in rows:
            place = parse_location(row.location)
            size = row.size if place.key_id is None else sealed_size(row.size)
            if not _has(listed, _print_of(place.name, size)):
                wrong = _look(store, row, place.name, size)
                if wrong is not None:
                    yield wrong
        step()


def find_wrong_files(store: Store, step: Callable[[], None]) -> Iterator[WrongBytes]:
    """Compare all rows that name files with the files of this node.

    Args:
        store: opened.
        step: called after each thousand rows.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    for rows in _portions(store, in_file()):
        for row in rows:
            is_plain = parse_location(row.location).key_id is None
            size = row.size if is_plain else sealed_size(row.size)
            reason = _fault_of_file(store.blobs.files.folder / row.location, size)
            # A message that was deleted or moved meanwhile took its file along.
            if reason and store.read_now(partial(_location_of, blob_id=row.id)) == row.location:
                yield WrongBytes(row.id, "missing" in reason, reason)
        step()


def in_file() -> sa.ColumnElement[bool]:
    """Return the condition for a message that is in a file."""
    return sa.not_(blob.c.location.startswith(OBJECT))  # false where it is null, too


def _fault_of_file(path: Path, size: int) -> str | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return f"its file {path} is missing"
    except OSError as error:
        return f"its file {path} is missing: {error.strerror}"
    if not stat.S_ISREG(found.st_mode) or found.st_size != size:
        return f"its file {path} has {found.st_size} bytes and should have {size}"
    return None


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


def _look(store: Store, row: Any, name: str, size: int) -> WrongBytes | None:
    """Ask for an object that was not in the list: it may be newer, and its row may be gone."""
    bucket = store.blobs.objects.bucket
    with told():
        found = bucket.head(name)
    if found is not None and found.size == size:
        return None
    if store.read_now(partial(_location_of, blob_id=row.id)) != row.location:
        return None  # moved or deleted meanwhile
    if found is None:
        return WrongBytes(row.id, True, f"its object {name} is missing in {bucket.place}")
    reason = f"its object {name} in {bucket.place} has {found.size} bytes and should have {size}"
    return WrongBytes(row.id, False, reason)


def _portions(store: Store, where: sa.ColumnElement[bool]) -> Iterator[Sequence[Any]]:
    """Return rows of messages that are not in the database, by id."""
    query = sa.select(blob.c.id, blob.c.size, blob.c.location).where(where)
    query = query.order_by(blob.c.id).limit(_ROWS)

    def after(conn: Connection, last: str) -> Sequence[Any]:
        return conn.execute(query.where(blob.c.id > last)).all()

    last = ""
    while rows := store.read_now(partial(after, last=last)):
        last = rows[-1].id
        yield rows


def _location_of(conn: Connection, *, blob_id: str) -> str | None:
    return conn.scalar(sa.select(blob.c.location).where(blob.c.id == blob_id))
