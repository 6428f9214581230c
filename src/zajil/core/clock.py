"""The clock, passed as an argument."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Tells the time; the real one is ``net.system.SystemClock``, tests bring their own."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""


class Random(Protocol):
    """Gives random bytes that cannot be guessed."""

    def __call__(self, size: int, /) -> bytes:
        """Return ``size`` bytes."""
