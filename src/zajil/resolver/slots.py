"""Limits on the number of concurrent queries, in total and per domain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MAX_QUESTIONS = 256
"""Each takes a socket, and a process has 1024 by default."""
MAX_OF_DOMAIN = 64
"""Of one registered domain: a stranger whose servers never answer leaves room for others."""


class Slots:
    """Who asks takes a slot; who finds none waits, first come first served."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(MAX_QUESTIONS)
        self._of: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}
        """By domain: its slots, and one item for each question that has or wants one."""

    @asynccontextmanager
    async def take(self, domain: str, until: float) -> AsyncIterator[bool]:
        """Hold a slot while the body runs; gives whether there was one in time.

        Args:
            domain: the registered domain that is asked about.
            until: time of the event loop.
        """
        slots, users = self._of.setdefault(domain, (asyncio.Semaphore(MAX_OF_DOMAIN), []))
        users.append(None)
        try:
            if not await _acquire(slots, until):
                yield False
                return
            try:
                if not await _acquire(self._all, until):
                    yield False
                    return
                try:
                    yield True
                finally:
                    self._all.release()
            finally:
                slots.release()
        finally:
            users.pop()
            if not users:
                del self._of[domain]


async def _acquire(slots: asyncio.Semaphore, until: float) -> bool:
    try:
        async with asyncio.timeout_at(until):
            await slots.acquire()
    except TimeoutError:
        return False
    return True
