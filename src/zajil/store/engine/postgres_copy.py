"""A copy of our schema of PostgreSQL beside it, to try an upgrade on.

It needs the privilege CREATE on the database, and as much space as the tables. Servers go on: the
tables are only read. Names of indexes and constraints stay, because migrations use them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.engine.dialect import Progress
from zajil.store.engine.errors import StoreUnavailable

_MARK = "copy for zajil upgrade rehearse"
"""Comment on a schema that may be removed."""


@contextmanager
def copied_schema(engine: sa.Engine, source: str, progress: Progress) -> Iterator[str]:
    """Copy all tables of a schema into a new one, which is removed at the end; return its name.

    Raises:
        StoreUnavailable: the user may not create schemas, or another schema has the name.
        sa.exc.DBAPIError: it cannot be copied; nothing is left.
    """
    name = f"{source[:50]}_rehearsal"
    snapshots = engine.execution_options(isolation_level="REPEATABLE READ")
    with snapshots.begin() as conn:
        _require_privilege(conn, name)
        _remove(conn, name)
        conn.execute(sa.schema.CreateSchema(name))
        conn.execute(sa.text(f"COMMENT ON SCHEMA {_quoted(name)} IS '{_MARK}'"))
        _copy_all(conn, source, name, progress)
    try:
        yield name
    finally:
        with engine.begin() as conn:
            _remove(conn, name)


def _require_privilege(conn: Connection, name: str) -> None:
    may = "SELECT has_database_privilege(current_database(), 'CREATE')"
    if not conn.scalar(sa.text(may)):
        user, database = conn.execute(sa.text("SELECT current_user, current_database()")).one()
        raise StoreUnavailable(
            f"the copy would be the schema {name}, and the user {user} may not create schemas: "
            f"GRANT CREATE ON DATABASE {_quoted(database)} TO {_quoted(user)}"
        )


def _remove(conn: Connection, name: str) -> None:
    comment = sa.text(
        "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace"
        " WHERE nspname = :name"
    )
    found = conn.scalar(comment, {"name": name})
    if found is None:
        return
    if found != _MARK:
        raise StoreUnavailable(f"the database has a schema {name}, which this program did not make")
    conn.execute(sa.schema.DropSchema(name, cascade=True))


def _copy_all(conn: Connection, source: str, name: str, progress: Progress) -> None:
    tables = conn.execute(_TABLES, {"schema": source}).all()
    total, done = sum(one.size for one in tables) or 1, 0
    for table in tables:
        _copy(conn, source, name, table.name)
        done += table.size
        progress(done, total)


def _copy(conn: Connection, source: str, name: str, table: str) -> None:
    old, new = f"{_quoted(source)}.{_quoted(table)}", f"{_quoted(name)}.{_quoted(table)}"
    like = "INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS"
    conn.execute(sa.text(f"CREATE TABLE {new} (LIKE {old} {like})"))
    # The names were read from the catalog, and are quoted.
    conn.execute(sa.text(f"INSERT INTO {new} SELECT * FROM {old}"))  # noqa: S608
    of = {"table": old}
    for column, sequence in conn.execute(_SEQUENCES, of):
        own = f"{_quoted(name)}.{_quoted(sequence)}"
        conn.execute(sa.text(f"CREATE SEQUENCE {own} OWNED BY {new}.{_quoted(column)}"))
        default = f"ALTER COLUMN {_quoted(column)} SET DEFAULT nextval('{own}')"
        conn.execute(sa.text(f"ALTER TABLE {new} {default}"))
        value = f"setval('{own}', last_value, is_called) FROM {_quoted(source)}.{_quoted(sequence)}"
        conn.execute(sa.text(f"SELECT {value}"))
    for constraint, definition in conn.execute(_CONSTRAINTS, of):
        change = f"ALTER TABLE {new} ADD CONSTRAINT {_quoted(constraint)} {definition}"
        conn.exec_driver_sql(change.replace("%", "%%"))
    for index, is_unique, definition in conn.execute(_INDEXES, of):
        begin = f"CREATE {'UNIQUE ' if is_unique else ''}INDEX {_quoted(index)} ON {new} USING"
        rest = definition.partition(" USING ")[2]
        conn.exec_driver_sql(f"{begin} {rest}".replace("%", "%%"))


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


_TABLES = sa.text(
    "SELECT relname AS name, pg_total_relation_size(oid) AS size FROM pg_class"
    " WHERE relnamespace = to_regnamespace(quote_ident(:schema)) AND relkind = 'r' ORDER BY relname"
)
_SEQUENCES = sa.text(
    "SELECT attname, s.relname FROM pg_depend JOIN pg_class s ON s.oid = objid AND s.relkind = 'S'"
    " JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid"
    " WHERE refobjid = to_regclass(:table) AND deptype = 'a'"
)
_CONSTRAINTS = sa.text(
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE conrelid = to_regclass(:table) AND contype IN ('p', 'u', 'c')"
)
_INDEXES = sa.text(
    "SELECT relname, indisunique, pg_get_indexdef(indexrelid) FROM pg_index"
    " JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = to_regclass(:table)"
    " AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)"
)
