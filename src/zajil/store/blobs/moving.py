"""Messages moved between files and S3, or to a new key, while the server runs.

Laws:
- Copy, compare with the digest, then change the row if it still names the old place; the old bytes
  become garbage in the same commit. So a move may be killed at any time.
- It goes by the ids of the blobs and looks at the rows alone: run again, it moves what is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import BlobId
from zajil.core.value_class import value_class
from zajil.message.source import read_pieces
from zajil.store.blobs.garbage import add_garbage
from zajil.store.blobs.location import OBJECT, parse_location
from zajil.store.blobs.used_keys import (
    forget_keys,
    load_used_keys,
    nodes_before,
    record_key,
)
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.blobs import StagedBlob
from zajil.store.schema import blob

_ROWS = 1000
_AT_ONCE = 4
"""Messages that are copied at a time."""
_COMMIT = 32
"""Rows that are changed in one commit."""
_FAILURES = 3
"""After so many in a row that S3 or the disk did not take, the move ends."""


@dataclass(slots=True)
class MovedBlobs:
    """What a move did."""

    blobs: int = 0
    bytes: int = 0
    gone: int = 0
    """Messages that were deleted meanwhile."""
    failed: list[str] = field(default_factory=list)
    """Why messages were left where they are, one sentence for each."""
    older: list[str] = field(default_factory=list)
    """Nodes that may still encrypt with an older key, which is kept therefore."""


@value_class(frozen=True, slots=True)
class NewBlobPlace:
    """What ``change_places`` takes."""

    blob_id: BlobId
    old: str
    new: str


def change_places(tx: Connection, items: Sequence[NewBlobPlace]) -> list[bool]:
    """Let rows name new places, if they still name the old ones.

    Unit of work: not idempotent; locks the blobs. What no row names then is garbage.

    Returns:
        For each whether it was changed.
    """
    done = []
    for item in items:
        mine = sa.and_(blob.c.id == item.blob_id, blob.c.location == item.old)
        changed = tx.execute(sa.update(blob).where(mine).values(location=item.new)).rowcount == 1
        add_garbage(tx, [[item.old if changed else item.new]])
        done.append(changed)
    return done


def move_blobs(
    store: Store, *, to_objects: bool, progress: Callable[[int, int], None]
) -> MovedBlobs:
    """Move all messages that are not in rows to S3 or to files of this node.

    What is there already and is not encrypted with the key of now is written anew with it.

    Args:
        store: opened, not started; a server may use it.
        to_objects: to S3.
        progress: told of the bytes that are done, and of all.

    Raises:
        StoreUnavailable: S3, the disk or the database failed several times in a row; what was
            moved stays moved.
    """
    return _Move(store, to_objects=to_objects, progress=progress).run()


class _Move:
    def __init__(
        self, store: Store, *, to_objects: bool, progress: Callable[[int, int], None]
    ) -> None:
        self._store = store
        self._to_objects = to_objects
        self._progress = progress
        self._key_id = None if store.blobs.keys is None else store.blobs.keys.current
        self._done = MovedBlobs()
        self._left: set[str] = set()
        """Keys of what was left where it is."""
        self._failures = 0
        self._ready: list[NewBlobPlace] = []
        self._seen = 0

    def run(self) -> MovedBlobs:
        store = self._store
        before = store.read_now(load_used_keys)
        if self._key_id is not None:
            store.write_now(record_key, self._key_id)
        total = store.read_now(lambda conn: conn.scalar(_TOTAL)) or 0
        waiting: deque[tuple[Any, Future[StagedBlob]]] = deque()
        threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="zajil-move")
        try:
            for row in _rows(store):
                if self._is_right(row.location):
                    self._seen += row.size
                    continue
                waiting.append((row, threads.submit(self._copy, row)))
                if len(waiting) > _AT_ONCE:
                    self._take(*waiting.popleft())
                self._progress(self._seen, total)
            while waiting:
                self._take(*waiting.popleft())
            self._commit()
        finally:
            # What was copied and is not named is found by the sweep.
            threads.shutdown(cancel_futures=True)
        unused = [one for one in before if one not in self._left and one != self._key_id]
        if unused:
            self._forget(unused)
        self._progress(total, total)
        return self._done

    def _forget(self, unused: list[str]) -> None:
        """Forget keys, unless nodes go on to encrypt with them until they are started again."""
        older = self._store.read_now(partial(nodes_before, key=self._key_id))
        self._done.older += [f"{row.node_id} on {row.host}" for row in older]
        if not older:
            self._store.write_now(forget_keys, unused)

    def _is_right(self, location: str) -> bool:
        place = parse_location(location)
        return place.is_object == self._to_objects and place.key_id == self._key_id

    def _copy(self, row: Any) -> StagedBlob:
        """Copy the bytes of one message, and compare them; in a thread."""
        blobs = self._store.blobs
        with blobs.open_place(row.size, row.location, None) as reader:
            staged = blobs.stage_large(
                BlobId(row.id), row.size, read_pieces(reader), to_objects=self._to_objects
            )
        if row.digest is not None and staged.digest != bytes(row.digest):
            blobs.discard(staged)
            raise StoreUnavailable("its bytes are not those that were stored")
        return staged

    def _take(self, row: Any, copied: Future[StagedBlob]) -> None:
        self._seen += row.size
        try:
            staged = copied.result()
        except StoreUnavailable as error:
            self._leave(row, error)
            return
        self._failures = 0
        self._ready.append(NewBlobPlace(BlobId(row.id), row.location, staged.location or ""))
        self._done.bytes += row.size
        if len(self._ready) >= _COMMIT:
            self._commit()

    def _leave(self, row: Any, error: StoreUnavailable) -> None:
        now = self._store.read_now(partial(_location_of, blob_id=row.id))
        if now != row.location:
            self._done.gone += 1
            return
        key_id = parse_location(row.location).key_id
        if key_id is not None:
            self._left.add(key_id)
        self._done.failed.append(f"message {row.id}: {error}")
        self._failures += 1
        if self._failures >= _FAILURES:
            self._commit()
            raise StoreUnavailable(
                f"{error}; {self._done.blobs} messages were moved, run the command again"
            )

    def _commit(self) -> None:
        ready, self._ready = self._ready, []
        for item in ready:
            changed = self._store.write_now(change_places, item)
            self._done.blobs += changed
            self._done.gone += not changed


def _rows(store: Store) -> Iterator[Any]:
    last = ""
    while True:
        query = _PLACES.where(blob.c.id > last).order_by(blob.c.id).limit(_ROWS)
        rows = store.read_now(lambda conn: conn.execute(query).all())  # noqa: B023
        if not rows:
            return
        last = rows[-1].id
        yield from rows


def _location_of(conn: Connection, *, blob_id: str) -> str | None:
    return conn.scalar(sa.select(blob.c.location).where(blob.c.id == blob_id))


_IN_PLACES = blob.c.location.is_not(None)
_PLACES = sa.select(blob.c.id, blob.c.size, blob.c.location, blob.c.digest).where(_IN_PLACES)
_TOTAL = sa.select(sa.func.sum(blob.c.size)).where(_IN_PLACES)


def count_places(conn: Connection) -> tuple[int, int]:
    """Return how many messages are in files, and how many in S3."""
    in_s3 = blob.c.location.startswith(OBJECT)
    count = sa.select(sa.func.count()).select_from(blob)
    objects = conn.scalar(count.where(in_s3)) or 0
    return (conn.scalar(count.where(_IN_PLACES)) or 0) - objects, objects
