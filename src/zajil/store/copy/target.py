"""A schema of PostgreSQL that is being filled: it is no store before everything is there.

Its table of the schema version has another name until then, so nothing takes it for a store, and a
copy that was interrupted finds what it has.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.engine.errors import StoreExists
from zajil.store.engine.migrate import (
    UNFINISHED_TABLE,
    VERSION_TABLE,
    known_schemas,
    run_migrations,
)
from zajil.store.engine.postgres import Postgres, first_of_search_path
from zajil.store.schema import metadata


def prepare_target(database: Postgres, source: str) -> bool:
    """Make the tables, all of them empty, or find those of a copy that was interrupted.

    Args:
        database: to be filled.
        source: the store that is copied, by a name that no other has.

    Returns:
        Whether there is something of an earlier copy.

    Raises:
        StoreExists: there are other tables; nothing was changed.
        StoreUnavailable: the database is not as it must be.
        sqlalchemy.exc.DBAPIError: it failed.
    """
    mark = f"copy of {source}, schema {known_schemas()[-1]}"
    with database.creating() as conn:
        schema = database.schema_of(conn)
        tables = set(sa.inspect(conn).get_table_names(schema))
        if not tables:
            run_migrations(conn)
            for table in metadata.tables.values():
                conn.execute(sa.delete(table))  # migrations put rows into some
            conn.execute(sa.text(f"ALTER TABLE {VERSION_TABLE} RENAME TO {UNFINISHED_TABLE}"))
            conn.execute(sa.text(f"COMMENT ON TABLE {UNFINISHED_TABLE} IS '{mark}'"))
            return False
        described = sa.text(f"SELECT obj_description(to_regclass('{UNFINISHED_TABLE}'))")
        if UNFINISHED_TABLE in tables and conn.scalar(described) == mark:
            return True
        what = "an unfinished copy of another store" if UNFINISHED_TABLE in tables else "tables"
        raise StoreExists(
            f"the schema {schema} of the database already contains {what}; nothing was changed. "
            f'Name an empty schema, or remove this one: DROP SCHEMA "{schema}" CASCADE'
        )


def name_target(conn: Connection) -> str:
    """Name the schema, the database and its server, without its password."""
    raw: Any = conn.connection.driver_connection
    names = f"the schema {first_of_search_path(conn)} of the database {raw.info.dbname}"
    return f"{names} on {raw.info.host}"


def finish_target(conn: Connection) -> None:
    """Make it a store; part of the last transaction."""
    conn.execute(sa.text(f"COMMENT ON TABLE {UNFINISHED_TABLE} IS NULL"))
    conn.execute(sa.text(f"ALTER TABLE {UNFINISHED_TABLE} RENAME TO {VERSION_TABLE}"))


def drop_indexes(conn: Connection, table: str) -> list[str]:
    """Drop the indexes of a table that no constraint needs; return how to make them again."""
    found = conn.execute(_INDEXES, {"table": table}).all()
    for name, _ in found:
        conn.exec_driver_sql(f"DROP INDEX {name}")
    return [definition.replace("%", "%%") for _, definition in found]


def set_sequences(conn: Connection, source: Connection) -> None:
    """Let no number be given that the source has ever given."""
    has_given = sa.text("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'")
    given: dict[str, int] = {}
    if source.scalar(has_given):
        given = {row.name: row.seq for row in source.execute(sa.text(_GIVEN))}
    for table in metadata.tables.values():
        for column in table.primary_key:
            names = {"table": table.name, "column": column.name}
            sequence = conn.scalar(sa.text("SELECT pg_get_serial_sequence(:table, :column)"), names)
            if sequence is None:
                continue
            highest = conn.scalar(sa.select(sa.func.max(column))) or 0
            last = max(highest, given.get(table.name, 0))
            if last:
                conn.execute(
                    sa.text("SELECT setval(:name, :last)"), {"name": sequence, "last": last}
                )


_GIVEN = "SELECT name, seq FROM sqlite_sequence"
_INDEXES = sa.text(
    "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
    " WHERE indrelid = to_regclass(:table)"
    " AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)"
)
