"""Who came once and was asked to come again: one row for each way a mail may take to us.

A row is a network, the domain of a sender and the domain of a recipient. It passes when the same
way is tried again after the delay, and then stays known as long as it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.engine.rows import execute_text, values
from zajil.store.schema import greylist

MOST_ROWS = 200_000
"""Ways that are remembered; beyond that the oldest that never passed are forgotten."""


@value_class(frozen=True, slots=True)
class Knock:
    """A mail that comes by some ways."""

    keys: tuple[str, ...]
    now_ms: int
    delay_ms: int
    """A second try before this counts as the first."""
    window_ms: int
    """A second try after this is a first one again."""
    keep_ms: int
    """A way that passed and was not used for so long is forgotten."""


def knock(tx: Connection, items: Sequence[Knock]) -> list[bool]:
    """Note the ways of mails; say of each whether one of its ways is known, or known from now on.

    Unit of work: idempotent but for times; locks the rows, in the order of their keys.
    """
    keys = sorted({key for item in items for key in item.keys})
    if not keys:
        return [False] * len(items)
    newest = max(item.now_ms for item in items)
    rows = _load_locked(tx, keys, newest)
    answers = [any([_passes(rows[key], item) for key in item.keys]) for item in items]
    for item, passed in zip(items, answers, strict=True):
        for key in item.keys:
            row = rows[key]
            row.passed = row.passed or passed
            row.last_ms = item.now_ms
    _write(tx, rows)
    return answers


@dataclass(slots=True)
class _Row:
    first_ms: int
    last_ms: int
    passed: bool


def _passes(row: _Row, item: Knock) -> bool:
    """Whether a way is open; one that was forgotten begins anew."""
    if row.passed:
        if item.now_ms - row.last_ms <= item.keep_ms:
            return True
        row.first_ms, row.passed = item.now_ms, False
        return False
    waited_ms = item.now_ms - row.first_ms
    if waited_ms > item.window_ms or waited_ms < 0:
        row.first_ms = item.now_ms
        return False
    return waited_ms >= item.delay_ms


def _load_locked(tx: Connection, keys: Sequence[str], now_ms: int) -> dict[str, _Row]:
    text = "last_ms = greylist.last_ms RETURNING key, first_ms, last_ms, passed"
    # SQLite has no booleans.
    found = _upsert(tx, [(key, now_ms, now_ms, False) for key in keys], text)
    return {key: _Row(first_ms, last_ms, bool(passed)) for key, first_ms, last_ms, passed in found}


def _write(tx: Connection, rows: dict[str, _Row]) -> None:
    changed = [(key, row.first_ms, row.last_ms, row.passed) for key, row in sorted(rows.items())]
    names = ("first_ms", "last_ms", "passed")
    _upsert(tx, changed, ", ".join([f"{name} = excluded.{name}" for name in names]))


def _upsert(tx: Connection, rows: Sequence[tuple[Any, ...]], change: str) -> list[Any]:
    found: list[Any] = []
    for start in range(0, len(rows), 5000):
        marks, parameters = values(tx, rows[start : start + 5000])
        # The names are those of ``schema``; every value is a parameter.
        text = f"INSERT INTO greylist (key, first_ms, last_ms, passed) {marks}"
        found += execute_text(tx, f"{text} ON CONFLICT (key) DO UPDATE SET {change}", parameters)
    return found


@value_class(frozen=True, slots=True)
class Pruning:
    """What of the greylist is forgotten."""

    now_ms: int
    window_ms: int
    keep_ms: int
    most: int = MOST_ROWS


def prune(tx: Connection, items: Sequence[Pruning]) -> list[int]:
    """Forget ways that nobody takes any more, and the oldest unknown ones where there are too many.

    Unit of work: idempotent.

    Returns:
        How many rows went.
    """
    gone: list[int] = []
    for item in items:
        stale = sa.or_(
            greylist.c.last_ms < item.now_ms - item.keep_ms,
            sa.and_(~greylist.c.passed, greylist.c.last_ms < item.now_ms - item.window_ms),
        )
        count = tx.execute(sa.delete(greylist).where(stale)).rowcount
        left = tx.execute(sa.select(sa.func.count()).select_from(greylist)).scalar_one()
        if left > item.most:
            oldest = (
                sa.select(greylist.c.key)
                .order_by(greylist.c.passed, greylist.c.last_ms)
                .limit(left - item.most)
            )
            count += tx.execute(sa.delete(greylist).where(greylist.c.key.in_(oldest))).rowcount
        gone.append(count)
    return gone
