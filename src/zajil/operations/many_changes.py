"""The same change for many things: some in one commit, and one that fails alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from zajil.core.errors import ZajilError
from zajil.operations.context import OperationContext, Recorded
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.writer import Transaction
from zajil.tracking.audit import AuditEvent

AT_ONCE = 50
"""Things that are changed in one commit."""

T = TypeVar("T")
R = TypeVar("R")


async def change_each(
    context: OperationContext,
    items: Sequence[T],
    change: Callable[[Transaction, T], Recorded[R]],
) -> list[tuple[T, R | ZajilError]]:
    """Make a change for each of up to ``AT_ONCE`` things, with its audit events.

    Args:
        context: the store and what belongs to it.
        items: what is changed.
        change: as the work of ``OperationContext.change``, for one of them.

    Returns:
        In the order of the items; an error instead of the result where nothing was changed.

    Raises:
        StoreUnavailable: none, or all, of them are on disk.
    """

    def work(tx: Transaction) -> Recorded[list[R]]:
        results: list[R] = []
        events: list[AuditEvent] = []
        for item in items:
            result, said = change(tx, item)
            results.append(result)
            events += said
        return results, events

    if not items:
        return []
    try:
        return list(zip(items, await context.change(work), strict=True))
    except StoreUnavailable:
        raise
    except ZajilError as error:
        if len(items) == 1:
            return [(items[0], error)]
    # One of them fails, and took the others back with it: one by one.
    return [done for item in items for done in await change_each(context, [item], change)]
