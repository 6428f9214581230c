"""What a store knows of its own upgrades: from which schema to which, when, and by which version.

An older program reads the version too, in order to say which one a newer store needs: so the table
and its columns never change.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.schema import schema_upgrade

TABLE = schema_upgrade.name


@value_class(frozen=True, slots=True)
class UpgradeRow:
    """One upgrade, or the creation of the store."""

    number: int
    at_ms: int
    from_schema: str
    """``""``: the store was created."""
    to_schema: str
    version: str
    """Of the program that did it."""


def record_upgrade(tx: Connection, from_schema: str, to_schema: str) -> None:
    """Note an upgrade by this program, or the creation of the store; part of the transaction."""
    from importlib.metadata import version

    row = {
        "at_ms": time.time_ns() // 1_000_000,
        "from_schema": from_schema,
        "to_schema": to_schema,
        "version": version("zajil"),
    }
    tx.execute(sa.insert(schema_upgrade).values(row))


def last_upgrade(conn: Connection) -> UpgradeRow | None:
    """Return the last one; ``None``: a version that noted none made the tables."""
    found = conn.execute(sa.select(schema_upgrade).order_by(schema_upgrade.c.id.desc()).limit(1))
    row = found.one_or_none()
    if row is None:
        return None
    return UpgradeRow(row.id, row.at_ms, row.from_schema, row.to_schema, row.version)


def forget_upgrade(tx: Connection, row: UpgradeRow) -> None:
    """Remove one that is undone; part of the transaction."""
    tx.execute(sa.delete(schema_upgrade).where(schema_upgrade.c.id == row.number))
