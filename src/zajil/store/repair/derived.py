"""What is made of messages, compared with what is made of them now: summaries and words.

A fault here loses nothing: the messages wait for the indexer again.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId
from zajil.message.word_blocks import open_words
from zajil.store.engine.rows import portions
from zajil.store.mail.summaries import NewSummary, differing_summaries
from zajil.store.mail.text_index import Indexed, delete_segments, let_wait, unpack_ids
from zajil.store.schema import mailbox, message, summary, text_block, text_segment

Covered = Mapping[AccountId, set[int]]
"""Short hashes of the blobs whose words are in the index of each account."""


def find_indexed(conn: Connection, blob_ids: Sequence[BlobId]) -> list[BlobId]:
    """Return those of the blobs whose messages do not wait for the indexer."""
    found: list[BlobId] = []
    for some in portions(blob_ids):
        query = sa.select(message.c.blob_id).where(
            message.c.blob_id.in_(some), message.c.indexed != int(Indexed.WAITING)
        )
        found += map(BlobId, conn.scalars(query.distinct().order_by(message.c.blob_id)))
    return found


def find_wrong_summaries(conn: Connection, new: Sequence[NewSummary]) -> list[BlobId]:
    """Return the blobs whose messages were indexed, and whose summary is missing or different.

    One that could not be read, or that another version of the program wrote, is right.
    """
    ids = [one.blob_id for one in new]
    there: set[str] = set()
    for some in portions(ids):
        there.update(conn.scalars(sa.select(summary.c.blob_id).where(summary.c.blob_id.in_(some))))
    wrong = {blob_id for blob_id in ids if blob_id not in there}
    wrong.update(differing_summaries(conn, new))
    return [one for one in find_indexed(conn, sorted(wrong)) if one in wrong]


def load_covered(conn: Connection) -> Covered:
    """Return which blobs the index of each account covers; segments that are broken cover none."""
    covered: dict[AccountId, set[int]] = defaultdict(set)
    query = sa.select(text_segment.c.account_id, text_segment.c.blob_ids)
    for account_id, packed in conn.execute(query):
        try:
            covered[AccountId(account_id)].update(map(_hash, unpack_ids(bytes(packed))))
        except (zlib.error, UnicodeDecodeError):
            continue
    return covered


def _hash(blob_id: str) -> int:
    return int.from_bytes(blake2b(blob_id.encode("ascii"), digest_size=8).digest())


def find_missing_words(
    conn: Connection, new: Sequence[NewSummary], covered: Covered
) -> list[BlobId]:
    """Return the blobs that count as indexed, and that the index of an owner does not cover."""
    with_words = [one.blob_id for one in new if one.words.block is not None]
    found: set[BlobId] = set()
    for some in portions(with_words):
        query = (
            sa.select(mailbox.c.account_id, message.c.blob_id)
            .join(mailbox, mailbox.c.id == message.c.mailbox_id)
            .where(message.c.blob_id.in_(some), message.c.indexed == int(Indexed.INDEXED))
        )
        for account_id, blob_id in conn.execute(query.distinct()):
            if _hash(blob_id) not in covered.get(AccountId(account_id), ()):
                found.add(BlobId(blob_id))
    return sorted(found)


def find_broken_segments(conn: Connection, after: int, limit: int) -> tuple[list[int], int | None]:
    """Read some segments of the index; return those that cannot be read, and the last id.

    ``None``: there are no more.
    """
    query = sa.select(text_segment).where(text_segment.c.id > after)
    rows = conn.execute(query.order_by(text_segment.c.id).limit(limit)).all()
    broken = []
    for row in rows:
        blocks = sa.select(text_block.c.words).where(text_block.c.segment_id == row.id)
        try:
            is_right = len(unpack_ids(bytes(row.blob_ids))) == row.messages
            for words in conn.scalars(blocks):
                open_words(bytes(words))
        except (zlib.error, UnicodeDecodeError, ValueError):
            is_right = False
        if not is_right:
            broken.append(row.id)
    return broken, rows[-1].id if rows else None


def reindex_accounts_of(tx: Connection, items: Sequence[Sequence[int]]) -> list[None]:
    """Delete the index of each account with a broken segment, and let its messages wait.

    Unit of work: idempotent; locks mailboxes.
    """
    for item in items:
        owners = sa.select(text_segment.c.account_id).where(text_segment.c.id.in_(item))
        for account_id in set(tx.scalars(owners)):
            own = sa.select(text_segment.c.id).where(text_segment.c.account_id == account_id)
            boxes = sa.select(mailbox.c.id).where(mailbox.c.account_id == account_id)
            ids = sa.select(message.c.blob_id).where(message.c.mailbox_id.in_(boxes)).distinct()
            let_wait(tx, [BlobId(one) for one in tx.scalars(ids)])
            delete_segments(tx, list(tx.scalars(own)))
    return [None] * len(items)
