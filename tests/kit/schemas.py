"""Schemas of PostgreSQL with an empty store, for one test after the other.

To run all migrations takes 200 ms, and to make all tables as they end up 100 ms: so a schema is
emptied when its test has ended, and gets another name for the next one.
"""

from __future__ import annotations

import functools
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from zajil.config.options_server import StoreOptions
from zajil.store.engine.life import create_store
from zajil.store.engine.node import own_facts

_READS = ("SELECT", "SET", "SHOW")


class Schemas:
    """Those that one process made on a server."""

    def __init__(self, server: str) -> None:
        """Make the schema that others are copied from; nobody writes into it.

        Args:
            server: ``store.url`` without the name of the schema at its end.
        """
        self._template = f"schema_of_{os.urandom(6).hex()}"
        self._script = _make_store(f"{server}{self._template}")
        self._connection = psycopg.connect(f"{server}public", autocommit=True)
        self._shape = self._shape_of(self._template)
        self._filled = self._used_tables(self._template)
        """The tables that have rows from the beginning."""
        self._lent: set[str] = set()
        self._emptied: list[str] = []

    def make(self, name: str) -> bool:
        """Make a schema with an empty store, unless there is one of that name; return whether."""
        exists = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
        if self._connection.execute(exists, [name]).fetchone() is not None:
            return False
        if self._emptied:
            self._run("ALTER SCHEMA {} RENAME TO {}", self._emptied.pop(), name)
        else:
            with self._connection.transaction():
                self._run("SET LOCAL search_path TO {}", name)
                self._connection.execute(self._script.replace(self._template, name).encode())
        self._lent.add(name)
        return True

    def enter(self, name: str, node_id: str) -> None:
        """Make a node active in a schema that nobody uses yet."""
        facts = own_facts()
        statement = sql.SQL(_ENTER).format(sql.Identifier(name))
        self._connection.execute(statement, [node_id, facts.host, facts.version, facts.schema])

    def give_back(self, name: str) -> None:
        """Empty a schema whose test has ended, for the next one.

        It is left as it is where it was not made here, has other tables now, or is still used.
        """
        if name not in self._lent:
            return
        self._lent.remove(name)
        with suppress(psycopg.Error):
            with self._connection.transaction():
                if self._shape_of(name) != self._shape:
                    return
                self._empty(name)
            self._emptied.append(name)

    def _empty(self, name: str) -> None:
        """Bring all tables to their first rows, and all sequences to their start."""
        self._run("SET LOCAL lock_timeout = '5s'")
        used = [sql.Identifier(name, table) for table in self._used_tables(name)]
        tables = sql.SQL(", ").join(used)
        self._connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(tables))
        for table in self._filled:
            copy = "INSERT INTO {}.{} OVERRIDING SYSTEM VALUE SELECT * FROM {}.{}"
            self._run(copy, name, table, self._template, table)
        reset = """
            SELECT setval(format('%%I.%%I', %s::text, sequencename)::regclass,
                          coalesce(last_value, start_value), last_value IS NOT NULL)
            FROM pg_sequences WHERE schemaname = %s"""
        self._connection.execute(reset, [name, self._template])

    def _run(self, statement: str, *names: str) -> None:
        composed = sql.SQL(statement).format(*map(sql.Identifier, names))
        self._connection.execute(composed)

    def _used_tables(self, name: str) -> list[str]:
        """Return the tables that have a page on the disk, whether a row is in it or was."""
        found = self._connection.execute(_USED, [name])
        return [str(table) for (table,) in found]

    def _shape_of(self, name: str) -> str:
        """Return a hash of all that a schema is made of."""
        row = self._connection.execute(_SHAPE, {"name": name}).fetchone()
        return str(row and row[0])


_ENTER = """
INSERT INTO {}.node SELECT %s, %s, %s, %s, 'active', ms, true, 1, ms, ms, 0, 0, 0
  FROM (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms) AS now
"""
_USED = """
SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'
  AND pg_relation_size(oid) > 0 ORDER BY relname
"""
_SHAPE = """
WITH thing(line) AS (
  SELECT concat_ws(' ', relname, relkind, reloptions, relacl, attnum, attname, atttypid, atttypmod,
                   attnotnull, attidentity, atthasdef)
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = %(name)s::regnamespace AND attnum > 0
  UNION ALL SELECT concat_ws(' ', conname, contype, convalidated) FROM pg_constraint
    WHERE connamespace = %(name)s::regnamespace
  UNION ALL SELECT tgname FROM pg_trigger JOIN pg_class ON tgrelid = pg_class.oid
    WHERE relnamespace = %(name)s::regnamespace AND NOT tgisinternal
  UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = %(name)s::regnamespace)
SELECT md5(string_agg(line, ';' ORDER BY line)) FROM thing
"""


@functools.cache
def schemas(server: str) -> Schemas:
    """Return those of this process."""
    return Schemas(server)


def _make_store(url: str) -> str:
    """Make a store in a new schema; return the statements that did it, as one script."""
    done: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.strip().startswith(_READS):
            done.append((statement.strip(), parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        with tempfile.TemporaryDirectory() as folder:
            create_store(StoreOptions(url=url), Path(folder) / "data")
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    with psycopg.connect(url) as conn:
        cursor = psycopg.ClientCursor(conn)
        return ";\n".join(cursor.mogrify(one, given or None) for one, given in done)
