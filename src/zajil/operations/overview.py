"""The state of the server in one look, for the administration pages."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zajil.config.options import Configuration
from zajil.store.engine.reader import Snapshot
from zajil.store.people.login_failures import SlowedNetwork, slowed_networks
from zajil.store.queue.queue_counts import QueueCounts, count_queue
from zajil.store.reports.traffic import load_traffic
from zajil.tls.certificate import CertificateFacts, read_certificate
from zajil.tls.context import BadCertificate
from zajil.tracking.traffic import MINUTE_MS

_MOST_REASONS = 5
_MOST_NETWORKS = 10
_SLOWED_MS = 600_000
"""As long as failed log-ins are remembered (``login.throttle``)."""


@dataclass(frozen=True, slots=True)
class Period:
    """What a chart covers."""

    minutes: int
    step: int
    """Minutes of one point."""


PERIODS: Mapping[str, Period] = {
    "hour": Period(60, 1),
    "day": Period(24 * 60, 15),
    "week": Period(7 * 24 * 60, 120),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """What an administrator sees first."""

    begin_ms: int
    """Of the first step of the counts."""
    step_ms: int
    counts: Mapping[str, list[int]]
    """By ``Figure``: the sum of each step; a figure of which nothing was counted is absent."""
    queue: QueueCounts
    slowed: tuple[SlowedNetwork, ...]
    """Networks with failed log-ins, most first."""

    def total(self, figure: str) -> int:
        """Return the sum of a figure in the whole period."""
        return sum(self.counts.get(figure, ()))

    def share(self, part: str, rest: str) -> int | None:
        """Return the percentage that one figure has of two; ``None``: both are 0."""
        one, other = self.total(part), self.total(rest)
        return round(100 * one / (one + other)) if one + other else None


def load_state(conn: Snapshot, period: Period, now_ms: int) -> ServerState:
    """Return the state of the server.

    Args:
        conn: a read of the store.
        period: of the counts; the minute that is not over is included.
        now_ms: the time.
    """
    end = now_ms // MINUTE_MS + 1
    begin = end - period.minutes
    return ServerState(
        begin_ms=begin * MINUTE_MS,
        step_ms=period.step * MINUTE_MS,
        counts=load_traffic(conn, begin, end, period.step),
        queue=count_queue(conn, _MOST_REASONS),
        slowed=tuple(slowed_networks(conn, now_ms - _SLOWED_MS, _MOST_NETWORKS)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineState:
    """What the disk and the certificate of this machine are like; other nodes have their own."""

    disk_size: int
    disk_free: int
    disk_reserve: int
    """Bytes below which no mail is accepted (``store.free_space_reserve``)."""
    certificate: CertificateFacts | None
    """``None``: none is configured, or it cannot be read."""


def load_machine(configuration: Configuration, data_dir: Path) -> MachineState:
    """Return the state of this machine; reads the disk."""
    usage = shutil.disk_usage(data_dir)
    certificate = None
    if configuration.tls.certificate is not None:
        try:
            certificate = read_certificate(configuration.tls.certificate)
        except BadCertificate:
            certificate = None
    return MachineState(
        disk_size=usage.total,
        disk_free=usage.free,
        disk_reserve=configuration.store.free_space_reserve,
        certificate=certificate,
    )
