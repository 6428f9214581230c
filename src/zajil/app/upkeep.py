"""What is forgotten, and who is told late: now and then, in one worker."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from zajil.accept.context import ReceiveServices
from zajil.check.learned.greylist import prune_greylist
from zajil.check.learned.reputation import forget_history
from zajil.config.options_check import GreylistOptions
from zajil.core.clock import Clock
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.submit.outgoing import tell_of_held_accounts
from zajil.tls.certificate import DAY_MS, read_certificate
from zajil.tls.context import BadCertificate
from zajil.tracking.events import CertificateEnding

_EVERY_SECONDS = 3600
_TOLD_DAYS = (1, 3, 7, 14)
"""Days before the end of the certificate on which it is told."""
_EXPIRED = -1


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


async def watch_certificate(store: Store, clock: Clock, certificate: Path) -> None:
    """Tell 14, 7, 3 and 1 days before that the certificate ends, and daily once it has ended.

    Looks at the file at once and then once a day. Runs until it is cancelled.
    """
    told: int | None = None
    while True:
        told = await tell_of_certificate(store, clock, certificate, told)
        await asyncio.sleep(DAY_MS / 1000)


async def tell_of_certificate(
    store: Store, clock: Clock, certificate: Path, told: int | None
) -> int | None:
    """Record that the certificate ends soon, unless that was told before.

    Args:
        store: for the event, of which the log hears.
        clock: the time.
        certificate: PEM file; one that cannot be read is left alone: ``serve`` has read it.
        told: what this returned the last time.

    Returns:
        Which of the days before the end was reached; ``None``: the end is far.
    """
    try:
        facts = await asyncio.to_thread(read_certificate, certificate)
    except BadCertificate:
        return told
    now_ms = clock.now_ms()
    days_left = (facts.not_after_ms - now_ms) // DAY_MS
    reached = next((days for days in _TOLD_DAYS if days_left <= days), None)
    reached = _EXPIRED if days_left < 0 else reached
    if reached is not None and (reached == _EXPIRED or reached != told):
        event = CertificateEnding(now_ms, facts.names, facts.not_after_ms, days_left)
        store.write_later(record_events, EventBatch(None, None, now_ms, (event,)))
    return reached
