"""Finds the conditions of the machine, the queue, certificates, keys and the store.

A finder returns what it found, or ``None`` where that cannot be known now.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zajil.config.options_backup import BackupOptions
from zajil.config.options_monitor import AlertOptions
from zajil.core.clock import Clock
from zajil.monitor.conditions import DAY_MS, AlertCondition, AlertKind, Ending, Fact
from zajil.store.backup.runs import load_run
from zajil.store.engine.nodes import ALIVE, NodeState, list_nodes
from zajil.store.engine.open import Store
from zajil.store.engine.rolling import find_unfinished
from zajil.store.people.dkim_keys import KeyState, list_dkim_keys
from zajil.store.people.domains import list_domains
from zajil.store.queue.queue_counts import late_mail

Facts = Mapping[str, Fact]
Found = Sequence[AlertCondition] | None
Find = Callable[[], Awaitable[Found]]

_MOST_SHOWN = 3
_ENDS_SOON_MS = 14 * DAY_MS
_WINDOW_MS = 600_000
_MOST_DEATHS = 3
"""Within ten minutes; a single one is told by the log."""
_MOST_SKEW_MS = 60_000
_BACKUP_PATIENCE_MS = 6 * 3_600_000


@dataclass(frozen=True, slots=True)
class AlertWatch:
    """One finder, and how often it looks."""

    kinds: frozenset[AlertKind]
    """All that it finds."""
    find: Find
    seconds: float = 300.0
    first_seconds: float = 0.0
    """Before it looks for the first time."""


async def find_full_disk(folder: Path, options: AlertOptions, reserve: int) -> Found:
    """Compare the free space with ``alerts.disk_free`` and the reserve."""
    disk = await asyncio.to_thread(os.statvfs, folder)
    free = disk.f_bavail * disk.f_frsize
    facts: Facts = {"free_bytes": free, "reserve_bytes": reserve, "folder": str(folder)}
    if free < reserve:
        return [AlertCondition(AlertKind.DISK_FULL, "", facts)]
    return [AlertCondition(AlertKind.DISK, "", facts)] if free < options.disk_free else []


async def find_late_mail(store: Store, options: AlertOptions, clock: Clock) -> Found:
    """Find mail that waits for longer than ``alerts.queue_age``."""
    now_ms = clock.now_ms()
    before_ms = now_ms - options.queue_age_ms
    late = await store.read(lambda conn: late_mail(conn, before_ms, now_ms, _MOST_SHOWN))
    if late.oldest_ms is None:
        return []
    reasons = "; ".join(f"{reason or 'not tried yet'} ({count})" for reason, count in late.reasons)
    facts: Facts = {"count": late.number, "oldest_age": now_ms - late.oldest_ms, "reasons": reasons}
    return [AlertCondition(AlertKind.QUEUE, "", facts)]


async def find_old_backup(store: Store, options: BackupOptions, clock: Clock) -> Found:
    """Compare the last backup with ``backup.every``; a failure is tried again for six hours."""
    place = options.target
    if place is None or not options.every_ms:
        return []
    run = await store.read(lambda conn: load_run(conn, place))
    if run is None:
        return []  # the server makes the first one now
    patience_ms = options.every_ms + min(options.every_ms, _BACKUP_PATIENCE_MS)
    facts: dict[str, Fact] = {"reason": run.error or "-"}
    if run.done_ms is not None:
        if clock.now_ms() - run.done_ms <= patience_ms:
            return []
        facts["done_ms"] = run.done_ms
    return [AlertCondition(AlertKind.BACKUP, "", facts)]


async def find_ending_certificates(
    certificates: Callable[[], Awaitable[Sequence[Ending]]], clock: Clock
) -> Found:
    """Find certificates that should have been renewed: two weeks or a sixth of their life before
    the end, whichever is less. Those that renew themselves do so much earlier."""
    now_ms = clock.now_ms()
    return [
        AlertCondition(AlertKind.CERTIFICATE, one.name, {"end_ms": one.not_after_ms})
        for one in await certificates()
        if one.not_after_ms - now_ms
        < min(_ENDS_SOON_MS, (one.not_after_ms - one.not_before_ms) // 6)
    ]


async def find_unsigned_domains(store: Store, clock: Clock) -> Found:
    """Find domains without a key that signs; a new one has a day to get its record published."""
    keys = await store.read(list_dkim_keys)
    domains = await store.read(list_domains)
    signed = {key.domain for key in keys if key.state is KeyState.ACTIVE}
    new_ms = clock.now_ms() - DAY_MS
    fresh = {key.domain for key in keys if key.created_ms > new_ms}
    return [
        AlertCondition(AlertKind.DKIM_KEY, one.ascii_name)
        for one in domains
        if one.ascii_name not in signed | fresh
    ]


async def find_ill_nodes(store: Store) -> Found:
    """Find nodes that are gone, and those whose clock differs by more than a minute."""
    found = []
    for row in await store.read(list_nodes):
        facts: dict[str, Fact] = {"host": row.host}
        # A node without a version starts for the first time.
        if row.state is NodeState.GONE and row.version:
            found.append(AlertCondition(AlertKind.NODE, row.node_id, facts))
        elif row.state in ALIVE and abs(row.skew_ms) > _MOST_SKEW_MS:
            facts["skew_age"] = abs(row.skew_ms)
            found.append(AlertCondition(AlertKind.CLOCK, row.node_id, facts))
    return found


async def find_unfinished_upgrade(store: Store) -> Found:
    """Find changes of the tables that wait, although no node of an older version runs any more."""
    left = await store.read(find_unfinished)
    if left is None or left.waits:
        return []
    return [AlertCondition(AlertKind.UPGRADE, "", {"schema": left.needed})]


@dataclass(slots=True)
class WorkerWatch:
    """Finds out whether workers die again and again; remembers ten minutes."""

    deaths: Callable[[], float]
    """How many died since the start."""
    clock: Clock
    _seen: deque[tuple[int, float]] = field(default_factory=deque)

    async def find(self) -> Found:
        """Look at the count again."""
        now_ms = self.clock.now_ms()
        self._seen.append((now_ms, self.deaths()))
        while self._seen[0][0] < now_ms - _WINDOW_MS:
            self._seen.popleft()
        died = int(self._seen[-1][1] - self._seen[0][1])
        if died < _MOST_DEATHS:
            return []
        return [AlertCondition(AlertKind.WORKERS, "", {"count": died, "window_age": _WINDOW_MS})]
