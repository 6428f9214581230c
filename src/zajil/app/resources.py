"""What one worker has to build its parts from."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zajil.check.dmarc_counts import DmarcCounts
from zajil.check.step import Checks
from zajil.config.options import Configuration
from zajil.core.clock import Clock, Random
from zajil.keys.sign import Signer
from zajil.net.floods import RefusalBudget
from zajil.net.limits import SessionTable
from zajil.resolver.client import Resolver
from zajil.store.engine.open import Store

ACCOUNTS = "accounts"
"""Name of the table that counts sessions by account, for all services together."""


@dataclass(frozen=True, slots=True)
class WorkerResources:
    """What one worker has to build its parts from."""

    configuration: Configuration
    number: int
    """Of the worker, from 0."""
    sockets: Mapping[str, Sequence[socket.socket]]
    """Its own listening ones, by service."""
    sessions: Mapping[str, SessionTable]
    """Counts that it shares with the other workers, by service; and by account, ``ACCOUNTS``."""
    server_tls: ssl.SSLContext | None
    client_tls: ssl.SSLContext
    store: Store
    resolver: Resolver
    checks: Checks
    signer: Signer | None
    """``None``: nothing is signed (``keys.sign``)."""
    dmarc_counts: DmarcCounts | None
    """``None``: nobody is told of mail in his name (``check.dmarc.report_interval``)."""
    clock: Clock
    random: Random
    refusals: RefusalBudget | None = None
    """How many refusals are kept; ``None``: all."""
