"""What a worker found out a moment ago, bounded in time and number. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Values by key, each believed for a time; when it is full, it is emptied."""

    def __init__(self, kept_ms: int, most: int) -> None:
        """Begin with nothing.

        Args:
            kept_ms: how long a value is believed at most.
            most: number of values that are kept.
        """
        self._kept_ms = kept_ms
        self._most = most
        self._values: dict[K, tuple[V, int, int]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K, now_ms: int) -> V | None:
        """Return a value that is still believed."""
        kept = self._values.get(key)
        # A clock that was set back must not make a value live longer.
        if kept is None or not kept[1] <= now_ms < kept[2]:
            return None
        return kept[0]

    def put(self, key: K, value: V, now_ms: int, ttl_seconds: int | None = None) -> None:
        """Keep a value; ``ttl_seconds`` may shorten the time, and 0 keeps nothing."""
        kept_ms = self._kept_ms
        if ttl_seconds is not None:
            kept_ms = min(kept_ms, ttl_seconds * 1000)
        if kept_ms <= 0:
            return
        if len(self._values) >= self._most:
            self._values.clear()
        self._values[key] = (value, now_ms, now_ms + kept_ms)
