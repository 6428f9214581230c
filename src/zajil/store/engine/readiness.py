"""A write that proves that the store takes writes: one row for each node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from zajil.core.ids import NodeId
from zajil.store.engine.batch import require_space
from zajil.store.schema import readiness


@dataclass(frozen=True, slots=True)
class Readiness:
    """A node was asked whether it is ready."""

    node: NodeId
    at_ms: int


def note_readiness(tx: Connection, items: Sequence[Readiness]) -> list[None]:
    """Write the time of the last check of each node.

    Unit of work: idempotent.

    Raises:
        StoreFull: no mail would be accepted.
    """
    require_space(tx)
    make = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    for item in items:
        row = make(readiness).values(node=item.node, at_ms=item.at_ms)
        tx.execute(row.on_conflict_do_update(index_elements=["node"], set_={"at_ms": item.at_ms}))
    return [None] * len(items)
