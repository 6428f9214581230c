"""What is forgotten, and who is told late: once an hour, in one worker."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from zajil.check.greylist import prune_greylist
from zajil.check.reputation import forget_history
from zajil.config.options_check import GreylistOptions
from zajil.receive.services import ReceiveServices
from zajil.store.errors import StoreUnavailable
from zajil.submit.outgoing import tell_of_held_accounts

_EVERY_SECONDS = 3600


async def keep_history(services: ReceiveServices, greylist: GreylistOptions) -> None:
    """Prune history and greylist, and tell of held accounts; a failure is tried again later.

    Runs until it is cancelled, which leaves nothing behind.
    """
    while True:
        store, now_ms = services.store, services.clock.now_ms()
        with suppress(StoreUnavailable):
            await tell_of_held_accounts(services)
            await forget_history(store, now_ms)
            await prune_greylist(store, greylist, now_ms)
        await asyncio.sleep(_EVERY_SECONDS)
