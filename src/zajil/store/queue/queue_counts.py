"""The queue in figures: how many copies wait and are held, for which reasons, and for whom."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.service import RecipientState
from zajil.store.queue.queue_admin import HELD, WAITING
from zajil.store.schema import recipient


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCounts:
    """Recipients in the queue."""

    waiting: int
    held: int
    oldest_ms: int | None
    """When the oldest of them was accepted; ``None``: the queue is empty."""
    reasons: tuple[tuple[str, int], ...]
    """The most frequent ones, as stored, ``""`` for none; most first."""
    next_hops: tuple[tuple[str, int], ...]
    """The most frequent ones, ASCII domains, ``""`` for mailboxes here; most first."""


def count_queue(conn: Connection, most: int) -> QueueCounts:
    """Count the queue; its partial indexes bound what is read.

    Args:
        conn: a read of the store.
        most: maximum number of reasons, and of next hops.
    """
    totals: dict[str, int] = {}
    reasons: dict[str, int] = {}
    hops: dict[str, int] = {}
    oldest: list[int] = []
    for name, state in ((RecipientState.WAITING, WAITING), (RecipientState.HELD, HELD)):
        one = conn.execute(_TOTAL.where(state)).one()
        totals[name] = one.total
        oldest += [] if one.oldest is None else [one.oldest]
        for column, counts in ((recipient.c.reason, reasons), (recipient.c.next_hop, hops)):
            found = sa.select(column.label("name"), sa.func.count().label("number")).where(state)
            for row in conn.execute(found.group_by(column)):
                counts[row.name or ""] = counts.get(row.name or "", 0) + row.number
    return QueueCounts(
        waiting=totals[RecipientState.WAITING],
        held=totals[RecipientState.HELD],
        oldest_ms=min(oldest, default=None),
        reasons=_most_first(reasons, most),
        next_hops=_most_first(hops, most),
    )


_TOTAL = sa.select(sa.func.count().label("total"), sa.func.min(recipient.c.at_ms).label("oldest"))


def _most_first(counts: dict[str, int], most: int) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])
