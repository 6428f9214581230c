"""Rows of a backup on their way into the same table of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.engine.rows import insert_rows
from zajil.store.restore.source import AccountSource

_PORTION = 1000


def rows_of(
    source: AccountSource, table: sa.Table, condition: sa.ColumnElement[bool]
) -> list[dict[str, Any]]:
    """Return rows of a table of the backup."""
    found = source.conn.execute(sa.select(table).where(condition))
    return [dict(row._mapping) for row in found]


def insert_kept(tx: Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> int:
    """Insert rows whose keys are free; return how many were given.

    A row whose key is there already stays as it is in the store.
    """
    for start in range(0, len(rows), _PORTION):
        some = rows[start : start + _PORTION]
        columns = [table.c[name] for name in some[0]]
        insert_rows(tx, columns, [tuple(row.values()) for row in some], keep_old=True)
    return len(rows)
