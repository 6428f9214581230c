"""What was made of the headers of many messages, in the store: for the time after a restart.

A block has what ``value_cache`` or ``header_columns`` keeps of one kind for the messages of a range
of UIDs. It is made when a client asks, and saves reading the rows of these messages again.

Laws:
- A block is derived data: without it the same is made anew.
- It has all messages of its range, and no message comes into a range later: so it never changes.
- It goes in the commit in which one of its messages leaves the mailbox, so that nothing of a
  message stays here after the message.
- A block whose bytes are not those that were written is not used, and is made anew.
- A mailbox has at most ``MOST_KINDS`` kinds; the one that was written first makes room.
"""

from __future__ import annotations

import zlib
from array import array
from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import MailboxId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import require_space
from zajil.store.engine.rows import execute_text, mark_of, marks_of, portions, values
from zajil.store.mail import summaries
from zajil.store.mail.append import lock_mailboxes
from zajil.store.mail.value_cache import BLOCK_BITS, FEWEST, last_uid_of, numbers_of, uids_within
from zajil.store.schema import kept_block, mailbox

VERSION = 3
"""Of what blocks hold; those of another version, or of another one of summaries, are not used and
make room as the first."""
MOST_KINDS = 12
MAX_KIND = 500
"""Bytes of the name of a kind; of one with a longer name nothing is kept."""


@value_class(frozen=True, slots=True)
class KeptBlock:
    """What ``keep_blocks`` takes."""

    mailbox_id: MailboxId
    kind: bytes
    number: int
    """UIDs without their lowest ``BLOCK_BITS``."""
    uids: array[int]
    """All that the mailbox has in this range, ascending."""
    data: bytes


def is_complete(uids: array[int], number: int, of_mailbox: array[int]) -> bool:
    """Return whether a block with these UIDs has its whole range, and enough of them to be kept.

    Args:
        uids: of the block, ascending.
        number: of the block.
        of_mailbox: UIDs of all messages, ascending.
    """
    if len(uids) < FEWEST or of_mailbox[-1] >> BLOCK_BITS <= number:
        return False  # or messages may still come into the range
    return uids == uids_within(of_mailbox, number)


def find_blocks(
    conn: Connection, mailbox_id: MailboxId, kind: bytes, numbers: Sequence[int]
) -> dict[int, bytes]:
    """Return those of the blocks that are kept, by their numbers.

    Args:
        conn: a snapshot.
        mailbox_id: of a mailbox that the caller found under its account.
        kind: what the blocks hold.
        numbers: at most ``rows.AT_ONCE``.
    """
    mark = mark_of(conn)
    query = (
        f"SELECT number, data FROM kept_block WHERE mailbox_id = {mark}"  # noqa: S608
        f" AND number IN {marks_of(conn, numbers)} AND kind = {mark}"
    )
    rows = execute_text(conn, query, (mailbox_id, *numbers, _full(kind)))
    found = ((number, bytes(data)) for number, data in rows)
    return {number: data[_SUM:] for number, data in found if _sum(data[_SUM:]) == data[:_SUM]}


# ---- units of work ------------------------------------------------------------------------------


def keep_blocks(tx: Connection, items: Sequence[Sequence[KeptBlock]]) -> list[None]:
    """Write blocks that have all messages of their ranges now; the others are passed over.

    Unit of work: idempotent; locks the mailboxes; touches nothing, because no MODSEQ changes.

    Raises:
        StoreFull: less space is free than the reserve.
    """
    require_space(tx)
    by_mailbox: dict[MailboxId, list[KeptBlock]] = defaultdict(list)
    for item in items:
        for block in item:
            if len(block.kind) <= MAX_KIND:
                by_mailbox[block.mailbox_id].append(block)
    lock_mailboxes(tx, sorted(by_mailbox))
    for mailbox_id, blocks in by_mailbox.items():
        uid_next = tx.scalar(sa.select(mailbox.c.uid_next).where(mailbox.c.id == mailbox_id)) or 0
        whole = [one for one in blocks if _is_whole(tx, one, uid_next)]
        if whole:
            _make_room(tx, mailbox_id, {_full(one.kind) for one in whole})
            _write(tx, whole)
    return [None] * len(items)


def forget_blocks(tx: Connection, mailbox_id: MailboxId, uids: Sequence[int]) -> None:
    """Delete the blocks of messages that leave a mailbox; a part of the caller's unit.

    Args:
        tx: its transaction.
        mailbox_id: the mailbox, locked.
        uids: ascending.
    """
    mark = mark_of(tx)
    for some in portions(numbers_of(uids)):
        execute_text(
            tx,
            f"DELETE FROM kept_block WHERE mailbox_id = {mark}"  # noqa: S608
            f" AND number IN {marks_of(tx, some)}",
            (mailbox_id, *some),
        )


def forget_blocks_of(tx: Connection, mailbox_ids: Sequence[MailboxId]) -> None:
    """Delete the blocks of mailboxes that are removed or emptied; a part of the caller's unit."""
    tx.execute(sa.delete(kept_block).where(kept_block.c.mailbox_id.in_(mailbox_ids)))


# ---- inside -------------------------------------------------------------------------------------

_SUM = 4
"""Bytes of the checksum in front of what is stored."""


def _sum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_SUM, "little")


def _full(kind: bytes) -> bytes:
    return b"%d.%d %b" % (VERSION, summaries.VERSION, kind)


def _is_whole(tx: Connection, block: KeptBlock, uid_next: int) -> bool:
    """Return whether a block has all messages that its range has, or will ever have."""
    if uid_next >> BLOCK_BITS <= block.number:
        return False
    mark = mark_of(tx)
    rows = execute_text(
        tx,
        f"SELECT uid FROM message WHERE mailbox_id = {mark} AND uid BETWEEN {mark} AND {mark}"  # noqa: S608
        " ORDER BY uid",
        (block.mailbox_id, block.number << BLOCK_BITS, last_uid_of(block.number)),
    )
    return block.uids == array("I", [uid for (uid,) in rows])


def _make_room(tx: Connection, mailbox_id: MailboxId, kinds: set[bytes]) -> None:
    """Delete the kinds that were written first, where there would be too many."""
    first = sa.func.min(kept_block.c.id)
    here = kept_block.c.mailbox_id == mailbox_id
    query = sa.select(kept_block.c.kind).where(here).group_by(kept_block.c.kind).order_by(first)
    others = [bytes(kind) for kind in tx.scalars(query) if bytes(kind) not in kinds]
    gone = others[: max(0, len(others) + len(kinds) - MOST_KINDS)]
    if gone:
        tx.execute(sa.delete(kept_block).where(here, kept_block.c.kind.in_(gone)))


def _write(tx: Connection, blocks: Sequence[KeptBlock]) -> None:
    unique = {(one.kind, one.number): one for one in blocks}.values()
    rows = [
        (
            one.mailbox_id,
            bytearray(_full(one.kind)),
            one.number,
            bytearray(_sum(one.data) + one.data),
        )
        for one in unique
    ]
    marks, parameters = values(tx, rows)
    execute_text(
        tx,
        f"INSERT INTO kept_block (mailbox_id, kind, number, data) {marks}"
        " ON CONFLICT (mailbox_id, number, kind) DO UPDATE SET data = excluded.data",
        parameters,
    )
