"""Leases on chores: work that one worker does for all nodes of a store.

Laws:
- A chore has one holder. It renews its lease again and again, and gives it up when it ends.
- No clock is compared with another: a row holds a count, not a time. A lease is over when its row
  has not changed for the length of the lease by the clock of the worker that looks. A holder
  counts the same length from before its last renewal, so it stops before another one begins.
- A row is never deleted, so its count never repeats.
- A process that was suspended asks before the next step whether it still has the chore
  (``app.chores``). It may be suspended between that and the step, so steps are idempotent or have
  leases of their own all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.schema import chore

NOBODY = ""


@value_class(frozen=True, slots=True)
class ChoreRow:
    """Who holds a chore."""

    holder: str
    """Node and worker; ``NOBODY``."""
    beat: int
    """Grows with each change of the row."""


@value_class(frozen=True, slots=True)
class ChoreTake:
    """A worker wants a chore."""

    name: str
    holder: str
    """The worker."""
    seen: ChoreRow | None
    """The row as the worker saw it; ``None``: there was none."""


@value_class(frozen=True, slots=True)
class ChoreRenewal:
    """A worker still works at its chores."""

    names: tuple[str, ...]
    holder: str


def load_chores(conn: Connection) -> dict[str, ChoreRow]:
    """Return who holds what, by the name of the chore."""
    return {row.name: ChoreRow(row.holder, row.beat) for row in conn.execute(_ALL)}


def take_chores(tx: Connection, items: Sequence[ChoreTake]) -> list[bool]:
    """Take chores whose rows have not changed since they were seen; return which are taken.

    Unit of work: not idempotent; of several workers that saw the same row, one takes it.
    """
    return [_take(tx, item) for item in items]


def _take(tx: Connection, item: ChoreTake) -> bool:
    if item.seen is None:
        new = {"name_": item.name, "holder_": item.holder}
        return tx.execute(_INSERT, new).rowcount == 1
    taken = tx.execute(
        sa.update(chore)
        .where(
            chore.c.name == item.name,
            chore.c.holder == item.seen.holder,
            chore.c.beat == item.seen.beat,
        )
        .values(holder=item.holder, beat=chore.c.beat + 1)
    )
    return taken.rowcount == 1


def renew_chores(tx: Connection, items: Sequence[ChoreRenewal]) -> list[frozenset[str]]:
    """Renew leases; return the names of those that are still the worker's.

    Unit of work: safe to repeat.
    """
    return [_renew(tx, item) for item in items]


def _renew(tx: Connection, item: ChoreRenewal) -> frozenset[str]:
    renewed = tx.execute(
        sa.update(chore)
        .where(chore.c.name.in_(item.names), chore.c.holder == item.holder)
        .values(beat=chore.c.beat + 1)
        .returning(chore.c.name)
    )
    return frozenset(renewed.scalars())


def give_up_chores(tx: Connection, holders: Sequence[str]) -> list[int]:
    """End all leases of workers that stop, or that are dead; return how many each had.

    Unit of work: idempotent.
    """
    return [
        tx.execute(
            sa.update(chore)
            .where(chore.c.holder == holder)
            .values(holder=NOBODY, beat=chore.c.beat + 1)
        ).rowcount
        for holder in holders
    ]


def give_up_all_chores(tx: Connection, nodes: Sequence[str]) -> list[int]:
    """End all leases of nodes that are gone; return how many each had.

    Unit of work: idempotent.

    Args:
        tx: an open transaction.
        nodes: what the names of their workers begin with.
    """
    return [
        tx.execute(
            sa.update(chore)
            .where(chore.c.holder.startswith(name, autoescape=True))
            .values(holder=NOBODY, beat=chore.c.beat + 1)
        ).rowcount
        for name in nodes
    ]


_ALL = sa.select(chore.c.name, chore.c.holder, chore.c.beat)
_INSERT = sa.text(
    "INSERT INTO chore (name, holder, beat) VALUES (:name_, :holder_, 1)"
    " ON CONFLICT (name) DO NOTHING"
)
