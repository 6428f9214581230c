"""Ids of accounts, mailboxes and what else keeps its id when an account goes to another shard.

Each shard gives ids of a range of its own, so that no two shards give the same one.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.engine.errors import StoreUnavailable
from zajil.store.schema import account, app_password, counter, deleted_message, mailbox

RANGE = 10**12
"""Ids of one shard. Browsers count exactly to 9 * 10**15: that is for 9000 shards."""

_NUMBER = "shard number"
"""Its row in table ``counter``."""
_NUMBERED = (account, mailbox, deleted_message, app_password)


class WrongShard(StoreUnavailable):
    """The database belongs to another shard than the configuration says."""


def read_number(conn: Connection) -> int:
    """Return the number of the shard that a store is; 0: the main one, or it has no number."""
    found = conn.scalar(sa.select(counter.c.value).where(counter.c.name == _NUMBER))
    return int(found or 0)


def write_number(tx: Connection, numbers: Sequence[int]) -> list[None]:
    """Make an empty store a shard.

    Unit of work: idempotent; locks nothing.

    Raises:
        WrongShard: it is another one, or has accounts.
    """
    for number in numbers:
        there = read_number(tx)
        if there == number:
            continue
        if there or tx.scalar(sa.select(sa.func.count()).select_from(account)):
            raise WrongShard("the database belongs to another shard, or has accounts already")
        tx.execute(sa.insert(counter).values(name=_NUMBER, value=number))
    return [None] * len(numbers)


def keep_to_range(tx: Connection, numbers: Sequence[int]) -> list[None]:
    """Have the database give the next ids from the range of the shard with this number.

    An account that came from another shard, or a restored backup, may have let it count elsewhere.

    Unit of work: idempotent. Where the ids must change their range, nobody else may take any
    meanwhile.

    Raises:
        WrongShard: the store has another number.
    """
    for number in numbers:
        there = read_number(tx)
        if there != number:
            raise WrongShard(f"the database belongs to shard number {there}, not {number}")
        for table in _NUMBERED:
            first, end = number * RANGE, (number + 1) * RANGE
            mine = (table.c.id >= first, table.c.id < end)
            highest = int(tx.scalar(sa.select(sa.func.max(table.c.id)).where(*mine)) or first)
            _count_from(tx, table.name, highest, first, end)
    return [None] * len(numbers)


def _count_from(tx: Connection, table: str, highest: int, first: int, end: int) -> None:
    """Have the next id be above ``highest``, and above what was given in this range before."""
    if tx.dialect.name == "postgresql":
        last = int(tx.scalar(sa.text(f"SELECT last_value FROM {table}_id_seq")) or 0)  # noqa: S608
        if max(highest, first) <= last < end:
            return  # other nodes may take ids at this moment
        value = max(highest, last if first <= last < end else first, 1)
        tx.execute(
            sa.text("SELECT setval(CAST(:name AS regclass), :value)"),
            {"name": f"{table}_id_seq", "value": value},
        )
        return
    last = int(
        tx.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table})
        or 0
    )
    value = max(highest, last if first <= last < end else first)
    tx.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table})
    tx.execute(
        sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :value)"),
        {"name": table, "value": value},
    )
