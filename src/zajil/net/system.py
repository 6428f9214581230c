"""The real clock and the real random source (design D10): given to everything by ``app``."""

from __future__ import annotations

import os
import time


class SystemClock:
    """``core.clock.Clock`` of this machine."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000


def system_random(size: int) -> bytes:
    """Give random bytes that cannot be guessed: ``core.clock.Random`` of this machine."""
    return os.urandom(size)
