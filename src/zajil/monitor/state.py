"""What is a state, read when it is asked for: queue, directory, disk, certificates."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from zajil.core.clock import Clock
from zajil.monitor import meters
from zajil.monitor.conditions import AlertKind, Ending
from zajil.monitor.meter_table import Labels
from zajil.monitor.meters import Meter
from zajil.net.limits import SessionTable
from zajil.store.backup.runs import load_run
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.nodes import NodeState, list_nodes
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.people.totals import count_directory
from zajil.store.queue.queue_counts import count_states
from zajil.store.reports.alerts import list_alerts

Values = Mapping[Meter, Mapping[Labels, float]]
"""Numbers by meter, and by the values of its labels."""
_KEPT_SECONDS = 5.0
"""How long an answer is given again: several who ask cost the store no more than one."""
_STORE_SECONDS = 8.0
"""How long the store may take; Prometheus waits for 10 s."""


@dataclass(frozen=True, slots=True)
class ShardPlace:
    """A shard besides the main one."""

    name: str
    store: Store | None
    """``None``: it could not be opened yet."""
    backup_place: str | None


@dataclass(slots=True, kw_only=True)
class StateReader:
    """Reads the states of a node and of its store."""

    store: Store
    clock: Clock
    reserve: int
    """``store.free_space_reserve``."""
    sessions: Mapping[str, SessionTable]
    """By service."""
    certificates: Callable[[], Awaitable[Sequence[Ending]]]
    """Lists those of this server."""
    backup_place: str | None = None
    """``backup.target``."""
    shards: Callable[[], Sequence[ShardPlace]] = tuple
    """Lists the shards besides the main one."""
    _kept: Values = field(default_factory=dict)
    _kept_at: float = -_KEPT_SECONDS
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self) -> Values:
        """Return all states; those of the store are missing while it cannot be read."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._kept_at >= _KEPT_SECONDS:
                self._kept, self._kept_at = await self._read(), now
        return {**self._kept, meters.SESSIONS: self._sessions()}

    async def _read(self) -> Values:
        found: dict[Meter, Mapping[Labels, float]] = {
            meters.BUILD: {(version("zajil"),): 1},
            meters.STORE_UP: {(): 0},
        }
        found |= await asyncio.to_thread(self._disk)
        # At the same time: several that hang must not take longer than whoever asks waits.
        for values in await asyncio.gather(self._of_main(), self._of_replica(), self._of_shards()):
            found |= values
        return found

    async def _of_main(self) -> Values:
        found: dict[Meter, Mapping[Labels, float]] = {}
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                found |= await self.store.read(self._of_store)
                found[meters.CERTIFICATE_END] = {
                    (one.name,): one.not_after_ms / 1000 for one in await self.certificates()
                }
        except (StoreUnavailable, TimeoutError):
            return found
        return {**found, meters.STORE_UP: {(): 1}}

    async def _of_shards(self) -> Values:
        """Return the states of the other shards; one that cannot be read is only said to be so."""
        places = self.shards()
        found: dict[Meter, dict[Labels, float]] = {one: {} for one in _OF_SHARDS if places}
        read = await asyncio.gather(*map(self._read_shard, places))
        for place, values in zip(places, read, strict=True):
            found[meters.SHARD_UP][(place.name,)] = float(values is not None)
            for meter, numbers in (values or {}).items():
                found[meter] |= {(place.name, *more): value for more, value in numbers.items()}
        return found

    async def _read_shard(self, place: ShardPlace) -> Values | None:
        if place.store is None:
            return None

        def load(conn: Snapshot) -> Values:
            now_ms = self.clock.now_ms()
            queue = _queue(conn, now_ms)
            return {
                meters.SHARD_QUEUE: queue[meters.QUEUE],
                meters.SHARD_QUEUE_AGE: queue[meters.QUEUE_AGE],
                meters.SHARD_ACCOUNTS: {(): count_directory(conn).accounts},
                meters.SHARD_ALERTS: {(): len(list_alerts(conn))},
                meters.SHARD_BACKUP_AGE: _backup(conn, place.backup_place, now_ms),
            }

        try:
            async with asyncio.timeout(_STORE_SECONDS / 2):
                return await place.store.read(load)
        except (StoreUnavailable, TimeoutError):
            return None

    def _of_store(self, conn: Snapshot) -> Values:
        now_ms = self.clock.now_ms()
        totals = count_directory(conn)
        alerts = Counter(row.kind for row in list_alerts(conn))
        return {
            meters.ALERTS: {(kind.value,): alerts[kind.value] for kind in AlertKind},
            **_queue(conn, now_ms),
            meters.ACCOUNTS: {(): totals.accounts},
            meters.HELD_ACCOUNTS: {(): totals.held},
            meters.DOMAINS: {(): totals.domains},
            meters.DATABASE_SIZE: {(): self.store.database_size(conn)},
            meters.BACKUP_AGE: _backup(conn, self.backup_place, now_ms),
            **self._nodes(conn),
        }

    def _nodes(self, conn: Snapshot) -> Values:
        if not self.store.standing.is_shared:
            return {}
        rows = list_nodes(conn)
        states = Counter(row.state for row in rows)
        own = [row for row in rows if row.node_id == self.store.node_id]
        return {
            meters.NODES: {(state.value,): states[state] for state in NodeState},
            meters.CLOCK_SKEW: {(): own[0].skew_ms / 1000} if own else {},
        }

    async def _of_replica(self) -> Values:
        if self.store.replica is None:
            return {}
        try:
            async with asyncio.timeout(_STORE_SECONDS / 2):
                lag = await asyncio.to_thread(self.store.replica.known_lag)
        except TimeoutError:
            return {}
        return {} if lag is None else {meters.REPLICA_LAG: {(): lag}}

    def _disk(self) -> Values:
        disk = os.statvfs(self.store.data_dir)
        return {
            meters.DISK_FREE: {(): disk.f_bavail * disk.f_frsize},
            meters.DISK_SIZE: {(): disk.f_blocks * disk.f_frsize},
            meters.DISK_RESERVE: {(): self.reserve},
        }

    def _sessions(self) -> Mapping[Labels, float]:
        (services,) = meters.SESSIONS.labels.values()
        return {(name,): self.sessions[name].count() for name in services if name in self.sessions}


def _queue(conn: Snapshot, now_ms: int) -> Values:
    queue = count_states(conn)
    ages = {
        (state.value,): 0.0 if one.oldest_ms is None else (now_ms - one.oldest_ms) / 1000
        for state, one in queue.items()
    }
    return {
        meters.QUEUE: {(state.value,): one.number for state, one in queue.items()},
        meters.QUEUE_AGE: {labels: max(0.0, age) for labels, age in ages.items()},
    }


def _backup(conn: Snapshot, place: str | None, now_ms: int) -> Mapping[Labels, float]:
    run = None if place is None else load_run(conn, place)
    if run is None or run.done_ms is None:
        return {}
    return {(): max(0.0, (now_ms - run.done_ms) / 1000)}


_OF_SHARDS = (
    *(meters.SHARD_UP, meters.SHARD_QUEUE, meters.SHARD_QUEUE_AGE, meters.SHARD_ACCOUNTS),
    *(meters.SHARD_ALERTS, meters.SHARD_BACKUP_AGE),
)
