"""What one worker has to make its services from."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zajil.accept.own_mail import OwnMailer
from zajil.app.traffic import TrafficCounter
from zajil.check.step import Checks
from zajil.config.options import Configuration
from zajil.config.options_shards import MAIN_SHARD
from zajil.core.clock import Clock, Random
from zajil.keys.sign import Signer
from zajil.mailauth.mark_certificate import MarkRoots
from zajil.monitor.meter_table import MeterRow, MeterTable
from zajil.net.floods import RefusalBudget
from zajil.net.limits import SessionTable
from zajil.net.peer import Networks
from zajil.read.guarded_fetch import GuardedFetcher
from zajil.read.sender_logos import LogoFinder
from zajil.reports.dmarc.counts import DmarcCounts
from zajil.reports.tls.counts import TlsCounts
from zajil.resolver.client import Resolver
from zajil.store.engine.open import Store
from zajil.tls.keeper import TlsKeeper

if TYPE_CHECKING:
    from zajil.app.sharded import WorkerShards

METRICS = "metrics"
"""The listener for programs that watch the server: ``listen.metrics``."""
ACCOUNTS = "accounts"
"""Name of the table that counts sessions by account, for all services together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerResources:
    """What one worker has to make its services from."""

    configuration: Configuration
    shard: str = MAIN_SHARD
    """Whose store ``store`` is."""
    shards: WorkerShards | None = None
    """All shards, this one included; ``None``: ``store`` is the only store."""
    command: tuple[str, ...] = ()
    """Arguments of this program that name the configuration; none: no command can be run."""
    worker: int
    """Slot of the worker: no two that live on this node have the same."""
    is_first: bool
    """Whether it is the one of its generation that does what a node does once."""
    sockets: Mapping[str, Sequence[socket.socket]]
    """Its own listening sockets, by service."""
    sessions: Mapping[str, SessionTable]
    """Counts that the workers share, by service; by account under ``ACCOUNTS``."""
    server_tls: TlsKeeper | None
    client_tls: ssl.SSLContext
    mark_roots: MarkRoots | None
    """Certificates that confirm logos of senders; ``None``: none are shown."""
    store: Store
    traffic: TrafficCounter
    """What this worker counts of each minute."""
    resolver: Resolver
    checks: Checks
    signer: Signer | None
    """``None``: nothing is signed (``keys.sign``)."""
    dmarc_counts: DmarcCounts | None
    tls_counts: TlsCounts | None
    """``None``: no DMARC reports are sent (``check.dmarc.report_interval``)."""
    clock: Clock
    random: Random
    meters: MeterRow | None = None
    """Where this worker counts; ``None``: nobody asked for metrics (``listen.metrics``)."""
    meter_table: MeterTable
    """What all workers count."""
    refusals: RefusalBudget
    """How many refused connections and commands are recorded."""


def guarded_fetcher(resources: WorkerResources) -> GuardedFetcher:
    """Return what asks servers that strangers named."""
    allowed = Networks(resources.configuration.web.private_networks)
    return GuardedFetcher(resources.resolver.resolve, resources.client_tls, allowed)


def logo_finder(resources: WorkerResources) -> LogoFinder | None:
    """Return what looks up logos of senders; ``None``: none are shown."""
    if resources.mark_roots is None:
        return None
    return LogoFinder(
        resources.store,
        resources.resolver.resolve,
        guarded_fetcher(resources),
        resources.mark_roots,
        resources.clock,
    )


def own_mailer(resources: WorkerResources) -> OwnMailer:
    """Return what sends bounces, reports and notices."""
    return OwnMailer(
        store=resources.store,
        clock=resources.clock,
        random=resources.random,
        lifetime_ms=resources.configuration.queue.lifetime_ms,
        signer=resources.signer,
    )
