"""Upgrades of the tables, also while other nodes work; and the way back.

A migration says of itself what it does:
- ``KIND = "expand"``: it adds tables, indexes, and columns that have a default or may be null.
  Programs of the version before work on, so it runs while their nodes do.
- ``KIND = "contract"``, or nothing: anything else. It waits until no node runs an older program.

Laws:
- A program works with the tables of its last expand migration, and with those of the contract
  migrations behind it: these may wait. One that is needed at once has an expand migration behind
  it; then all nodes must be stopped.
- The store keeps the floor: the last contract migration that ran. A program may use a newer store
  as long as its own schema is not below the floor.
- A node that enters compares the floor under a lock that a contract migration has alone.
- With SQLite, and for stores from before ``FIRST_ROLLING``, nothing else may use the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import NodeId
from zajil.core.value_class import value_class
from zajil.store.engine.dialect import Dialect, Fault
from zajil.store.engine.errors import CannotUndo, StoreInUse
from zajil.store.engine.migrate import (
    Schema,
    found_schema,
    is_expansion,
    known_schemas,
    least_schema,
    one_way_schemas,
    read_schema,
    run_migrations,
    told_in_one_sentence,
)
from zajil.store.engine.nodes import ALIVE, NodeRow, list_nodes
from zajil.store.engine.upgrades import UpgradeRow, forget_upgrade, last_upgrade, record_upgrade

FIRST_ROLLING = "0053"
"""The first schema with a list of nodes: all programs from there on know of this."""
_RUNS = 10
"""How often an upgrade is tried whose locks are in the way of nodes that work."""
_PAUSE_SECONDS = 0.5
_LOCK_MS = 1000
"""How long it waits for one lock."""

Before = Callable[[Connection, Schema], None]
"""Called before anything is changed."""


@value_class(frozen=True, slots=True)
class TableUpgrade:
    """What an upgrade of the tables did."""

    found: str
    """Schema of before."""
    reached: str
    """Schema of now; ``found``: nothing was done."""
    waits: tuple[NodeRow, ...]
    """Nodes for whose end or upgrade the rest waits; none: all is done."""


@value_class(frozen=True, slots=True)
class UnfinishedUpgrade:
    """Contract migrations that have not run yet."""

    needed: str
    """The last of them."""
    waits: tuple[NodeRow, ...]
    """Nodes that it waits for; none: the next start of a server does it, or `zajil upgrade run`."""


def upgrade_tables(dialect: Dialect, before: Before, own: NodeId | None) -> TableUpgrade | None:
    """Bring older tables up to date, as far as nodes of older versions allow, in one transaction.

    Args:
        dialect: the database; it was examined.
        before: called when they are older, before anything is changed.
        own: a node that is known not to run; ``None``: nothing is known.

    Returns:
        What was done; ``None``: they were current.

    Raises:
        NoStore, WrongSchema, StoreUnavailable: as ``store.engine.migrate.examine``; nothing was
            changed.
        StoreInUse: a server uses the store; nothing was changed.
    """
    for _ in range(_RUNS - 1):
        try:
            return _upgrade(dialect, before, own)
        except sa.exc.DBAPIError as error:
            if dialect.fault(error) is not Fault.PASSING:
                break
        time.sleep(_PAUSE_SECONDS)
    with told_in_one_sentence(dialect):
        return _upgrade(dialect, before, own)


def _upgrade(dialect: Dialect, before: Before, own: NodeId | None) -> TableUpgrade | None:
    with dialect.upgrading() as conn:
        schema = read_schema(conn, dialect)
        if schema.is_current:
            return None  # another node was quicker
        reached: str = schema.needed
        waits: tuple[NodeRow, ...] = ()
        if dialect.is_shared and schema.found >= FIRST_ROLLING:
            reached, waits = _reach(dialect, conn, schema, own)
            dialect.be_patient(conn, _LOCK_MS)  # whoever uses a table waits behind this one
        else:
            dialect.require_alone(conn)
        if reached < least_schema():
            raise StoreInUse(
                f"this program needs schema {least_schema()}, which older programs cannot use: "
                f"stop these nodes first, or remove them with `zajil node forget` if they are "
                f"gone: {tell_nodes(waits)}"
            )
        if reached != schema.found:
            before(conn, schema)
            run_migrations(conn, to=reached)
            record_upgrade(conn, schema.found, reached)
        return TableUpgrade(schema.found, reached, waits)


def _reach(
    dialect: Dialect, conn: Connection, schema: Schema, own: NodeId | None
) -> tuple[str, tuple[NodeRow, ...]]:
    """Return the last schema that can be made now, and the nodes that the next one waits for."""
    reached = schema.found
    for number in [one for one in known_schemas() if one > schema.found]:
        if not is_expansion(number):
            dialect.lock_floor(conn, alone=True)
            older = [
                row
                for row in list_nodes(conn)
                if row.state in ALIVE and row.schema < number and row.node_id != own
            ]
            if older:
                return reached, tuple(older)
        reached = number
    return reached, ()


def find_unfinished(conn: Connection) -> UnfinishedUpgrade | None:
    """Return what is left of an upgrade that waited for nodes of older versions."""
    found, needed = found_schema(conn), known_schemas()[-1]
    if found >= needed:
        return None
    older = [row for row in list_nodes(conn) if row.state in ALIVE and row.schema < needed]
    return UnfinishedUpgrade(needed, tuple(older))


def tell_nodes(rows: Sequence[NodeRow]) -> str:
    """Name nodes in a sentence."""
    return "; ".join(
        f"{row.node_id} on {row.host} (Zajil {row.version}, schema {row.schema})" for row in rows
    )


def undo_tables(dialect: Dialect, before: Before) -> Schema:
    """Bring the tables back to what they were before the last upgrade, in one transaction.

    What was stored since stays, but for what only the newer schema has a place for. Nothing else
    may use the store, because programs of the newer version need what is removed.

    Args:
        dialect: the database.
        before: called before anything is changed.

    Returns:
        The schema of now (``found``), and the one that this program needs.

    Raises:
        CannotUndo: there was no upgrade, or one of its migrations has no way back.
        NoStore, WrongSchema, StoreUnavailable: as ``store.engine.migrate.examine``; nothing was
            changed.
        StoreInUse: a server uses the store; nothing was changed.
    """
    with told_in_one_sentence(dialect), dialect.upgrading() as conn:
        schema = read_schema(conn, dialect)
        last = _undoable(conn, schema)
        dialect.require_alone(conn)
        before(conn, schema)
        forget_upgrade(conn, last)
        run_migrations(conn, back_to=last.from_schema)
        return Schema(last.from_schema, schema.needed)


def _undoable(conn: Connection, schema: Schema) -> UpgradeRow:
    """Return the last upgrade, if this program can undo it; raises ``CannotUndo``."""
    if schema.is_newer or schema.found < least_schema():
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
