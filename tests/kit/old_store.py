"""Stores of earlier schemas (``tests/store/schemas``), in SQLite and in PostgreSQL."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy.engine import Connection

from zajil.store import migrations
from zajil.store.engine.folder import DATABASE_NAME
from zajil.store.engine.open import Store
from zajil.store.engine.postgres import Postgres
from zajil.store.mail.flags import unpack_flags
from zajil.store.schema import account, mail, mailbox, message, recipient

SCHEMAS = Path(__file__).parent.parent / "store" / "schemas"
ARCHIVES = sorted(path.name.partition(".")[0] for path in SCHEMAS.glob("*.tar.xz"))
"""Schemas of which there is a store."""


def unpack(schema: str, folder: Path) -> dict[str, Any]:
    """Unpack the data folder of a schema; return what must be in it."""
    with tarfile.open(SCHEMAS / f"{schema}.tar.xz") as archive:
        if hasattr(tarfile, "data_filter"):  # since Python 3.11.4
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder)  # noqa: S202 - an archive of ours
    folder.chmod(0o700)
    expected: dict[str, Any] = json.loads((folder / "expected.json").read_text("utf-8"))
    return expected


def contents(store: Store) -> dict[str, Any]:
    """Return messages and queue of a store as ``expected.json`` has them."""
    return store.read_now(
        lambda conn: {"messages": _messages(store, conn), "queue": _queue(store, conn)}
    )


def migrate_to(conn: Connection, schema: str) -> None:
    """Make the tables of a schema in an empty database."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = conn
    command.upgrade(config, schema)


def load_into_postgres(folder: Path, schema: str, url: str) -> None:
    """Put the rows of an unpacked store into a new schema of PostgreSQL, and remove its file."""
    dialect = Postgres(url)
    file = folder / DATABASE_NAME
    source = sa.create_engine("sqlite://", creator=lambda: sqlite.connect(str(file)), module=sqlite)
    try:
        with dialect.creating() as target, source.connect() as old:
            name = dialect.schema_of(target)
            migrate_to(target, schema)
            tables = sa.MetaData()
            tables.reflect(target, schema=name)
            for table in tables.tables.values():
                if table.name != "alembic_version":
                    _copy(old, target, table)
    finally:
        source.dispose()
        dialect.close()
    file.unlink()


def _copy(old: Connection, target: Connection, table: sa.Table) -> None:
    target.execute(sa.delete(table))
    # Without the types of PostgreSQL: SQLite returns numbers for truth values.
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    rows = [
        {
            column.name: bool(value)
            if isinstance(column.type, sa.Boolean) and value is not None
            else value
            for column, value in zip(table.columns, row, strict=True)
        }
        for row in old.execute(sa.text(f'SELECT {names} FROM "{table.name}"'))  # noqa: S608
    ]
    if rows:
        target.execute(sa.insert(table), rows)
    for column in table.primary_key:
        if (
            column.autoincrement is True
            or column.identity is not None
            or column.server_default is not None
        ):
            highest = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
            place = sa.func.pg_get_serial_sequence(f'"{table.schema}"."{table.name}"', column.name)
            target.execute(sa.select(sa.func.setval(place, highest, False)))


def _messages(store: Store, conn: Connection) -> list[Any]:
    query = (
        sa.select(account.c.login, mailbox.c.name, message)
        .join_from(message, mailbox, mailbox.c.id == message.c.mailbox_id)
        .join(account, account.c.id == mailbox.c.account_id)
    )
    found = []
    for row in conn.execute(query).all():
        data = row.prefix.encode() + store.blobs.read(conn, row.blob_id)
        flags = sorted(unpack_flags(row.flags, row.keywords))
        digest = hashlib.sha256(data).hexdigest()
        found.append([row.login, row.name, row.uid, flags, row.received_at_ms, len(data), digest])
    return sorted(found, key=lambda one: one[:3])


def _queue(store: Store, conn: Connection) -> list[Any]:
    query = sa.select(recipient.c.address, recipient.c.state, mail.c.blob_id).join_from(
        recipient, mail, mail.c.id == recipient.c.mail_id
    )
    found = [
        [
            row.address,
            row.state,
            row.blob_id and hashlib.sha256(store.blobs.read(conn, row.blob_id)).hexdigest(),
        ]
        for row in conn.execute(query)
    ]
    return sorted(found, key=lambda one: one[:2])
