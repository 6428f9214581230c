"""Segments of the index of words: how many of them become one, and what is left out then.

A new message is a segment of its own. Segments of about the same size are merged when there are
``FAN`` of them, so that an account with n messages has some log(n) of them, and each word is
written again log(n) times. Blobs that are gone are left out.

Law: whoever merges reads first and writes later, and writes nothing if one of the segments went
meanwhile: another merge took it, or the account is gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId
from zajil.core.value_class import value_class
from zajil.message.word_blocks import Block, OpenSegment, merge
from zajil.store.engine.rows import portions
from zajil.store.mail.text_index import (
    NewSegment,
    delete_segments,
    insert_segments,
    unpack_ids,
)
from zajil.store.schema import blob, mailbox, message, text_block, text_segment

FAN = 8
"""Segments of like size that are merged."""
FULL = 4096
"""Messages of a segment that is merged no more: its blocks take 2 MB of memory then."""
_AT_ONCE = 64
"""Segments that are merged at a time; there are more after an import."""
_WASTE = 10
"""A segment is written anew when one of so many of its blobs is gone."""


@value_class(frozen=True, slots=True)
class Segment:
    """A segment without its words."""

    segment_id: int
    messages: int


@value_class(frozen=True, slots=True)
class LoadedSegment:
    """A segment that is to be merged."""

    segment_id: int
    blob_ids: Sequence[BlobId]
    kept: Sequence[bool]
    """Whether each of its blobs is still there."""
    blocks: Sequence[tuple[bytes, bytes]]
    """Words and numbers."""


def find_crowded(conn: Connection, blob_ids: Sequence[BlobId]) -> list[AccountId]:
    """Return the accounts with messages of these blobs that have enough small segments to merge.

    Merges begin with the smallest ones, which is what the indexer adds.
    """
    found: set[AccountId] = set()
    for some in portions(blob_ids):
        owners = (
            sa.select(mailbox.c.account_id)
            .join(message, message.c.mailbox_id == mailbox.c.id)
            .where(message.c.blob_id.in_(some))
        )
        query = (
            sa.select(text_segment.c.account_id)
            .where(text_segment.c.account_id.in_(owners), text_segment.c.messages < FAN)
            .group_by(text_segment.c.account_id)
            .having(sa.func.count() >= FAN)
        )
        found.update(conn.scalars(query))
    return sorted(found)


def find_mergeable(conn: Connection, account_id: AccountId) -> list[int]:
    """Return segments of an account that should be merged now; none: it is in order."""
    return _choose(_list_segments(conn, account_id))


def load_mergeable(conn: Connection, account_ids: Sequence[AccountId]) -> list[Mergeable]:
    """Read the segments of some accounts that should be merged now, of each account that has any.

    As many statements for several accounts as for one.
    """
    query = (
        sa.select(text_segment.c.account_id, text_segment.c.id, text_segment.c.messages)
        .where(text_segment.c.account_id.in_(account_ids))
        .order_by(text_segment.c.id)
    )
    every: dict[AccountId, list[Segment]] = defaultdict(list)
    for row in conn.execute(query):
        every[row.account_id].append(Segment(row.id, row.messages))
    chosen = {account_id: set(_choose(segments)) for account_id, segments in every.items()}
    loaded = {
        one.segment_id: one for one in load_segments(conn, sorted(set().union(*chosen.values())))
    }
    found = []
    for account_id, ids in chosen.items():
        if ids:
            total = sum(one.messages for one in every[account_id] if one.segment_id in ids)
            rest = [one for one in every[account_id] if one.segment_id not in ids]
            old = [loaded[one] for one in sorted(ids) if one in loaded]
            found.append(Mergeable(account_id, old, bool(_choose([*rest, Segment(0, total)]))))
    return found


@value_class(frozen=True, slots=True)
class Mergeable:
    """Segments of an account that should be merged."""

    account_id: AccountId
    segments: Sequence[LoadedSegment]
    is_more: bool
    """Whether others should be merged after them."""


def _choose(segments: Iterable[Segment]) -> list[int]:
    by_size: dict[int, list[Segment]] = defaultdict(list)
    for one in segments:
        if one.messages < FULL:
            by_size[_rank(one.messages)].append(one)
    for _, some in sorted(by_size.items()):
        if len(some) < FAN:
            continue
        chosen, total = [], 0
        for one in some[:_AT_ONCE]:
            total += one.messages
            if total > 2 * FULL:
                break
            chosen.append(one.segment_id)
        return chosen
    return []


def find_stale(conn: Connection, account_id: AccountId) -> list[int]:
    """Return the segments of an account in which too many blobs are gone."""
    stale = []
    for one in _list_segments(conn, account_id):
        ids = _ids_of(conn, [one.segment_id]).get(one.segment_id, [])
        gone = len(ids) - len(_living(conn, ids))
        if gone * _WASTE > len(ids) or (gone and len(ids) < FAN * FAN):
            stale.append(one.segment_id)
    return stale


def load_segments(conn: Connection, segment_ids: Sequence[int]) -> list[LoadedSegment]:
    """Read segments with all their words; those that are gone are left out."""
    ids_of = _ids_of(conn, segment_ids)
    living = _living(conn, [blob_id for some in ids_of.values() for blob_id in some])
    query = (
        sa.select(text_block.c.segment_id, text_block.c.words, text_block.c.numbers)
        .where(text_block.c.segment_id.in_(ids_of))
        .order_by(text_block.c.id)
    )
    blocks: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    for segment_id, words, numbers in conn.execute(query):
        blocks[segment_id].append((words, numbers))
    return [
        LoadedSegment(one, ids, [blob_id in living for blob_id in ids], blocks[one])
        for one, ids in sorted(ids_of.items())
    ]


def merge_segments(loaded: Sequence[LoadedSegment]) -> Iterator[Block]:
    """Return the blocks of the segment that replaces these. Pure; some milliseconds for each."""
    return merge([OpenSegment(one.blocks, len(one.blob_ids) == 1, one.kept) for one in loaded])


@value_class(frozen=True, slots=True)
class Replacement:
    """What ``replace_segments`` takes."""

    account_id: AccountId
    old: Sequence[LoadedSegment]
    blocks: Sequence[Block]
    """Of the segment that takes their place."""


def replace_segments(tx: Connection, items: Sequence[Replacement]) -> list[bool]:
    """Put one segment in the place of some.

    Unit of work: idempotent; locks the segments.

    Returns:
        For each item whether it was done: not if one of the segments was gone.
    """
    wanted = sorted({one.segment_id for item in items for one in item.old})
    found: dict[int, AccountId] = {}
    for some in portions(wanted):
        there = sa.select(text_segment.c.id, text_segment.c.account_id)
        there = there.where(text_segment.c.id.in_(some)).order_by(text_segment.c.id)
        found.update((row.id, row.account_id) for row in tx.execute(there.with_for_update()))
    done, gone, new = [], set[int](), list[NewSegment]()
    for item in items:
        ids = {one.segment_id for one in item.old}
        done.append(not ids & gone and all(found.get(one) == item.account_id for one in ids))
        if not done[-1]:
            continue
        gone |= ids
        kept = [
            blob_id
            for one in item.old
            for blob_id, is_kept in zip(one.blob_ids, one.kept, strict=True)
            if is_kept
        ]
        if kept and item.blocks:
            new.append(NewSegment(item.account_id, kept, item.blocks))
    delete_segments(tx, sorted(gone))
    insert_segments(tx, new)
    return done


# ---- indexing anew ------------------------------------------------------------------------------


def last_segment(conn: Connection) -> int:
    """Return the largest id of a segment; 0: there is none."""
    return conn.scalar(sa.select(sa.func.max(text_segment.c.id))) or 0


@value_class(frozen=True, slots=True)
class OldSegments:
    """What ``forget_segments`` takes."""

    last: int
    """The largest id; all messages that they cover wait, or are in a later one as well."""
    most: int


def forget_segments(tx: Connection, items: Sequence[OldSegments]) -> list[int]:
    """Delete old segments; return how many there were.

    Unit of work: idempotent.
    """
    counts = []
    for item in items:
        old = sa.select(text_segment.c.id).where(text_segment.c.id <= item.last)
        ids = list(tx.scalars(old.order_by(text_segment.c.id).limit(item.most)))
        delete_segments(tx, ids)
        counts.append(len(ids))
    return counts


# ---- inside -------------------------------------------------------------------------------------


def _list_segments(conn: Connection, account_id: AccountId) -> list[Segment]:
    query = (
        sa.select(text_segment.c.id, text_segment.c.messages)
        .where(text_segment.c.account_id == account_id)
        .order_by(text_segment.c.id)
    )
    return [Segment(row.id, row.messages) for row in conn.execute(query)]


def _rank(messages: int) -> int:
    """Return the logarithm to the base FAN."""
    rank = 0
    while messages >= FAN:
        messages //= FAN
        rank += 1
    return rank


def _ids_of(conn: Connection, segment_ids: Sequence[int]) -> dict[int, list[BlobId]]:
    query = sa.select(text_segment.c.id, text_segment.c.blob_ids)
    rows = conn.execute(query.where(text_segment.c.id.in_(segment_ids)))
    return {row.id: unpack_ids(row.blob_ids) for row in rows}


def _living(conn: Connection, blob_ids: Iterable[BlobId]) -> set[BlobId]:
    found: set[BlobId] = set()
    for some in portions(blob_ids):
        found.update(conn.scalars(sa.select(blob.c.id).where(blob.c.id.in_(some))))
    return found
