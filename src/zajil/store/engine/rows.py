"""Statements over many rows at once, their text made from ``schema``.

Why not ``executemany``: the driver gives up the GIL at each row, and beside a busy event loop the
writer then waits for its turn at each row. Why not SQLAlchemy's own multi-row
``insert``: it builds and looks up one parameter object per value, which costs more than the insert.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_MAX_VALUES = 30_000
"""Parameters of one statement: SQLite takes 32,766, PostgreSQL 65,535."""
AT_ONCE = 1000
"""Rows named in one statement: well below the limit of parameters."""
_LONG = 50
"""Numbers of a range that is worth a statement of its own."""


def insert_rows(
    tx: Connection,
    columns: Sequence[sa.Column[Any]],
    rows: Sequence[Sequence[Any]],
    *,
    keep_old: bool = False,
) -> None:
    """Insert rows that give the values of ``columns``, in their order.

    Args:
        tx: an open transaction.
        columns: of one table; the others get NULL or their number.
        rows: as the driver takes them: no type of SQLAlchemy converts them.
        keep_old: leave a row whose key is there already as it is.
    """
    if not rows:
        return
    names = ", ".join(column.name for column in columns)
    step = _MAX_VALUES // len(columns)
    for start in range(0, len(rows), step):
        chunk = rows[start : start + step]
        marks, parameters = values(tx, chunk)
        # The names are those of ``schema``; every value is a parameter or a constant.
        text = f"INSERT INTO {columns[0].table.name} ({names}) {marks}"
        if keep_old:
            text += " ON CONFLICT DO NOTHING"
        execute_text(tx, text, parameters)


def execute_text(tx: Connection, text: str, parameters: Sequence[Any]) -> Sequence[Any]:
    """Run one statement by the driver itself; give its rows, if it has any.

    For the statements of every commit: SQLAlchemy's own way to the driver takes as long as the
    statement. What the driver raises comes out as SQLAlchemy's, which the writer judges.
    """
    try:
        if tx.dialect.name == "postgresql":
            return _execute_numbered(tx, text, parameters)
        cursor = tx.connection.cursor()
        try:
            cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []
        finally:
            cursor.close()
    except tx.dialect.loaded_dbapi.Error as error:
        raise _wrapped(tx, text, parameters, error) from error


def _execute_numbered(tx: Connection, text: str, parameters: Sequence[Any]) -> Sequence[Any]:
    """Run a statement by psycopg's cursor for numbered parameters.

    Its usual one looks for ``%s`` with a regular expression, which takes longer than the insert of
    many rows. The cursor is made once for each connection, because that takes long as well.
    """
    connection = tx.connection
    cursor: Any = connection.info.get(_CURSOR)
    if cursor is None:
        cursor = connection.info[_CURSOR] = _numbered_cursor(connection.driver_connection)
    statement = _numbered(text) if len(text) > _REMEMBERED else _numbered_once(text)
    cursor.execute(statement, parameters)
    rows: Sequence[Any] = cursor.fetchall() if cursor.description else []
    if len(rows) > _FEW:
        # It would keep them until the next statement.
        del connection.info[_CURSOR]
        cursor.close()
    return rows


def _numbered_cursor(connection: Any) -> Any:
    from psycopg import RawCursor
    from psycopg.types.numeric import Int8BinaryDumper

    cursor: Any = RawCursor(connection)
    # Or each number has the smallest type that holds it, and a statement that was prepared serves
    # only rows whose numbers are as large.
    cursor.adapters.register_dumper(int, Int8BinaryDumper)
    return cursor


def _numbered(text: str) -> bytes:
    """Return a statement with ``$1``, ``$2`` in the place of each ``%s``."""
    first, *rest = text.split("%s")
    return (first + "".join([f"${number}{part}" for number, part in enumerate(rest, 1)])).encode()


_numbered_once = functools.lru_cache(500)(_numbered)
_REMEMBERED = 8000
"""Characters of a statement that is kept with its numbers."""
_CURSOR = "zajil.cursor"
_FEW = 20
"""Rows of a result that a cursor may keep."""


def _wrapped(tx: Connection, text: str, parameters: Sequence[Any], error: Any) -> BaseException:
    base = tx.dialect.loaded_dbapi.Error
    is_gone = tx.dialect.is_disconnect(error, tx.connection.dbapi_connection, None)
    if is_gone:
        tx.invalidate(error)
    wrapped: BaseException = sa.exc.DBAPIError.instance(
        text, parameters, error, base, connection_invalidated=is_gone, dialect=tx.dialect
    )
    return wrapped


# As parameters these take SQLite's driver two microseconds each, twenty times what text takes: it
# asks for an adapter. A column that has one of them in all rows is written into the statement.
_CONSTANTS: dict[Any, str] = {None: "NULL", True: "TRUE", False: "FALSE"}


def mark_of(tx: Connection) -> str:
    """Return what stands for a parameter in the text of a statement."""
    return "?" if tx.dialect.paramstyle == "qmark" else "%s"


def marks_of(tx: Connection, parameters: Sequence[Any]) -> str:
    """Return the placeholders of these parameters for ``IN``: ``(?, ?, ?)``."""
    return f"({', '.join([mark_of(tx)] * len(parameters))})"


def number_array(numbers: Iterable[int]) -> str:
    """Return numbers as PostgreSQL reads ``bigint[]``: a parameter that is cast to that type."""
    return f"{{{','.join(map(str, numbers))}}}"


def each_among(
    tx: Connection, column: str, numbers: Sequence[int]
) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield conditions, and their parameters: a column has one of some numbers.

    Each number is in one of them. A long range costs no more parameters than a short one.

    Args:
        tx: an open transaction.
        column: its name.
        numbers: ascending, each once.
    """
    mark = mark_of(tx)
    for some in _stretches(numbers):
        if some[-1] - some[0] == len(some) - 1:
            yield f"{column} BETWEEN {mark} AND {mark}", (some[0], some[-1])
        else:
            yield f"{column} IN {marks_of(tx, some)}", some


