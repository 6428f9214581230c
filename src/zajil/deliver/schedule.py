"""Which mail is tried next, how many at a time, and when again. Pure.

RFC 5321 section 4.5.4.1: retry with growing intervals, give up after 4 to 5 days.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
Hop = TypeVar("Hop", bound=Hashable)


def next_try_ms(
    now_ms: int, tries: int, expires_ms: int, *, first_ms: int, max_ms: int, jitter: float
) -> int:
    """Return when a recipient is tried again after its failure number ``tries``.

    Args:
        tries: failures so far, this one included; 1 after the first.
        expires_ms: never later than this: it is then given up, not tried.
        first_ms: wait after the first failure; doubles with each.
        max_ms: the longest wait.
        jitter: 0 up to 1; spreads mails that failed together over a fifth of the wait.
    """
    # 2**30 is past any max_ms; without the cap a long life makes huge numbers.
    wait_ms = min(first_ms * 2 ** min(tries - 1, 30), max_ms)
    return min(now_ms + int(wait_ms * (0.8 + 0.2 * jitter)), expires_ms)


class Schedule(Generic[Hop, T]):
    """Claimed work in memory: what waits and what runs, per next hop. All mail for a relay has one.

    Hops take turns, so that a thousand mails for one do not stand before the single mail for
    another.
    """

    def __init__(self, *, concurrency: int, concurrency_per_hop: int, capacity: int) -> None:
        self._concurrency = concurrency
        self._concurrency_per_hop = concurrency_per_hop
        self.capacity = capacity
        """How much may wait and run together."""
        self._waiting: dict[Hop, deque[T]] = {}  # in the order of their turns; no empty deques
        self._running: Counter[Hop] = Counter()
        self.running = 0
        """How many run now."""

    def is_running(self, hop: Hop) -> bool:
        """Return whether something runs for this hop."""
        return hop in self._running

    @property
    def room(self) -> int:
        """How many more may be claimed: what is held in memory is kept from other workers."""
        return max(0, self.capacity - sum(map(len, self._waiting.values())) - self.running)

    def crowded_hops(self) -> frozenset[Hop]:
        """Hops that have enough waiting: claim for others."""
        return frozenset(
            hop
            for hop, items in self._waiting.items()
            if len(items) + self._running[hop] >= max(self.capacity // 2, 1)
        )

    def waiting(self, hop: Hop) -> Sequence[T]:
        """Return what waits for a hop."""
        return self._waiting.get(hop, ())

    def add(self, hop: Hop, item: T) -> None:
        """Let an item wait for its turn."""
        self._waiting.setdefault(hop, deque()).append(item)

    def take(self) -> Iterator[tuple[Hop, T]]:
        """Return what may start now; each counts as running until ``finish``."""
        started = True
        while started:
            started = False
            for hop in list(self._waiting):
                if self.running >= self._concurrency:
                    return
                if self._running[hop] >= self._concurrency_per_hop:
                    continue
                items = self._waiting.pop(hop)
                item = items.popleft()
                if items:
                    self._waiting[hop] = items  # now the last in turn
                self._running[hop] += 1
                self.running += 1
                started = True
                yield hop, item

    def finish(self, hop: Hop) -> None:
        """One that ``take`` gave has ended."""
        self.running -= 1
        self._running[hop] -= 1
        if not self._running[hop]:
            del self._running[hop]

    def drop(self, hop: Hop) -> list[T]:
        """Take everything that waits for a hop, because it was found out of reach."""
        return list(self._waiting.pop(hop, ()))

    def drop_all(self) -> list[T]:
        """Take everything that waits, because we stop."""
        items = [item for waiting in self._waiting.values() for item in waiting]
        self._waiting.clear()
        return items
