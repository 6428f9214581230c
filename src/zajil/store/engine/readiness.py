"""A write that proves that the store takes writes: one row for each node."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import NodeId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import require_space


@value_class(frozen=True, slots=True)
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
    for item in items:
        tx.execute(_NOTE, {"node": item.node, "at_ms": item.at_ms})
    return [None] * len(items)


_NOTE = sa.text(
    "INSERT INTO readiness (node, at_ms) VALUES (:node, :at_ms)"
    " ON CONFLICT (node) DO UPDATE SET at_ms = excluded.at_ms"
)
