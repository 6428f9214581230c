"""Names of ours that strangers like to borrow, as one worker knows them.

Our domains, those an operator adds, and the names of our people. They are read when the first
mail comes, and again in the background after the directory changed; no mail waits for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from zajil.check.content.lookalike import skeleton
from zajil.check.content.phishing import NOBODY, Protected
from zajil.core.clock import Clock
from zajil.store.engine.batch import DIRECTORY
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.people.accounts import list_display_names
from zajil.store.people.directory import load_domains

MOST_NAMES = 2000
"""Where more people live they do not know each other, and many share a name: none is compared."""
_AGAIN_MS = 30_000
"""So long after the last reading the next one begins at the soonest: a script may add thousands."""


class OurNames:
    """What is compared with the authors and links of strangers."""

    def __init__(self, store: Store, brands: Iterable[str], clock: Clock) -> None:
        self._store = store
        self._brands = frozenset(brands)
        self._clock = clock
        self._protected = NOBODY
        self._is_stale = True
        self._read_ms: int | None = None
        self._reading: asyncio.Task[None] | None = None
        store.changes.subscribe(DIRECTORY, self._forget)

    async def protected(self) -> Protected:
        """Return the names; waits for the store the first time only."""
        if self._read_ms is None:
            await self.read()
        elif (
            self._is_stale
            and self._clock.now_ms() - self._read_ms >= _AGAIN_MS
            and (self._reading is None or self._reading.done())
        ):
            self._reading = asyncio.create_task(self.read())
        return self._protected

    async def read(self) -> None:
        """Read them anew; a store that is away leaves them as they were, for now."""
        self._read_ms = self._clock.now_ms()
        self._is_stale = False
        try:
            self._protected = await self._store.read(lambda conn: protect(conn, self._brands))
        except StoreUnavailable:
            self._is_stale = True

    def _forget(self) -> None:
        self._is_stale = True


def protect(conn: Any, brands: Iterable[str]) -> Protected:
    """Read what strangers must not borrow.

    Args:
        conn: a read of the store.
        brands: domains of others that an operator named.
    """
    names = _skeletons(list_display_names(conn, MOST_NAMES + 1))
    return Protected(load_domains(conn), names.__contains__, brands)


def _skeletons(names: Sequence[str]) -> frozenset[str]:
    if len(names) > MOST_NAMES:
        return frozenset()
    # A first name alone is everybody's.
    return frozenset([skeleton(name) for name in names if " " in name.strip()])
