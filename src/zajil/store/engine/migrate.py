"""The tables of a store: made once, looked at by everyone, upgraded when nothing else runs.

What opens a store never changes them: an account list must not upgrade the tables under a server of
the version before. From 0046 on each migration (``store/migrations``) can be undone.
"""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.engine.dialect import Dialect
from zajil.store.engine.errors import (
    MISSING_ADVICE,
    CannotUndo,
    NoStore,
    OlderSchema,
    StoreFull,
    StoreUnavailable,
    WrongSchema,
    one_line,
)
from zajil.store.engine.sqlite import Sqlite
from zajil.store.engine.upgrades import (
    TABLE,
    UpgradeRow,
    forget_upgrade,
    last_upgrade,
    record_upgrade,
)

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

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
    with told_in_one_sentence(dialect), dialect.creating() as conn:
        run_migrations(conn)
        record_upgrade(conn, "", known_schemas()[-1])


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
            "run `zajil upgrade run`"
        )


def examine(dialect: Dialect) -> Schema:
    """Find out which tables there are; they are current or older.

    Raises:
        NoStore, WrongSchema, StoreUnavailable: as ``require_current``.
    """
    with told_in_one_sentence(dialect), dialect.examining() as conn:
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
    with told_in_one_sentence(dialect), dialect.upgrading() as conn:
        schema = _read_schema(conn, dialect)
        if schema.is_current:
            return None  # another node was quicker
        dialect.require_alone(conn)
        before(conn, schema)
        run_migrations(conn)
        record_upgrade(conn, schema.found, schema.needed)
        return schema


def undo_tables(dialect: Dialect, before: Callable[[Connection, Schema], None]) -> Schema:
    """Bring the tables back to what they were before the last upgrade, in one transaction.

    What was stored since stays, but for what only the newer schema has a place for.

    Args:
        dialect: the database.
        before: called before anything is changed.

    Returns:
        The schema of now (``found``), and the one that this program needs.

    Raises:
        CannotUndo: there was no upgrade, or one of its migrations has no way back.
        NoStore, WrongSchema, StoreUnavailable: as ``require_current``; nothing was changed.
        StoreInUse: a server uses the store; nothing was changed.
    """
    with told_in_one_sentence(dialect), dialect.upgrading() as conn:
        schema = _read_schema(conn, dialect)
        last = _undoable(conn, schema)
        dialect.require_alone(conn)
        before(conn, schema)
        forget_upgrade(conn, last)
        run_migrations(conn, back_to=last.from_schema)
        return Schema(last.from_schema, schema.needed)


def _undoable(conn: Connection, schema: Schema) -> UpgradeRow:
    """Return the last upgrade, if this program can undo it; raises ``CannotUndo``."""
    if not schema.is_current:
        raise CannotUndo(
            f"the store has schema {schema.found} and this program needs {schema.needed}: it has "
            "upgraded nothing that it could undo"
        )
    last = last_upgrade(conn)
    if last is None or not last.from_schema:
        raise CannotUndo(
            f"the store was created with schema {schema.found}: there is no upgrade to undo"
        )
    one_way = [one for one in one_way_schemas() if last.from_schema < one <= schema.found]
    if one_way:
        raise CannotUndo(
            f"the upgrade from schema {last.from_schema} cannot be undone, because schema "
            f"{one_way[-1]} has no way back; restore the copy in the folder before-upgrade, or a "
            "backup"
        )
    return last


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
        raise WrongSchema(_newer_text(conn, tables, str(found), needed))
    return Schema(found, needed)


def _newer_text(conn: Connection, tables: set[str], found: str, needed: str) -> str:
    from importlib.metadata import version

    last = last_upgrade(conn) if TABLE in tables else None
    if last and last.to_schema != found:
        last = None
    by = f"Zajil {last.version}" if last else "another version of Zajil, probably a newer one,"
    then = f"install Zajil {last.version} or a newer version" if last else "run that version"
    return (
        f"the store has schema {found}, which {by} made; this program is Zajil "
        f"{version('zajil')} and knows schemas up to {needed}: {then}"
    )


def known_schemas() -> list[str]:
    """Return the numbers of all migrations, in order: by the names of their files."""
    names = (path.name for path in (_FOLDER / "versions").iterdir())
    return sorted(found[1] for found in map(_FILE.fullmatch, names) if found)


_LEAST_FREE = 1 << 20
"""Bytes without which SQLite cannot open a database."""


@contextmanager
def told_in_one_sentence(dialect: Dialect) -> Iterator[None]:
    """Turn errors of the database into ``StoreUnavailable``, and ``StoreFull`` of its disk."""
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
        raise StoreUnavailable(f"cannot open the database: {one_line(cause)}") from error


def load_alembic() -> None:
    """Import Alembic, before a process becomes a user that may not read the Python of root."""
    for name in ("alembic.command", "alembic.config", "alembic.op"):
        importlib.import_module(name)


def one_way_schemas() -> list[str]:
    """Return the numbers of the migrations that cannot be undone, in order."""
    scripts = _scripts().walk_revisions()
    return sorted(one.revision for one in scripts if not hasattr(one.module, "downgrade"))


def describe_migrations() -> dict[str, str]:
    """Return the first line of what each migration says of itself, by number, in order."""
    scripts = {one.revision: one.doc for one in _scripts().walk_revisions()}
    return {number: scripts[number].splitlines()[0] for number in sorted(scripts)}


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(_FOLDER))


def run_migrations(conn: Connection, *, to: str = "head", back_to: str | None = None) -> None:
    """Run migrations up to a schema, or back to one; part of the caller's transaction."""
    # Imported here, because Alembic takes 80 ms and 8 MiB, and only a change of tables needs it.
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = conn
    try:
        if back_to is None:
            command.upgrade(config, to)
        else:
            command.downgrade(config, back_to)
    except CommandError as error:
        raise StoreUnavailable(f"cannot change the tables: {error}") from error
