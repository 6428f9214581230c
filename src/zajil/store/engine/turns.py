"""Who may work now: an account has one turn at a time, and accounts take turns.

Laws:
- An account that waits for a turn is passed by others, never by itself.
- A turn is short: whoever has much to do takes many (``read.imap`` says how much one may do).
"""

from __future__ import annotations

import asyncio
from collections import deque

from zajil.core.ids import AccountId


class Turns:
    """Gives turns to accounts; for use in one event loop.

    Args:
        most: turns at the same time, of different accounts.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._running: set[AccountId] = set()
        self._waiting: dict[AccountId, deque[asyncio.Future[None]]] = {}
        """In the order in which accounts get their turn."""

    async def take(self, account_id: AccountId) -> None:
        """Wait for a turn; ``give_back`` ends it. Cancelled, there is none to give back."""
        if self._free and account_id not in self._running and account_id not in self._waiting:
            self._begin(account_id)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(account_id)  # it was given in the same moment
            raise

    def give_back(self, account_id: AccountId) -> None:
        """End a turn: once for each that ``take`` gave."""
        self._running.remove(account_id)
        self._free += 1
        for waiting in list(self._waiting):
            if not self._free:
                return
            if waiting not in self._running:
                self._next_of(waiting)

    def _next_of(self, account_id: AccountId) -> None:
        """Start the account's oldest request; the account then goes to the end."""
        requests = self._waiting.pop(account_id)
        while requests:
            turn = requests.popleft()
            if not turn.done():  # else it was cancelled
                self._begin(account_id)
                turn.set_result(None)
                break
        if requests:
            self._waiting[account_id] = requests

    def _begin(self, account_id: AccountId) -> None:
        self._free -= 1
        self._running.add(account_id)
