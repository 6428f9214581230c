"""Statements over many rows at once, their text made from ``schema``.

Why not ``executemany``: the driver gives up the GIL at each row, and beside a busy event loop the
writer then waits for its turn at each row (style C12 example 5). Why not SQLAlchemy's own multi-row
``insert``: it builds and looks up one parameter object per value, which costs more than the insert.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_MAX_VALUES = 30_000
"""Parameters of one statement: SQLite takes 32,766, PostgreSQL 65,535."""


def insert_rows(
    tx: Connection, columns: Sequence[sa.Column[Any]], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows that give the values of ``columns``, in their order.

    Args:
        tx: an open transaction.
        columns: of one table; the others get NULL or their number.
        rows: as the driver takes them: no type of SQLAlchemy converts them.
    """
    if not rows:
        return
    names = ", ".join(column.name for column in columns)
    step = _MAX_VALUES // len(columns)
    for start in range(0, len(rows), step):
        chunk = rows[start : start + step]
        # The names are those of ``schema``; every value is a parameter.
        text = f"INSERT INTO {columns[0].table.name} ({names}) VALUES "  # noqa: S608
        tx.exec_driver_sql(text + _marks(tx, len(columns), len(chunk)), _flat(chunk))


def values(tx: Connection, rows: Sequence[Sequence[int | str]]) -> tuple[str, tuple[Any, ...]]:
    """Give ``VALUES (?, ?), ...`` and its parameters; both databases name it column1, column2."""
    return f"VALUES {_marks(tx, len(rows[0]), len(rows))}", _flat(rows)


def _marks(tx: Connection, width: int, count: int) -> str:
    mark = "?" if tx.dialect.paramstyle == "qmark" else "%s"
    row = f"({', '.join([mark] * width)})"
    return ", ".join([row] * count)


def _flat(rows: Iterable[Sequence[Any]]) -> tuple[Any, ...]:
    return tuple([value for row in rows for value in row])
