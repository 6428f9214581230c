"""What a search of messages needs: a session of IMAP has it, and so has a page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from zajil.core.clock import Clock
from zajil.login.account import Account
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot

R = TypeVar("R")


@dataclass(slots=True, kw_only=True)
class SearchContext:
    """Who searches, and where."""

    store: Store
    account: Account
    clock: Clock

    async def read(self, query: Callable[[Snapshot], R]) -> R:
        """Run a query in a reader thread, when it is this account's turn.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        return await self.store.read(query, self.account.account_id)

    async def work(self, task: Callable[[], R]) -> R:
        """Run what needs no snapshot in a reader thread, when it is this account's turn."""
        return await self.store.work(task, self.account.account_id)

    async def pause(self) -> None:
        """Let others go on between two turns; a search whose client is gone ends here."""
        await asyncio.sleep(0)

    def tell_progress(self, done: int, total: int | None) -> None:
        """Tell the client how many messages were looked at; a page waits for the answer instead.

        Args:
            done: messages.
            total: of so many; ``None``: it is not known.
        """
