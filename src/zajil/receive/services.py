"""What every SMTP session of one listener shares."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.config.options import LimitOptions
from zajil.core.clock import Clock, Random
from zajil.store.open import Store


@dataclass(frozen=True, slots=True)
class ReceiveServices:
    """What every session of one listener shares."""

    store: Store
    clock: Clock
    random: Random
    limits: LimitOptions
    hostname: str
    service: str
    """``smtp``, ``submission``, ``submissions`` or ``web``: for the journey."""
    lifetime_ms: int
    """``queue.lifetime``: how long delivery elsewhere is tried."""
