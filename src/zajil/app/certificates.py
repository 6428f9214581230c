"""Certificates while a worker runs: files that change, and those that end soon."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from zajil.core.clock import Clock
from zajil.net.logger import get_logger
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.tls.certificate import DAY_MS, CertificateFacts, read_certificate
from zajil.tls.context import BadCertificate
from zajil.tls.keeper import TlsKeeper
from zajil.tracking.events import CertificateEnding

WATCH_SECONDS = 60.0
_TOLD_DAYS = (1, 3, 7, 14)
"""Days before the end of a certificate on which a warning is logged."""
_EXPIRED = -1


async def watch_own_files(tls: TlsKeeper, seconds: float = WATCH_SECONDS) -> None:
    """Present the certificates of ``tls.certificate`` and ``tls.more`` anew when they change.

    Each worker does this for itself. Runs until it is cancelled.
    """
    log = get_logger()
    while True:
        replaced, problems = await asyncio.to_thread(tls.look)
        for path in replaced:
            log.info("certificate replaced", certificate=str(path))
        for reason in problems:
            log.error("cannot read a new certificate, the old one stays in use", reason=reason)
        await asyncio.sleep(seconds)


async def watch_ends(store: Store, clock: Clock, tls: TlsKeeper) -> None:
    """Warn 14, 7, 3 and 1 days before a certificate ends, and daily once it has ended.

    Looks at the files at once and then once a day. Runs until it is cancelled.
    """
    told: Mapping[str, int] = {}
    while True:
        found = await asyncio.to_thread(_read_all, tls)
        told = await tell_of_ends(store, clock, found, told)
        await asyncio.sleep(DAY_MS / 1000)


def _read_all(tls: TlsKeeper) -> dict[str, CertificateFacts]:
    found = {}
    for path in tls.own_certificates:
        try:
            found[str(path)] = read_certificate(path)
        except BadCertificate:  # ``watch_own_files`` tells it
            continue
    return found


async def tell_of_ends(
    store: Store, clock: Clock, found: Mapping[str, CertificateFacts], told: Mapping[str, int]
) -> dict[str, int]:
    """Record which certificates end soon, unless that was recorded before.

    Args:
        store: for the event, which also becomes a log line.
        clock: the time.
        found: the certificates by their files, or by the names of their hosts.
        told: what this returned the last time.

    Returns:
        Which of the days before its end a certificate has reached; absent: the end is far.
    """
    now_ms, all_reached = clock.now_ms(), {}
    for name, facts in found.items():
        days_left = (facts.not_after_ms - now_ms) // DAY_MS
        reached = next((days for days in _TOLD_DAYS if days_left <= days), None)
        if reached is None:
            continue
        reached = _EXPIRED if days_left < 0 else reached
        all_reached[name] = reached
        if reached == _EXPIRED or reached != told.get(name):
            event = CertificateEnding(now_ms, facts.names, facts.not_after_ms, days_left)
            store.write_later(record_events, EventBatch(None, None, now_ms, (event,)))
    return all_reached
