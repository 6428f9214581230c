"""Empty stores for tests, copied from one that was made: to run all migrations takes 200 ms."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from zajil.config.options_server import StoreOptions
from zajil.store.engine.folder import DATABASE_NAME, make_folder
from zajil.store.engine.life import create_store
from zajil.store.engine.node import NODE_FILE

_SCHEMA = re.compile(r"%3D(test_[0-9a-f]+)$")
_NAME = f"schema_of_{os.urandom(6).hex()}"
_READS = ("SELECT", "SET", "SHOW")


def copy_empty_store(url: str, data_dir: Path) -> bool:
    """Make an empty store, where there is none; return whether it was made.

    Args:
        url: ``store.url``; of PostgreSQL one of ``PostgresServer.new_url``.
        data_dir: of its files.
    """
    if url == "sqlite" and not (data_dir / DATABASE_NAME).exists():
        make_folder(data_dir)
        for name, content in _files().items():
            (data_dir / name).write_bytes(content)
            (data_dir / name).chmod(0o600)
        return True
    if schema := _SCHEMA.search(url):
        make_folder(data_dir)
        with psycopg.connect(url) as conn:
            exists = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
            if conn.execute(exists, [schema[1]]).fetchone() is None:
                script = _statements(url[: schema.start(1)]).replace(_NAME, schema[1])
                conn.execute(script.encode())
                return True
    return False


@functools.cache
def _files() -> dict[str, bytes]:
    """Return the files of a store of SQLite, by name."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        create_store(StoreOptions(url="sqlite"), data_dir)
        found = [one for one in data_dir.iterdir() if one.is_file() and one.suffix != ".lock"]
        return {path.name: path.read_bytes() for path in found if path.name != NODE_FILE}


@functools.cache
def _statements(server: str) -> str:
    """Return what makes the tables in a schema ``_NAME`` of PostgreSQL, as one script."""
    done: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.strip().startswith(_READS):
            done.append((statement.strip(), parameters))

    url = f"{server}{_NAME}"
    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        with tempfile.TemporaryDirectory() as folder:
            create_store(StoreOptions(url=url), Path(folder) / "data")
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    with psycopg.connect(url) as conn:
        cursor = psycopg.ClientCursor(conn)
        script = ";\n".join(cursor.mogrify(one, given or None) for one, given in done)
        conn.execute(f"DROP SCHEMA {_NAME} CASCADE")
    return script
