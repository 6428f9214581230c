"""Bring the schema of a store up to date, forward only (``store/migrations``)."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy.engine import Connection

from zajil.store.dialect import Dialect
from zajil.store.errors import StoreUnavailable

_FOLDER = Path(__file__).parent / "migrations"


def migrate(dialect: Dialect) -> None:
    """Create or upgrade the tables; a store that is current is only read.

    Raises:
        StoreUnavailable: the database cannot be reached or written, or a newer Zajil made it.
    """
    scripts = ScriptDirectory(str(_FOLDER))
    newest = scripts.get_current_head()
    try:
        with dialect.migrating() as conn:
            current = MigrationContext.configure(conn).get_current_revision()
            if current != newest:
                _upgrade(conn)
    except CommandError as error:
        raise StoreUnavailable(
            f"the store was made by another version of Zajil: {error}"
        ) from error
    except (sa.exc.DBAPIError, sqlite.Error, OSError) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        reason = " ".join(str(cause).split())
        raise StoreUnavailable(f"cannot open the database: {reason}") from error


def _upgrade(conn: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
