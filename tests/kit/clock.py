"""Time that moves only when a test says so."""

from __future__ import annotations


class HastyClock:
    """A ``core.clock.Clock`` on which time passes whenever somebody looks at it."""

    def __init__(self, step_ms: int) -> None:
        self._now_ms = 1_800_000_000_000
        self._step_ms = step_ms

    def now_ms(self) -> int:
        """Return the time, and go on."""
        self._now_ms += self._step_ms
        return self._now_ms


class FakeClock:
    """A ``core.clock.Clock`` that stands still until ``advance`` is called."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC, as the test has set them."""
        return self._now_ms

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self._now_ms += milliseconds


class CountingRandom:
    """A ``core.clock.Random`` whose every draw differs and is the same in each run."""

    def __init__(self, start: int = 1) -> None:
        self._next = start

    def __call__(self, size: int) -> bytes:
        """Return ``size`` bytes: a number that grows by one with each draw."""
        value, self._next = self._next, self._next + 1
        return value.to_bytes(max(size, 8), "big")[-size:]
