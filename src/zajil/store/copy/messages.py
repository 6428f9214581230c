"""The bytes of messages that are in the database: nearly all of a store, copied while it is used.

A message never changes, so what was copied early is as good as what is copied last; rows that came
or went meanwhile are found by comparing all ids in the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.copy.rows import AT_ONCE, NotTheSame, Row, TableCopy
from zajil.store.engine.dialect import Progress
from zajil.store.schema import blob

_PORTION_BYTES = 8 << 20
_PORTION_ROWS = 1000

_ID = blob.c.keys().index("id")
_CONTENT = blob.c.keys().index("content")
_OTHERS = [name for name in blob.c.keys() if name != "content"]  # noqa: SIM118


class MessageCopy:
    """Copies the table of messages, portion by portion."""

    def __init__(self, sources: sa.Engine, targets: sa.Engine, progress: Progress) -> None:
        self._sources, self._targets = sources, targets
        self._progress = progress

    def copy_early(self) -> int:
        """Copy what the target has not, each portion in a transaction of its own.

        Returns:
            How many messages.
        """
        count = done = 0
        with self._targets.begin() as target:
            last = str(target.scalar(sa.select(sa.func.max(blob.c.id))) or "")
        with self._sources.connect() as source:
            size = sa.func.coalesce(sa.func.sum(sa.func.length(blob.c.content)), 0)
            total = int(source.scalar(sa.select(size).where(blob.c.id > last)) or 0)
        while True:
            with self._sources.connect() as source, self._targets.begin() as target:
                ids, size_of_all = _next_portion(source, last)
                if not ids:
                    return count
                copy_portion(source, target, ids)
            last = ids[-1]
            count += len(ids)
            done += size_of_all
            self._progress(min(done, total), max(total, 1))


def copy_portion(source: Connection, target: Connection, ids: Sequence[str]) -> None:
    """Copy messages by their ids, and compare the bytes.

    Raises:
        NotTheSame: they have other bytes in PostgreSQL.
    """
    table = TableCopy(blob, target)
    marks = ", ".join("?" * len(ids))
    digests: dict[str, bytes] = {}

    def rows() -> Iterator[Row]:
        for row in table.read(source, f"WHERE id IN ({marks}) ORDER BY id", ids):
            if row[_CONTENT] is not None:
                digests[row[_ID]] = hashlib.sha256(row[_CONTENT]).digest()
            yield row

    table.write(rows())
    query = sa.text("SELECT id, sha256(content) FROM blob WHERE id = ANY(:ids)")
    found = target.execute(query, {"ids": list(ids)})
    written = {row[0]: bytes(row[1]) for row in found if row[1] is not None}
    if written != digests:
        raise NotTheSame("PostgreSQL returned other bytes of a message than it was given")


def catch_up(source: Connection, target: Connection, progress: Progress) -> int:
    """Bring the table of messages up to date; return how many messages it has.

    Args:
        source: a snapshot that stays the last one.
        target: a transaction.
        progress: told of the messages that are copied.
    """
    count, missing, surplus = _compare(source, target)
    for start in range(0, len(surplus), _PORTION_ROWS):
        some = surplus[start : start + _PORTION_ROWS]
        target.execute(sa.text("DELETE FROM blob WHERE id = ANY(:ids)"), {"ids": some})
    for start in range(0, len(missing), 50):
        some = missing[start : start + 50]
        copy_portion(source, target, some)
        progress(start + len(some), len(missing))
    return count


def _next_portion(source: Connection, last: str) -> tuple[list[str], int]:
    query = (
        sa.select(blob.c.id, sa.func.coalesce(sa.func.length(blob.c.content), 0))
        .where(blob.c.id > last)
        .order_by(blob.c.id)
        .limit(_PORTION_ROWS)
    )
    ids: list[str] = []
    total = 0
    for blob_id, size in source.execute(query):
        if ids and total + size > _PORTION_BYTES:
            break
        ids.append(blob_id)
        total += size
    return ids, total


def _compare(source: Connection, target: Connection) -> tuple[int, list[str], list[str]]:
    """Return the number of messages, ids that are to be copied, and those to be deleted before."""
    listed = ", ".join(f'"{name}"' for name in _OTHERS)
    # Both in the order of the bytes. All names are those of the schema.
    query = f"SELECT {listed} FROM blob ORDER BY id"  # noqa: S608
    raw: Any = target.connection.driver_connection
    mine: Any = source.connection.cursor()
    count = 0
    missing: list[str] = []
    surplus: list[str] = []
    with raw.cursor(name="zajil_messages", binary=True) as theirs:
        theirs.itersize = AT_ONCE
        theirs.execute(query)
        mine.execute(query)
        there = next(theirs, None)
        for row in mine:
            count += 1
            while there is not None and there[0] < row[0]:
                surplus.append(there[0])
                there = next(theirs, None)
            if there is None or there[0] != row[0]:
                missing.append(row[0])
                continue
            if tuple(row) != tuple(there):
                missing.append(row[0])
                surplus.append(row[0])
            there = next(theirs, None)
        while there is not None:
            surplus.append(there[0])
            there = next(theirs, None)
    mine.close()
    return count, missing, surplus
