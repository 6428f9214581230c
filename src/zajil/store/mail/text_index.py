"""The index of the words of messages: written after the commit that accepts.

Each account has its own index, so that a search takes no longer because others have much mail. It
is made of *segments*: each covers some blobs and has their words, in blocks
(``message.word_blocks``). A new message is a segment of its own; ``text_merge`` makes larger ones,
and ``text_lookup`` is what SEARCH uses.

Laws:
- ``message.indexed`` says what holds of a message: its words are in the index of the account that
  has it (INDEXED), not yet (WAITING), or not all of them (READ_ALWAYS). It is written in the commit
  that writes the words, so what is not in the index is always known.
- A segment never changes. One that covers blobs that are gone says nothing wrong: whoever looks up
  gets ids of blobs, and looks for their messages.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId
from zajil.core.value_class import value_class
from zajil.message.index_words import IndexWords, prefix_words
from zajil.message.word_blocks import (
    Block,
)
from zajil.store.engine.rows import execute_text, insert_rows, portions, values
from zajil.store.mail.append import lock_mailboxes
from zajil.store.schema import mailbox, message, text_block, text_segment


class Indexed(IntEnum):
    """What is known of the words of a message: column ``message.indexed``."""

    WAITING = 0
    INDEXED = 1
    READ_ALWAYS = 2
    """It cannot be read, or has more text than is indexed."""


# Literals: partial indexes serve no parameter.
def is_unindexed() -> sa.ColumnElement[bool]:
    """Return the condition for messages that SEARCH reads, whatever it looks for."""
    indexed: sa.ColumnElement[int] = sa.literal_column(str(int(Indexed.INDEXED)))
    return message.c.indexed != indexed


def is_waiting() -> sa.ColumnElement[bool]:
    """Return the condition for messages that wait for the indexer."""
    return message.c.indexed == sa.literal_column(str(int(Indexed.WAITING)))


def write_words(tx: Connection, new: Mapping[BlobId, IndexWords]) -> dict[tuple[int, int], Indexed]:
    """Write the words of blobs into the index of each account that has a message of them.

    Only of messages that wait. A part of a unit of work: idempotent; locks the mailboxes.

    Returns:
        What is known now of each message, by mailbox and UID; the caller writes it into its row.
    """
    waiting: list[Any] = []
    for some in portions(list(new)):
        waiting += tx.execute(_WAITING, {"ids_": some}).all()
    if not waiting:
        return {}
    lock_mailboxes(tx, sorted({MailboxId(row.mailbox_id) for row in waiting}))
    prefixes: dict[tuple[AccountId, BlobId], set[str]] = defaultdict(set)
    for row in waiting:
        prefixes[row.account_id, row.blob_id].add(row.prefix)
    segments: list[NewSegment] = []
    for (account_id, blob_id), some_prefixes in prefixes.items():
        own = new[blob_id].block
        blocks = [own, *[prefix_words(prefix) for prefix in some_prefixes]]
        there = [block for block in blocks if block is not None]
        if account_id and there:  # 0: the mailbox is missing
            segments.append(NewSegment(account_id, (blob_id,), there))
    insert_segments(tx, segments)
    return {
        (row.mailbox_id, row.uid): (
            Indexed.INDEXED if new[row.blob_id].is_whole else Indexed.READ_ALWAYS
        )
        for row in waiting
    }


def let_wait(tx: Connection, blob_ids: Sequence[BlobId]) -> None:
    """Let messages wait for the indexer again; until it was there, SEARCH reads them.

    A part of a unit of work: idempotent; locks the mailboxes.
    """
    for some in portions(blob_ids):
        here = message.c.blob_id.in_(some)
        lock_mailboxes(tx, sorted(set(tx.scalars(sa.select(message.c.mailbox_id).where(here)))))
        tx.execute(sa.update(message).where(here).values(indexed=int(Indexed.WAITING)))


@value_class(frozen=True, slots=True)
class NewSegment:
    """A segment that is to be inserted."""

    account_id: AccountId
    blob_ids: Sequence[BlobId]
    blocks: Sequence[Block]


def insert_segments(tx: Connection, segments: Sequence[NewSegment]) -> None:
    """Insert segments with their blocks, by one statement for each of the two tables."""
    rows: list[tuple[Any, ...]] = []
    for some in portions(segments):
        # SQLite's driver takes a bytearray as it is, and looks for an adapter of ``bytes``.
        marks, parameters = values(
            tx,
            [
                (one.account_id, len(one.blob_ids), bytearray(_pack_ids(one.blob_ids)))
                for one in some
            ],
        )
        found = execute_text(
            tx,
            f"INSERT INTO text_segment (account_id, messages, blob_ids) {marks} RETURNING id",
            parameters,
        )
        # Ids are given in the order of the rows, in which RETURNING need not give them.
        for segment, segment_id in zip(some, sorted([number for (number,) in found]), strict=True):
            rows += [
                (
                    segment_id,
                    bytearray(block.first),
                    bytearray(block.last),
                    bytearray(block.words),
                    bytearray(block.numbers),
                )
                for block in segment.blocks
            ]
    insert_rows(tx, _BLOCK_COLUMNS, rows)


def delete_index_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Delete the indexes of accounts that are removed."""
    segments = sa.select(text_segment.c.id).where(text_segment.c.account_id.in_(account_ids))
    delete_segments(tx, list(tx.scalars(segments)))


def delete_segments(tx: Connection, segment_ids: Sequence[int]) -> None:
    """Delete segments with their blocks."""
    for some in portions(segment_ids):
        tx.execute(sa.delete(text_block).where(text_block.c.segment_id.in_(some)))
        tx.execute(sa.delete(text_segment).where(text_segment.c.id.in_(some)))


def unpack_ids(packed: bytes) -> list[BlobId]:
    """Return the blobs of a segment, in the order of their numbers."""
    return [BlobId(one) for one in zlib.decompress(packed).decode("ascii").split("\n")]


def _pack_ids(blob_ids: Sequence[BlobId]) -> bytes:
    return zlib.compress("\n".join(blob_ids).encode("ascii"))


_BLOCK_COLUMNS = (
    text_block.c.segment_id,
    text_block.c.first_word,
    text_block.c.last_word,
    text_block.c.words,
    text_block.c.numbers,
)
_WAITING = (
    sa.select(
        message.c.mailbox_id,
        message.c.uid,
        message.c.blob_id,
        message.c.prefix,
        sa.func.coalesce(mailbox.c.account_id, 0).label("account_id"),
    )
    .select_from(message.outerjoin(mailbox, mailbox.c.id == message.c.mailbox_id))
    .where(
        message.c.blob_id.in_(sa.bindparam("ids_", expanding=True)),
        is_waiting(),
    )
)