def _stretches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Divide ascending numbers into long ranges and, between them, at most ``AT_ONCE`` others."""
    if not numbers:
        return
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        yield numbers
        return
    start = 0
    breaks = [place for place, (one, next_) in enumerate(pairwise(numbers), 1) if next_ - one > 1]
    begin = 0
    for end in (*breaks, len(numbers)):
        if end - begin >= _LONG:
            yield from _cut(numbers, start, begin)
            yield numbers[begin:end]
            start = end
        begin = end
    yield from _cut(numbers, start, len(numbers))


def _cut(numbers: Sequence[int], start: int, end: int) -> Iterator[Sequence[int]]:
    for begin in range(start, end, AT_ONCE):
        yield numbers[begin : min(begin + AT_ONCE, end)]


def replaced(tx: Connection, column: str, new: Mapping[Any, Any]) -> tuple[str, Sequence[Any]]:
    """Return an expression for what becomes of the values of a column, and its parameters.

    Args:
        tx: an open transaction.
        column: its name; it is the whole expression if all values stay.
        new: what becomes of each value that rows have.
    """
    mark, different = mark_of(tx), set(new.values())
    if all([before == after for before, after in new.items()]):
        return column, ()
    if len(different) == 1:
        return mark, tuple(different)
    cases = f" WHEN {mark} THEN {mark}" * len(new)
    return f"CASE {column}{cases} ELSE {column} END", tuple(chain(*new.items()))


def values(tx: Connection, rows: Sequence[Sequence[Any]]) -> tuple[str, tuple[Any, ...]]:
    """Return ``VALUES (?, ?), ...`` and its parameters; both databases name it column1, column2."""
    mark = mark_of(tx)
    marks: list[str] = []
    constant: set[int] = set()
    for index, first in enumerate(rows[0]):
        if (first is None or first is True or first is False) and all(
            [row[index] is first for row in rows]
        ):
            constant.add(index)
            marks.append(_CONSTANTS[first])
        else:
            marks.append(mark)
    text = "VALUES " + ", ".join([f"({', '.join(marks)})"] * len(rows))
    if not constant:
        return text, tuple([value for row in rows for value in row])
    kept = [index for index in range(len(marks)) if index not in constant]
    return text, tuple([row[index] for row in rows for index in kept])


def portions(ids: Iterable[Any]) -> Iterator[Sequence[Any]]:
    """Yield the ids in portions of ``AT_ONCE``."""
    every = list(ids)
    for start in range(0, len(every), AT_ONCE):
        yield every[start : start + AT_ONCE]
