"""Counts of each minute: how much mail came and went, what the checks said, how much had TLS.

Each worker adds what it counted (``app.traffic``). Rows older than ``KEPT_MINUTES`` are deleted, so
that there are at most some hundred thousand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.schema import traffic

KEPT_MINUTES = 8 * 24 * 60
"""A week and a day."""


@value_class(frozen=True, slots=True)
class TrafficCounts:
    """What one worker has counted since the last time."""

    counts: Mapping[tuple[int, str], int]
    """By minute since 1970 UTC, and name of the figure (``tracking.traffic.Figure``)."""


def add_traffic(tx: Connection, items: Sequence[TrafficCounts]) -> list[None]:
    """Add counts.

    Unit of work: not idempotent; locks the rows of the minutes, in their order.
    """
    sums: dict[tuple[int, str], int] = {}
    for item in items:
        for key, count in item.counts.items():
            sums[key] = sums.get(key, 0) + count
    rows = [
        {"minute": minute, "name": str(name), "count": count}
        for (minute, name), count in sorted(sums.items())
    ]
    if rows:
        tx.execute(_ADD, rows)
    return [None] * len(items)


def forget_traffic(tx: Connection, before_minutes: Sequence[int]) -> list[int]:
    """Delete the counts before each of the given minutes; returns how many rows.

    Unit of work: idempotent.
    """
    return [
        tx.execute(sa.delete(traffic).where(traffic.c.minute < limit)).rowcount
        for limit in before_minutes
    ]


def load_traffic(
    conn: Connection, since_minute: int, until_minute: int, step: int
) -> dict[str, list[int]]:
    """Return the sums of each figure, for each step of a period in its order.

    Args:
        conn: a read of the store.
        since_minute: the first one.
        until_minute: the end, not included.
        step: minutes that are added up.
    """
    steps = max(1, -(-(until_minute - since_minute) // step))
    found: dict[str, list[int]] = {}
    place = (traffic.c.minute - since_minute) // step
    rows = conn.execute(
        sa.select(traffic.c.name, place, sa.func.sum(traffic.c["count"]))
        .where(traffic.c.minute >= since_minute, traffic.c.minute < until_minute)
        .group_by(traffic.c.name, place)
    )
    for name, at, count in rows:
        # A sum is a Decimal on PostgreSQL.
        found.setdefault(name, [0] * steps)[int(at)] = int(count)
    return found


_ADD = sa.text(
    "INSERT INTO traffic (minute, name, count) VALUES (:minute, :name, :count) "
    "ON CONFLICT (minute, name) DO UPDATE SET count = traffic.count + excluded.count"
)
