"""What one worker knows of its relays: which ones it leaves alone for a while, and why.

After a wrong password every mail in the queue would log in with it, and the provider would lock the
account. So one log-in is tried at a time, and after a failure nobody tries for a minute: mail that
is due meanwhile is deferred with the same reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from zajil.core.clock import Clock
from zajil.deliver.outgoing_mail import RecipientResult
from zajil.net.logger import get_logger
from zajil.route.transport import Relay

PAUSE_MS = 60_000
"""How long nobody tries after a failure; longer failures are met by the intervals of the queue."""


@dataclass(slots=True)
class Relays:
    """The relays of one worker."""

    clock: Clock
    log: Any = field(default_factory=lambda: get_logger("zajil.deliver"))
    _pauses: dict[Relay, tuple[int, RecipientResult]] = field(default_factory=dict)
    """Until when, and with what result mail is deferred."""
    _turns: dict[Relay, asyncio.Lock] = field(default_factory=dict)

    def why_paused(self, relay: Relay | None) -> RecipientResult | None:
        """Return what mail for a relay is deferred with; ``None``: it may be tried."""
        if relay is None or relay not in self._pauses:
            return None
        until_ms, result = self._pauses[relay]
        return result if self.clock.now_ms() < until_ms else None

    def pause(self, relay: Relay, result: RecipientResult) -> None:
        """Let nobody try for a minute."""
        if self.why_paused(relay) is None:
            reason = result.diagnostic
            self.log.warning("mail to a relay is deferred", relay=str(relay), reason=reason)
        self._pauses[relay] = (self.clock.now_ms() + PAUSE_MS, result)

    def end_pause(self, relay: Relay) -> None:
        """Somebody could use it."""
        if self._pauses.pop(relay, None) is not None:
            self.log.info("a relay works again", relay=str(relay))

    @asynccontextmanager
    async def turn(self, relay: Relay | None) -> AsyncIterator[None]:
        """Wait until nobody else logs in."""
        if relay is None or relay.login is None:
            yield
            return
        async with self._turns.setdefault(relay, asyncio.Lock()):
            yield
