"""The tables of a store: made once, looked at by everyone, upgraded when nothing else runs.

They only go forward (``store/migrations``). What opens a store never changes them: an account list
must not upgrade the tables under a server of the version before.
"""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.engine.dialect import Dialect
from zajil.store.engine.errors import (
    MISSING_ADVICE,
    NoStore,
    OlderSchema,
    StoreFull,
    StoreUnavailable,
    WrongSchema,
)
from zajil.store.engine.sqlite import Sqlite

_FOLDER = Path(__file__).parent.parent / "migrations"
_FILE = re.compile(r"([0-9]{4})_\w+\.py")
"""Name of the file of a migration, which begins with its number."""
_VERSION_TABLE = "alembic_version"
_FIRST_TABLES = {"domain", "account", "mailbox", "message"}


@value_class(frozen=True, slots=True)
class Schema:
    """Which tables there are, and which this program needs: numbers of the last migration."""

    found: str
    needed: str

    @property
    def is_current(self) -> bool:
        """Whether this program can use them."""
        return self.found == self.needed


def create_tables(dialect: Dialect) -> None:
    """Make the database, where it is missing, and all tables.

    Raises:
        StoreExists: there are tables already.
        StoreUnavailable: the database cannot be reached or written.
    """
    with _told_in_one_sentence(dialect), dialect.creating() as conn:
        _run_migrations(conn)


def try_tables(folder: Path) -> str:
    """Make all tables in a new SQLite database in a folder, as a test; return SQLite's version.

    Raises:
        StoreUnavailable: this SQLite is too old, or the database cannot be made.
    """
    dialect = Sqlite(folder / "trial.sqlite")
    try:
        create_tables(dialect)
    finally:
        dialect.close()
    return str(sqlite.sqlite_version)


def require_current(dialect: Dialect) -> None:
    """See that the database is a store of ours, with the tables that this program needs.

    Raises:
        NoStore: there is no database, it is empty, or it holds something else.
        OlderSchema, WrongSchema: the tables are of an older or a newer version.
        StoreUnavailable: the database cannot be reached.
    """
    schema = examine(dialect)
    if not schema.is_current:
        raise OlderSchema(
            f"the store has schema {schema.found}, this program needs {schema.needed}; "
            "run zajil store upgrade"
        )


def examine(dialect: Dialect) -> Schema:
    """Find out which tables there are; they are current or older.

    Raises:
        NoStore, WrongSchema, StoreUnavailable: as ``require_current``.
    """
    with _told_in_one_sentence(dialect), dialect.examining() as conn:
        return _read_schema(conn, dialect)


def upgrade_tables(dialect: Dialect, before: Callable[[Connection, Schema], None]) -> Schema | None:
    """Bring the tables up to date in one transaction, while nothing else uses the store.

    Args:
        dialect: the database.
        before: called when they are older, before anything is changed.

    Returns:
        What was found; ``None``: they were current.

    Raises:
        NoStore, WrongSchema, StoreUnavailable: as ``require_current``; nothing was changed.
        StoreInUse: a server uses the store; nothing was changed.
    """
    if examine(dialect).is_current:
        return None
    with _told_in_one_sentence(dialect), dialect.upgrading() as conn:
        schema = _read_schema(conn, dialect)
        if schema.is_current:
            return None  # another node was quicker
        dialect.require_alone(conn)
        before(conn, schema)
        _run_migrations(conn)
        return schema


def _read_schema(conn: Connection, dialect: Dialect) -> Schema:
    tables = set(sa.inspect(conn).get_table_names(dialect.schema_of(conn)))
    if not tables:
        raise NoStore(f"{dialect.place} holds no tables: {MISSING_ADVICE}")
    found = None
    if _VERSION_TABLE in tables:
        found = conn.scalar(sa.text(f"SELECT version_num FROM {_VERSION_TABLE}"))  # noqa: S608
    if found is None or not tables >= _FIRST_TABLES:
        raise NoStore(f"{dialect.place} is not a store of Zajil: {MISSING_ADVICE}")
    known = known_schemas()
    needed = known[-1]
    if found not in known:
        raise WrongSchema(
            f"the store has schema {found}, this program knows schemas up to {needed}: another "
            "version of Zajil, probably a newer one, made it; run that version"
        )
    return Schema(found, needed)


def known_schemas() -> list[str]:
    """Return the numbers of all migrations, in order: by the names of their files."""
    names = (path.name for path in (_FOLDER / "versions").iterdir())
    return sorted(found[1] for found in map(_FILE.fullmatch, names) if found)


_LEAST_FREE = 1 << 20
"""Bytes without which SQLite cannot open a database."""


@contextmanager
def _told_in_one_sentence(dialect: Dialect) -> Iterator[None]:
    try:
        yield
    except (sa.exc.DBAPIError, sqlite.Error, OSError) as error:
        # SQLite needs some space to read, too; what it says of a full disk is "disk I/O error".
        if isinstance(dialect, Sqlite):
            folder = dialect.path.parent
            if shutil.disk_usage(folder).free < _LEAST_FREE:
                raise StoreFull(
                    f"the disk of {folder} is full: remove what is not needed on it"
                ) from error
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        reason = " ".join(str(cause).split())
        raise StoreUnavailable(f"cannot open the database: {reason}") from error


def load_alembic() -> None:
    """Import Alembic, before a process becomes a user that may not read the Python of root."""
    for name in ("alembic.command", "alembic.config", "alembic.op"):
        importlib.import_module(name)


def _run_migrations(conn: Connection) -> None:
    # Imported here, because Alembic takes 80 ms and 8 MiB, and only a change of tables needs it.
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = conn
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreUnavailable(f"cannot upgrade the tables: {error}") from error
