"""The real clock and the real random source: given to everything by ``app``."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

_DRAW_SIZE = 4096


class SystemClock:
    """``core.clock.Clock`` of this machine."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000


def system_random(size: int) -> bytes:
    """Return random bytes that cannot be guessed: ``core.clock.Random`` of this machine."""
    return os.urandom(size)


class BufferedRandom:
    """``core.clock.Random`` that asks the system for many bytes at a time.

    Each system call gives up the GIL, and beside a busy writer's thread getting it back costs
    more than the call. Make one after the fork: two processes must not share what is buffered.
    Threads may share one.
    """

    def __init__(self, draw: Callable[[int], bytes] = os.urandom) -> None:
        self._draw = draw
        self._buffer = b""
        self._at = 0
        self._lock = threading.Lock()

    def __call__(self, size: int) -> bytes:
        """Return ``size`` bytes that nobody else gets."""
        with self._lock:
            at = self._at
            if at + size > len(self._buffer):
                self._buffer, at = self._draw(max(size, _DRAW_SIZE)), 0
            self._at = at + size
            return self._buffer[at : at + size]
