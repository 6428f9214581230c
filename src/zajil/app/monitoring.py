"""Connects the parts of a worker with its metrics, where ``listen.metrics`` asks for them."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from zajil.app.certificates import read_all_facts
from zajil.app.resources import WorkerResources
from zajil.config.shards import configuration_of
from zajil.dns.flow import Answer
from zajil.monitor import meters
from zajil.monitor.conditions import Ending
from zajil.monitor.meter_table import MeterRow
from zajil.resolver.client import Resolver
from zajil.store.engine.errors import StoreFull, StoreUnavailable
from zajil.store.engine.open import Store

if TYPE_CHECKING:
    from zajil.monitor.http import MonitorServer
    from zajil.monitor.tracing import Tracer


def watch(row: MeterRow, store: Store, resolver: Resolver) -> None:
    """Count what the store and the resolver of a worker do."""
    commit_seconds, commit_units = row.histogram(meters.COMMITS), row.histogram(meters.COMMIT_UNITS)
    store_errors, queries = row.counter(meters.STORE_ERRORS), row.counter(meters.DNS_QUERIES)

    def note_batch(seconds: float, outcomes: Sequence[tuple[object, object, object]]) -> None:
        """Called in the thread of the writer alone."""
        failed = [error for *_, error in outcomes if isinstance(error, StoreUnavailable)]
        if len(failed) < len(outcomes):
            commit_seconds(seconds)
            commit_units(len(outcomes) - len(failed))
        for error in failed:
            store_errors(("full" if isinstance(error, StoreFull) else "unavailable",))

    def note(answer: Answer) -> None:
        queries((answer.outcome.value,))

    store.writer.watch = note_batch
    resolver.note = note


def begin_tracing(resources: WorkerResources) -> Tracer | None:
    """Return what sends traces; ``None``: no collector is configured."""
    configuration = resources.configuration
    if configuration.tracing.endpoint is None:
        return None
    from zajil.monitor.tracing import Tracer

    add = None if resources.meters is None else resources.meters.counter(meters.SPANS)

    def count(result: str, number: int) -> None:
        if add is not None:
            add((result,), number)

    return Tracer(configuration.tracing, configuration.server.hostname, count)


def count_connections(row: MeterRow | None, service: str) -> Callable[[], None] | None:
    """Return what counts a connection of a service; ``None``: nobody asked for metrics."""
    return None if row is None else functools.partial(row.counter(meters.CONNECTIONS), (service,))


def note_success(resources: WorkerResources, chore: str) -> Callable[[], Awaitable[None]]:
    """Return the last step of a repeated chore: it notes the time."""

    async def note() -> None:
        if resources.meters is not None and chore in meters.CHORES:
            now = resources.clock.now_ms() / 1000
            resources.meters.set(meters.CHORE_SUCCESS, chore, value=now)

    return note


def monitor_server(resources: WorkerResources) -> MonitorServer:
    """Make what answers on ``listen.metrics``."""
    # Imported here, because most servers have no such listener.
    from zajil.monitor.health import Health
    from zajil.monitor.http import MonitorServer
    from zajil.monitor.scrape import write_metrics
    from zajil.monitor.state import ShardPlace, StateReader

    def list_shards() -> Sequence[ShardPlace]:
        found = []
        for name in resources.configuration.store.shards:
            one = None if resources.shards is None else resources.shards.resources.get(name)
            backup = configuration_of(resources.configuration, name).backup.target
            found.append(ShardPlace(name, None if one is None else one.store, backup))
        return found

    store, clock = resources.store, resources.clock
    states = StateReader(
        store=store,
        clock=clock,
        reserve=resources.configuration.store.free_space_reserve,
        sessions=resources.sessions,
        certificates=functools.partial(list_certificates, resources),
        backup_place=resources.configuration.backup.target,
        shards=list_shards,
    )

    async def metrics() -> bytes:
        return write_metrics(resources.meter_table, await states.read())

    return MonitorServer(metrics, Health(store, clock))


async def list_certificates(resources: WorkerResources) -> Sequence[Ending]:
    """List the certificates of this server, one for each name that is first in one."""
    store, clock = resources.store, resources.clock
    facts = await read_all_facts(store, clock, resources.configuration)
    found: dict[str, Ending] = {}
    for source, one in facts.items():
        name = one.names[0] if one.names else source
        found.setdefault(name, Ending(name, one.not_before_ms, one.not_after_ms))
    return tuple(found.values())
