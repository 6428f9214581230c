"""When the indexer may work: best while no mail comes in, and little while some does.

What the indexer does takes a thread of a worker that may be accepting mail. So it begins when no
message has come for a second, and while they keep coming it takes a sixteenth of the time: it falls
behind, and never stops. A message that has come is told of by the hint of its commit, in whatever
process that was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from zajil.store.engine.batch import NEW_MESSAGES
from zajil.store.engine.changes import Changes

_QUIET_SECONDS = 1.0
"""Without a new message: then there are likely to come no more for now."""
_LONGEST_WAIT = 5.0
"""From the first new message to the work, where they keep coming."""
_LOOK_SECONDS = 10.0
"""Between two looks at the store when no hint comes."""
_BUSY_SHARE = 15
"""How long the indexer then rests after a piece of work, to the time that this took."""


class IndexPace:
    """Waits for new messages, and for the time to index them; for use in one event loop."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._news = asyncio.Event()
        self._last = now() - _QUIET_SECONDS
        """When the last message came."""

    @property
    def is_busy(self) -> bool:
        """Whether messages are coming in."""
        return self._now() < self._last + _QUIET_SECONDS

    def follow(self, changes: Changes) -> Callable[[], None]:
        """Hear of new messages; returns a function that ends it.

        Until that was long enough to hear any, it takes them to be coming.
        """
        self._last = self._now()
        return changes.subscribe(NEW_MESSAGES, self.tell)

    async def wait_for_work(self) -> None:
        """Wait until there is something to index, or may be, and no more of it is coming."""
        try:
            await asyncio.wait_for(self._news.wait(), _LOOK_SECONDS)
        except TimeoutError:
            return
        self._news.clear()
        await self._wait_for_quiet(_LONGEST_WAIT)

    async def rest(self, seconds: float) -> None:
        """Leave the time to others after so many seconds of work."""
        if self.is_busy:
            await self._wait_for_quiet(seconds * _BUSY_SHARE)
        else:
            await self._sleep(seconds)

    async def _wait_for_quiet(self, longest: float) -> None:
        """Wait until no messages have been coming for a while, at most so long."""
        end = self._now() + longest
        while True:
            left = min(end, self._last + _QUIET_SECONDS) - self._now()
            if left <= 0:
                return
            await self._sleep(left)

    def tell(self) -> None:
        """Tell that a message has come."""
        self._last = self._now()
        self._news.set()
