"""The tables of a store: made once, looked at by everyone, upgraded by ``store.engine.rolling``.

What opens a store never changes them: an account list must not upgrade the tables under a server of
the version before. From 0046 on each migration (``store/migrations``) can be undone.
"""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Iterator
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
    DatabaseAway,
    NoStore,
    OlderSchema,
    StoreExists,
    StoreFull,
    StoreUnavailable,
    WrongSchema,
    one_line,
)
from zajil.store.engine.sqlite import Sqlite
from zajil.store.engine.upgrades import TABLE, last_upgrade, record_upgrade
from zajil.store.schema import schema_floor

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

_FOLDER = Path(__file__).parent.parent / "migrations"
_FILE = re.compile(r"([0-9]{4})_\w+\.py")
"""Name of the file of a migration, which begins with its number."""
_KIND = re.compile(r'^KIND = "(\w+)"$', re.M)
"""What a migration says of itself (``store.engine.rolling``)."""
_FIRST_WITH_FLOOR = "0053"
VERSION_TABLE = "alembic_version"
"""Its one row is the number of the last migration."""
UNFINISHED_TABLE = "unfinished_copy"
"""The same while ``store.copy`` fills the tables."""
_UNFINISHED = (
    "holds an unfinished copy: run `zajil store copy` again with the configuration of the old store"
)
_FIRST_TABLES = {"domain", "account", "mailbox", "message"}


@value_class(frozen=True, slots=True)
class Schema:
    """Which tables there are, and all that this program knows: numbers of the last migration."""

    found: str
    needed: str

    @property
    def is_current(self) -> bool:
        """Whether this program has nothing to add to them."""
        return self.found >= self.needed

    @property
    def is_newer(self) -> bool:
        """Whether a newer program added something; this one can use them all the same."""
        return self.found > self.needed


def create_tables(dialect: Dialect) -> None:
    """Make the database, where it is missing, and all tables.

    Raises:
        StoreExists: there are tables already.
        StoreUnavailable: the database cannot be reached or written.
    """
    with told_in_one_sentence(dialect), dialect.creating() as conn:
        if sa.inspect(conn).has_table(UNFINISHED_TABLE, dialect.schema_of(conn)):
            raise StoreExists(f"{dialect.place} {_UNFINISHED}")
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


def require_usable(dialect: Dialect) -> None:
    """See that the database is a store of ours, with the tables that this program needs.

    They may have more, and lack contract migrations that wait (``store.engine.rolling``).

    Raises:
        NoStore: there is no database, it is empty, or it holds something else.
        OlderSchema, WrongSchema: the tables are of an older or a newer version.
        StoreUnavailable: the database cannot be reached.
    """
    schema, least = examine(dialect), least_schema()
    if schema.found < least:
        raise OlderSchema(
            f"the store has schema {schema.found}, this program needs {least}; "
            "run `zajil upgrade run`"
        )


def examine(dialect: Dialect) -> Schema:
    """Find out which tables there are; if they are newer, this program can use them.

    Raises:
        NoStore, WrongSchema, StoreUnavailable: as ``require_usable``.
    """
    with told_in_one_sentence(dialect), dialect.examining() as conn:
        return read_schema(conn, dialect)


def require_known(conn: Connection) -> None:
    """See that this program knows all tables: to copy or erase everything, it must.

    Raises:
        WrongSchema: a newer version made some of them.
    """
    found, needed = found_schema(conn), known_schemas()[-1]
    if found > needed:
        raise WrongSchema(
            f"the store has schema {found} of a newer version, and this program knows schemas up "
            f"to {needed}: run this on a node of the newer version"
        )


def found_schema(conn: Connection) -> str:
    """Return the number of the last migration of a store of ours."""
    return str(conn.scalar(_FOUND))


def read_schema(conn: Connection, dialect: Dialect) -> Schema:
    """Find out which tables there are, in a transaction of the caller; as ``examine``."""
    tables = set(sa.inspect(conn).get_table_names(dialect.schema_of(conn)))
    if UNFINISHED_TABLE in tables:
        raise NoStore(f"{dialect.place} {_UNFINISHED}")
    if not tables:
        moved = "; `zajil store copy`, with the old configuration, fills it from SQLite"
        advice = MISSING_ADVICE + (moved if dialect.is_shared else "")
        raise NoStore(f"{dialect.place} holds no tables: {advice}")
    found = None
    if VERSION_TABLE in tables:
        found = conn.scalar(_FOUND)
    if found is None or not tables >= _FIRST_TABLES:
        raise NoStore(f"{dialect.place} is not a store of Zajil: {MISSING_ADVICE}")
    known = known_schemas()
    needed = known[-1]
    if found not in known and not (found > needed and _allows(conn, tables, needed)):
        raise WrongSchema(_newer_text(conn, tables, str(found), needed))
    return Schema(found, needed)


def _allows(conn: Connection, tables: set[str], schema: str) -> bool:
    """Return whether programs that know up to a schema may use newer tables."""
    return schema_floor.name in tables and read_floor(conn) <= schema


def read_floor(conn: Connection) -> str:
    """Return the oldest schema whose programs may use the tables."""
    return str(conn.scalar(sa.select(sa.func.max(schema_floor.c.floor))))


def require_floor(conn: Connection) -> None:
    """See in a transaction that this program may still use the tables.

    Raises:
        WrongSchema: a newer version changed them meanwhile.
    """
    floor, needed = read_floor(conn), known_schemas()[-1]
    if floor > needed:
        raise WrongSchema(
            f"a newer version changed the tables for schema {floor}; this program knows schemas "
            f"up to {needed}: install the newer version"
        )


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
    return sorted(_files())


def is_expansion(schema: str) -> bool:
    """Return whether programs of the version before work on beside what a migration did."""
    kind = _KIND.search(_files()[schema].read_text("utf-8"))
    return kind is not None and kind[1] == "expand"


def least_schema() -> str:
    """Return the oldest schema that this program works with: its last expand migration."""
    known = known_schemas()
    return next((one for one in reversed(known) if is_expansion(one)), known[-1])


def _files() -> dict[str, Path]:
    """Return the files of all migrations by number."""
    paths = (_FOLDER / "versions").iterdir()
    return {found[1]: path for path in paths if (found := _FILE.fullmatch(path.name))}


_LEAST_FREE = 1 << 20
"""Bytes without which SQLite cannot open a database."""


@contextmanager
def told_in_one_sentence(dialect: Dialect) -> Iterator[None]:
    """Turn errors of the database into ``StoreUnavailable``; ``StoreFull``: its disk is full;
    ``DatabaseAway``: its server cannot be reached.
    """
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
        is_away = dialect.is_shared and isinstance(error, sa.exc.OperationalError)
        kind = DatabaseAway if is_away else StoreUnavailable
        raise kind(f"cannot open the database: {one_line(cause)}") from error


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
    reached = found_schema(conn)
    if reached >= _FIRST_WITH_FLOOR:
        older = reversed([one for one in known_schemas() if one <= reached])
        floor = next(one for one in older if not is_expansion(one))
        conn.execute(sa.delete(schema_floor))
        conn.execute(sa.insert(schema_floor).values(floor=floor))


_FOUND = sa.text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
