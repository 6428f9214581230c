"""Certificates while a worker runs: files and the store, what changes, and what ends soon."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from zajil.app.chores import Chore
from zajil.app.resources import WorkerResources
from zajil.certificates.listing import list_all
from zajil.config.options import Configuration
from zajil.core.clock import Clock
from zajil.net.logger import get_logger
from zajil.resolver.client import Resolver
from zajil.store.engine.batch import CERTIFICATES
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.people.certificates import load_challenge_certificates, load_presented
from zajil.tls.certificate import DAY_MS, CertificateFacts
from zajil.tls.context import CertificateAndKey
from zajil.tls.keeper import TlsKeeper
from zajil.tls.self_signed import make_self_signed
from zajil.tracking.events import CertificateEnding

WATCH_SECONDS = 60.0
_TOLD_DAYS = (1, 3, 7, 14)
"""Days before the end of a certificate on which a warning is logged."""
_EXPIRED = -1


def make_keeper(configuration: Configuration, now_ms: int) -> TlsKeeper | None:
    """Load the own files; with ``[acme]`` and without files, begin with a self-signed certificate.

    Returns:
        ``None``: neither is configured, and the server has no TLS.

    Raises:
        BadCertificate: a file cannot be used.
    """
    own, hostname = configuration.tls.own_files, configuration.server.hostname
    if not own and configuration.acme.directory is None:
        return None
    fallback = None if own else make_self_signed((hostname,), now_ms)
    return TlsKeeper(own, hostname=hostname, fallback=fallback)


class StoredCertificates:
    """Presents the certificates of the store in one worker, and answers challenges."""

    def __init__(self, store: Store, tls: TlsKeeper) -> None:
        self._store = store
        self._tls = tls

    async def load(self) -> None:
        """Load them; call it before the listeners accept.

        Raises:
            StoreUnavailable: those from before stay.
        """
        presented, challenges = await self._store.read(
            lambda conn: (load_presented(conn), load_challenge_certificates(conn))
        )
        pairs = [
            {one.name: CertificateAndKey(one.chain, one.private_key) for one in found}
            for found in (presented, challenges)
        ]
        self._tls.offer(pairs[0])
        self._tls.answer(pairs[1])

    async def run(self) -> None:
        """Load them again after each change; until cancelled."""
        changed = asyncio.Event()
        unsubscribe = self._store.changes.subscribe(CERTIFICATES, changed.set)
        try:
            while True:
                await changed.wait()
                changed.clear()
                try:
                    await self.load()
                except StoreUnavailable:
                    changed.set()
                    await asyncio.sleep(1)
        finally:
            unsubscribe()


def certificate_chore(resources: WorkerResources, tls: TlsKeeper) -> Chore:
    """Return the background task that obtains and renews certificates."""
    # Imported here, because servers with certificates in files need none of it.
    from zajil.certificates.order import Orders
    from zajil.certificates.upkeep import CertificateUpkeep

    configuration, clock = resources.configuration, resources.clock
    # An answer from before the record was written would be worth nothing.
    anew = Resolver(configuration.dns.model_copy(update={"cache_size": 0}), clock, resources.random)
    orders = Orders(
        resources.store, configuration.acme, configuration.dns_provider, anew.resolve, clock
    )
    upkeep = CertificateUpkeep(
        resources.store,
        configuration.acme,
        orders,
        resources.resolver.resolve,
        clock,
        resources.random,
        hostname=configuration.server.hostname,
        has_own=tls.has_own,
    )
    return Chore("certificates", upkeep.run)


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


async def watch_ends(store: Store, clock: Clock, configuration: Configuration) -> None:
    """Warn 14, 7, 3 and 1 days before a certificate ends, and daily once it has ended.

    Looks at the files and the store at once and then once a day. Runs until it is cancelled.
    """
    told: Mapping[str, int] = {}
    while True:
        with suppress(StoreUnavailable):
            found = await read_all_facts(store, clock, configuration)
            told = await tell_of_ends(store, clock, found, told)
        await asyncio.sleep(DAY_MS / 1000)


async def read_all_facts(
    store: Store, clock: Clock, configuration: Configuration
) -> dict[str, CertificateFacts]:
    """Return all certificates of this server by their files or host names.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    listed = await store.read(lambda conn: list_all(conn, configuration, clock.now_ms()))
    return {one.file or one.name: one.facts for one in listed if one.facts is not None}


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
