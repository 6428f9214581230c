"""Rows of a table, from SQLite to PostgreSQL, and compared there.

Laws:
- A row has the same values in both, as Python sees them; in text, PostgreSQL cannot hold U+0000,
  which becomes U+FFFD.
- What was written is read again: the sums of the hashes of all rows must be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.backup.rows import kind_of
from zajil.store.engine.errors import StoreUnavailable

AT_ONCE = 2000
"""Rows that are read at once."""
_MASK = (1 << 64) - 1

Row = tuple[Any, ...]


class NotTheSame(StoreUnavailable):
    """What was written is not what was read: the copy is not used."""


@value_class(frozen=True, slots=True)
class TableSum:
    """What some rows are, in any order."""

    rows: int
    hashes: int
    """Sum of the hashes of the rows; in this process alone."""


class TableCopy:
    """Copies rows of one table."""

    def __init__(self, table: sa.Table, target: Connection) -> None:
        """Find out how the columns are written.

        Args:
            table: of the schema.
            target: a transaction of PostgreSQL.
        """
        self.table = table
        self._target = target
        self.names = [column.name for column in table.columns]
        self._listed = ", ".join(f'"{name}"' for name in self.names)
        oids = {row.attname: row.atttypid for row in target.execute(_TYPES, {"table": table.name})}
        self._types = [int(oids[name]) for name in self.names]
        self.replaced = 0
        """Texts in which U+0000 became U+FFFD."""
        convert: dict[str, Callable[[Any], Any]] = {
            "boolean": bool,
            "bytes": bytes,
            "real": float,
            "text": self._clean,
        }
        kinds = [kind_of(column) for column in table.columns]
        self._special = [(at, convert[kind]) for at, kind in enumerate(kinds) if kind in convert]

    def read(self, source: Connection, end: str = "", values: Sequence[Any] = ()) -> Iterator[Row]:
        """Yield rows of SQLite, as PostgreSQL takes them.

        Args:
            source: a snapshot.
            end: of the statement: ``WHERE`` and ``ORDER BY``.
            values: its parameters.
        """
        cursor = source.connection.cursor()
        try:
            # All names are those of the schema.
            cursor.execute(f'SELECT {self._listed} FROM "{self.table.name}" {end}', values)  # noqa: S608
            while rows := cursor.fetchmany(AT_ONCE):
                for row in rows:
                    yield self._convert(row)
        finally:
            cursor.close()

    def write(self, rows: Iterator[Row]) -> TableSum:
        """Write rows; return what they are."""
        count = hashes = 0
        statement = f'COPY "{self.table.name}" ({self._listed}) FROM STDIN (FORMAT BINARY)'
        cursor: Any = self._target.connection.cursor()
        try:
            with cursor.copy(statement) as copy:
                copy.set_types(self._types)
                for row in rows:
                    copy.write_row(row)
                    count += 1
                    hashes = (hashes + hash(row)) & _MASK
        except self._target.dialect.loaded_dbapi.Error as error:
            self._fail(statement, error)
        finally:
            cursor.close()
        return TableSum(count, hashes)

    def read_back(self) -> TableSum:
        """Return what the rows in PostgreSQL are."""
        count = hashes = 0
        raw: Any = self._target.connection.driver_connection
        with raw.cursor(name="zajil_copy", binary=True) as cursor:
            cursor.itersize = AT_ONCE
            cursor.execute(f'SELECT {self._listed} FROM "{self.table.name}"')  # noqa: S608
            for row in cursor:
                count += 1
                hashes = (hashes + hash(row)) & _MASK
        return TableSum(count, hashes)

    def _convert(self, row: Sequence[Any]) -> Row:
        values = list(row)
        for at, convert in self._special:
            if values[at] is not None:
                values[at] = convert(values[at])
        return tuple(values)

    def _clean(self, value: Any) -> str:
        text = value if isinstance(value, str) else str(value)
        if "\0" in text:
            self.replaced += 1
            return text.replace("\0", "\ufffd")
        return text

    def _fail(self, statement: str, error: Exception) -> None:
        base = self._target.dialect.loaded_dbapi.Error
        raise sa.exc.DBAPIError.instance(
            statement, None, error, base, dialect=self._target.dialect
        ) from error


_TYPES = sa.text(
    "SELECT attname, atttypid FROM pg_attribute"
    " WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped"
)
