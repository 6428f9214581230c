"""The bytes of messages compared with their digests: all of them, or a seventh each night.

Laws:
- A blob belongs to one of seven parts for ever, by its id: so each is read once a week; after some
  nights without a server the part that was read the longest time ago comes first.
- Messages in S3 are read only if that is asked for: their service keeps them whole, and to download
  a seventh of them each night costs money.
- What cannot be compared says nothing: a blob without a digest, or whose file is missing, which
  ``check.find_damage`` tells.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import BlobId
from zajil.core.value_class import value_class
from zajil.store.blobs.location import OBJECT
from zajil.store.engine.check_results import PARTS, CheckResult
from zajil.store.engine.dialect import Progress
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.blob_reader import BlobReader, digest_of
from zajil.store.repair.damage import RESTORE, Damage, deleted_name, messages_of_blob
from zajil.store.schema import blob, deleted_message, mail

_IDS = 1000
"""Ids that are read at a time."""
_BATCH_BYTES = 1 << 20
"""Bytes of small messages that are read in one snapshot; a larger one is alone."""


@value_class(frozen=True, slots=True)
class ReadBlob:
    """A blob whose bytes are those that were stored."""

    blob_id: BlobId
    size: int


@value_class(frozen=True, slots=True)
class Contents:
    """What was read, and what was wrong."""

    blobs: int
    bytes: int
    damage: tuple[Damage, ...]
    damaged_ids: tuple[BlobId, ...]


def part_of(blob_id: str) -> int:
    """Return to which part a blob belongs."""
    return zlib.crc32(blob_id.encode("ascii")) % PARTS


def check_contents(
    store: Store,
    progress: Progress,
    *,
    part: int | None = None,
    also: Sequence[str] = (),
    look: Callable[[Sequence[ReadBlob]], None] = lambda some: None,
    with_objects: bool = False,
) -> Contents:
    """Read the bytes of messages and compare them with their digests.

    Args:
        store: opened.
        progress: told how many ids are done, and how many there are.
        part: only this part; ``None``: all.
        also: ids of further blobs.
        look: called with those that are right, some at a time.
        with_objects: also messages in S3, which takes as long as to download them.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    which = sa.true() if with_objects else _HERE
    if with_objects and store.blobs.reads_objects:
        store.blobs.objects.reads_cache = False  # a copy may be right, and the object not
    count = sa.select(sa.func.count()).select_from(blob).where(which)
    total = store.read_now(lambda conn: conn.scalar(count)) or 0
    wanted, done = set(also), 0
    blobs = size = 0
    damage: list[Damage] = []
    ids: list[BlobId] = []
    for rows in _portions(store, which):
        mine = [one for one in rows if part is None or part_of(one[0]) == part or one[0] in wanted]
        for batch in _batches(mine):
            right, wrong = _check(store, [blob_id for blob_id, _ in batch])
            blobs, size = blobs + len(batch), size + sum(one for _, one in batch)
            damage += wrong.values()
            ids += wrong
            look(right)
            progress(done, total)
        done += len(rows)
        progress(min(done, total), total)
    return Contents(blobs, size, tuple(damage), tuple(ids))


def count_elsewhere(conn: Connection) -> int:
    """Return how many messages are in S3, which ``check_contents`` reads only if it is asked to."""
    return conn.scalar(sa.select(sa.func.count()).select_from(blob).where(sa.not_(_HERE))) or 0


def _portions(
    store: Store, which: sa.ColumnElement[bool]
) -> Iterator[Sequence[tuple[BlobId, int]]]:
    last = ""
    while True:
        query = sa.select(blob.c.id, blob.c.size).where(blob.c.id > last, which)
        query = query.order_by(blob.c.id).limit(_IDS)
        rows = store.read_now(lambda conn: conn.execute(query).all())  # noqa: B023
        if not rows:
            return
        last = rows[-1].id
        yield [(BlobId(row.id), row.size) for row in rows]


def _batches(rows: Sequence[tuple[BlobId, int]]) -> Iterator[Sequence[tuple[BlobId, int]]]:
    batch: list[tuple[BlobId, int]] = []
    size = 0
    for row in rows:
        if batch and size + row[1] > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row[1]
    if batch:
        yield batch


def _check(
    store: Store, blob_ids: Sequence[BlobId]
) -> tuple[Sequence[ReadBlob], dict[BlobId, Damage]]:
    right: list[ReadBlob] = []
    suspects: dict[BlobId, str] = {}
    digests, openers = store.read_now(partial(_open, store, blob_ids))
    for blob_id, open_blob in openers.items():
        try:
            with open_blob() as reader:
                found = digest_of(reader)
                size = reader.size
        except StoreUnavailable:
            continue  # its file is missing or too short
        except OSError as error:
            suspects[blob_id] = f"it cannot be read: {error.strerror or error}"
            continue
        wanted = digests[blob_id]
        if wanted is None or wanted == found:
            right.append(ReadBlob(blob_id, size))
        else:
            suspects[blob_id] = (
                f"its bytes are not those that were stored: their SHA-256 is {found.hex()}, and "
                f"was {wanted.hex()}"
            )
    wrong = {}
    for blob_id, reason in suspects.items():
        # A message that was deleted meanwhile took its file along.
        names = store.read_now(partial(name_blob, blob_id=blob_id))
        if names is not None:
            wrong[blob_id] = Damage("wrong-bytes", names, reason, RESTORE)
    return right, wrong


def _open(
    store: Store, blob_ids: Sequence[BlobId], conn: Connection
) -> tuple[dict[BlobId, bytes | None], dict[BlobId, Callable[[], BlobReader]]]:
    query = sa.select(blob.c.id, blob.c.digest).where(blob.c.id.in_(blob_ids))
    digests = {row.id: row.digest and bytes(row.digest) for row in conn.execute(query)}
    has_bytes = sa.or_(blob.c.content.is_not(None), blob.c.location.is_not(None))
    there = conn.scalars(sa.select(blob.c.id).where(blob.c.id.in_(blob_ids), has_bytes))
    return digests, store.blobs.open_all(conn, [BlobId(one) for one in there])


def name_blob(conn: Connection, *, blob_id: str) -> str | None:
    """Name the messages whose bytes a blob holds, also deleted ones and mails in the queue.

    ``None``: it is gone.
    """
    if conn.scalar(sa.select(blob.c.id).where(blob.c.id == blob_id)) is None:
        return None
    names = messages_of_blob(conn, blob_id)
    gone = sa.select(deleted_message).where(deleted_message.c.blob_id == blob_id).limit(10)
    names += [deleted_name(row) for row in conn.execute(gone)]
    queued = sa.select(mail.c.id).where(mail.c.blob_id == blob_id)
    names += [f"mail {one} in the queue" for one in conn.scalars(queued)]
    return ", ".join(names) or f"blob {blob_id}"


def results_of(contents: Contents, at_ms: int) -> tuple[CheckResult, ...]:
    """Return what is remembered when all parts were read at once.

    The number of blobs and bytes stands with the first part.
    """
    by_part: list[list[str]] = [[] for _ in range(PARTS)]
    for blob_id in contents.damaged_ids:
        by_part[part_of(blob_id)].append(blob_id)
    return tuple(
        CheckResult(
            part,
            at_ms,
            0 if part else contents.blobs,
            0 if part else contents.bytes,
            tuple(damaged),
        )
        for part, damaged in enumerate(by_part)
    )


_HERE = sa.or_(blob.c.location.is_(None), sa.not_(blob.c.location.startswith(OBJECT)))
"""What is not in S3."""
