"""The queue in figures: how many copies wait and are held, for which reasons, and for whom."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import NodeId
from zajil.core.service import RecipientState
from zajil.core.value_class import value_class
from zajil.store.queue.queue_admin import HELD, WAITING
from zajil.store.schema import recipient


@value_class(frozen=True, slots=True, kw_only=True)
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
    totals = count_states(conn)
    reasons: dict[str, int] = {}
    hops: dict[str, int] = {}
    for state in _CONDITIONS.values():
        for column, counts in ((recipient.c.reason, reasons), (recipient.c.next_hop, hops)):
            found = sa.select(column.label("name"), sa.func.count().label("number")).where(state)
            for row in conn.execute(found.group_by(column)):
                counts[row.name or ""] = counts.get(row.name or "", 0) + row.number
    return QueueCounts(
        waiting=totals[RecipientState.WAITING].number,
        held=totals[RecipientState.HELD].number,
        oldest_ms=min(
            [one.oldest_ms for one in totals.values() if one.oldest_ms is not None], default=None
        ),
        reasons=_most_first(reasons, most),
        next_hops=_most_first(hops, most),
    )


@value_class(frozen=True, slots=True)
class StateCount:
    """Recipients of one state."""

    number: int
    oldest_ms: int | None
    """When the oldest of them was accepted; ``None``: there is none."""


def count_states(conn: Connection) -> dict[RecipientState, StateCount]:
    """Count the recipients that wait and those that are held."""
    found = {name: conn.execute(_TOTAL.where(state)).one() for name, state in _CONDITIONS.items()}
    return {name: StateCount(row.total, row.oldest) for name, row in found.items()}


@value_class(frozen=True, slots=True, kw_only=True)
class LateMail:
    """Recipients that wait although they should have been delivered."""

    number: int
    oldest_ms: int | None
    """``None``: there is none."""
    reasons: tuple[tuple[str, int], ...]
    """The most frequent ones, as stored; most first."""


def late_mail(conn: Connection, before_ms: int, now_ms: int, most: int) -> LateMail:
    """Count what waits, was accepted before a time, and was tried or is due.

    What its sender holds back for later is not late.

    Args:
        conn: a read of the store.
        before_ms: when it was accepted at the latest.
        now_ms: the time.
        most: maximum number of reasons.
    """
    is_due = sa.or_(recipient.c.tries > 0, recipient.c.next_try_ms <= now_ms)
    late = sa.and_(WAITING, recipient.c.at_ms < before_ms, is_due)
    total = conn.execute(_TOTAL.where(late)).one()
    query = sa.select(recipient.c.reason, sa.func.count().label("number")).where(late)
    found = conn.execute(query.group_by(recipient.c.reason))
    reasons = {row.reason: row.number for row in found}
    return LateMail(number=total.total, oldest_ms=total.oldest, reasons=_most_first(reasons, most))


def count_leases(conn: Connection) -> dict[NodeId, int]:
    """Count the recipients that workers deliver to now, by their node."""
    owner = recipient.c.lease_owner
    query = sa.select(owner, sa.func.count().label("number")).where(WAITING, owner.is_not(None))
    found: dict[NodeId, int] = {}
    for name, number in conn.execute(query.group_by(owner)):
        node_id = NodeId(name.partition("/")[0])
        found[node_id] = found.get(node_id, 0) + number
    return found


_CONDITIONS = {RecipientState.WAITING: WAITING, RecipientState.HELD: HELD}
_TOTAL = sa.select(sa.func.count().label("total"), sa.func.min(recipient.c.at_ms).label("oldest"))


def _most_first(counts: dict[str, int], most: int) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])
