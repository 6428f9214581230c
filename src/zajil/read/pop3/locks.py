"""Who has which maildrop: the leases of one worker. (RFC 1939 section 4)

Laws:
- A worker renews its leases as long as it lives; those of a dead one end by themselves, or when
  another worker takes its place.
- Nobody waits for a maildrop: the second session is refused.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from zajil.core.clock import Clock
from zajil.core.ids import AccountId
from zajil.net.logger import get_logger
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.maildrops import (
    MaildropRenewal,
    MaildropTake,
    release_all_maildrops,
    release_maildrops,
    renew_maildrops,
    take_maildrops,
)

_LEASE_MS = 120_000
_RENEWED_SECONDS = 30.0

logger = get_logger()


class MaildropLocks:
    """The maildrops that the sessions of one worker have.

    Args:
        store: is started.
        worker: number of the worker among those of its node.
        clock: the same on all nodes, more or less.
        lease_ms: how long a maildrop stays locked when its worker has died.
        renewed_seconds: how often leases are renewed.
    """

    def __init__(
        self,
        store: Store,
        worker: int,
        clock: Clock,
        *,
        lease_ms: int = _LEASE_MS,
        renewed_seconds: float = _RENEWED_SECONDS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._holder = f"{store.node_id}/{worker}"
        self._lease_ms = lease_ms
        self._renewed_seconds = renewed_seconds
        self._tokens: set[str] = set()

    async def begin(self) -> None:
        """End the leases of the worker whose place this one takes; before anybody logs in."""
        with suppress(StoreUnavailable):  # then they end by themselves
            await self._store.write(release_all_maildrops, self._holder)

    async def run(self) -> None:
        """Renew leases until cancelled."""
        while True:
            await asyncio.sleep(self._renewed_seconds)
            if self._tokens:
                try:
                    await self._renew(tuple(self._tokens))
                except StoreUnavailable as error:
                    logger.warning("POP3: cannot renew locks of mailboxes", reason=str(error))

    async def take(self, account_id: AccountId, token: str) -> bool:
        """Take the maildrop of an account for a session; false: another session has it.

        Raises:
            StoreUnavailable: nobody knows.
        """
        now_ms = self._clock.now_ms()
        item = MaildropTake(
            account_id=account_id,
            holder=self._holder,
            token=token,
            now_ms=now_ms,
            until_ms=now_ms + self._lease_ms,
        )
        self._tokens.add(token)
        try:
            taken = await self._store.write(take_maildrops, item)
        except BaseException:  # it may have been taken all the same
            self.release_later(token)
            raise
        if not taken:
            self._tokens.discard(token)
        return taken

    async def still_has(self, token: str) -> bool:
        """Renew the lease of a session; false: it was lost.

        Raises:
            StoreUnavailable: nobody knows.
        """
        return token in await self._renew((token,))

    async def release(self, token: str) -> None:
        """Let others have the maildrop of a session; returns when they can.

        Raises:
            StoreUnavailable: they can when its lease has ended.
        """
        self._tokens.discard(token)
        await self._store.write(release_maildrops, token)

    def release_later(self, token: str) -> None:
        """Let others have it soon; nothing happens where it was released."""
        if token in self._tokens:
            self._tokens.discard(token)
            self._store.write_later(release_maildrops, token)

    async def _renew(self, tokens: tuple[str, ...]) -> frozenset[str]:
        until_ms = self._clock.now_ms() + self._lease_ms
        item = MaildropRenewal(self._holder, tokens, until_ms)
        return await self._store.write(renew_maildrops, item)
