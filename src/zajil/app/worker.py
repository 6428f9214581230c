"""One worker process: its store, its parts, its end."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from zajil.net.logger import get_logger

try:
    import uvloop
except ImportError:
    uvloop = None  # type: ignore[assignment]

from zajil.app.listeners import record_floods
from zajil.app.monitoring import begin_tracing, watch
from zajil.app.reload import take_over
from zajil.app.resources import WorkerResources
from zajil.app.services import make_parts
from zajil.app.traffic import TrafficCounter
from zajil.check.learned.learned_checks import LearnedChecks
from zajil.check.step import Checks
from zajil.config.load import BadConfiguration
from zajil.config.options import Configuration
from zajil.core.clock import Clock, Random
from zajil.keys.keyring import Keyring
from zajil.keys.sign import Signer
from zajil.mailauth.mark_certificate import MarkRoots
from zajil.monitor.counting import EventCounter
from zajil.monitor.meter_table import MeterRow, MeterTable
from zajil.monitor.meters import START
from zajil.monitor.tracing import Tracer
from zajil.net.floods import RefusalBudget
from zajil.net.limits import SessionTable
from zajil.net.log import EventLog
from zajil.net.log_place import LogUnavailable
from zajil.net.supervise import WorkerPipes
from zajil.net.system import BufferedRandom, SystemClock
from zajil.reports.dmarc.counts import DmarcCounts
from zajil.resolver.client import Resolver
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.folder import ServerLock
from zajil.store.engine.open import Store, open_store
from zajil.store.mail.caps import make_caps
from zajil.store.mail.tracking import EventBatch
from zajil.store.reports.intervals import count_intervals
from zajil.tls.context import BadCertificate
from zajil.tls.keeper import TlsKeeper

_COLLECT_AFTER = (700, 10, 10)
"""Python's defaults; the command line sets another for the time of its imports."""
_TRACE_SECONDS = 5.0
"""How long the last traces may take when a worker ends."""
_SWITCH_INTERVAL_SECONDS = 0.0005
"""The writer's thread must get its turn beside a busy loop."""


@dataclass(slots=True, kw_only=True)
class Shared:
    """What the workers share; it is made before the fork."""

    configuration: Configuration
    """A reload replaces it, in each process for itself."""
    workers: int
    sockets: dict[str, list[list[socket.socket]]]
    """For each service, for each of its addresses, one for each worker."""
    sessions: dict[str, SessionTable]
    server_tls: TlsKeeper | None
    """``None``: no certificate is configured. A reload changes it, in each process for itself."""
    client_tls: ssl.SSLContext
    mark_roots: MarkRoots | None
    """``None``: no logos of senders are shown."""
    meters: MeterTable
    """What the supervisor and the workers count, for metrics."""
    lock: ServerLock
    """Of the data folder; held until the last process has ended."""
    load: Callable[[], Configuration]
    """Reads the configuration anew; raises ``BadConfiguration``."""


def close_sockets(sockets: dict[str, list[list[socket.socket]]]) -> None:
    """Close the listening sockets of all workers."""
    for listening in sockets.values():
        for sock in chain.from_iterable(listening):
            sock.close()


def run_worker(shared: Shared, number: int, pipes: WorkerPipes) -> int:
    """Serve in a process that was just forked; returns its exit status."""
    sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
    gc.set_threshold(*_COLLECT_AFTER)
    own = {
        name: [sockets.pop(number) for sockets in listening]
        for name, listening in shared.sockets.items()
    }
    close_sockets(shared.sockets)  # the others', or they would go on listening when those end
    worker = Worker(shared, number, own)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(worker.run(pipes))


def _new_loop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = (uvloop or asyncio).new_event_loop()
    return loop


class Worker:
    """One worker process."""

    def __init__(
        self, shared: Shared, number: int, sockets: dict[str, list[socket.socket]]
    ) -> None:
        self.shared = shared
        self.sockets = sockets
        self.configuration = shared.configuration
        self.number = number
        self.clock: Clock = SystemClock()
        self.random: Random = BufferedRandom()
        self.log = get_logger().bind(worker=number)
        self._log_events: EventLog | None = None
        self._counter: EventCounter | None = None
        """``None``: nobody asked for metrics."""
        self._tracer: Tracer | None = None
        """``None``: no traces are sent."""

    async def run(self, pipes: WorkerPipes) -> int:
        """Serve until the supervisor says stop; returns the exit status."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        loop.add_reader(pipes.stop_fd, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        configuration = self.configuration
        try:
            store = open_store(
                configuration.store,
                configuration.server.data_dir,
                clock=self.clock,
                random=self.random,
                worker=self.number,
                caps=make_caps(configuration.limits, configuration.mail),
            )
            store.start(loop)
        except StoreUnavailable as error:
            self.log.error("cannot open the store", reason=str(error))
            return 1
        try:
            await self._serve(store, stop, pipes)
        finally:
            loop.remove_reader(pipes.stop_fd)
            await store.close()
        return 0

    def _reload(self) -> None:
        """Reload in this process, as the supervisor has done in its own."""
        shared = self.shared
        before = shared.configuration.log
        try:
            shared.configuration, _ = take_over(
                shared.configuration, shared.load(), shared.server_tls
            )
        except (BadConfiguration, BadCertificate, LogUnavailable) as error:
            self.log.error("a worker cannot reload; it keeps its configuration", reason=str(error))
            return
        after = shared.configuration.log
        if after != before:
            self._log_events = EventLog(after, self.clock)

    async def _serve(self, store: Store, stop: asyncio.Event, pipes: WorkerPipes) -> None:
        traffic = TrafficCounter(store, self.clock)
        self._log_events = EventLog(self.shared.configuration.log, self.clock)
        store.observe(functools.partial(self._observe, traffic))
        store.directory.hostname = self.configuration.server.hostname
        await store.directory.load()
        resources = self._resources(store, traffic)
        self._tracer = begin_tracing(resources)
        parts = await make_parts(resources)
        tasks = [asyncio.create_task(part) for part in parts.runs]
        stopped = asyncio.create_task(stop.wait())
        os.write(pipes.ready_fd, bytes([self.number]))
        done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopped}:
            # A part that ends by itself is a fault of ours: end the process, let it be replaced.
            self.log.error("a task of the worker ended unexpectedly", reason=repr(task.exception()))
        grace = self.configuration.server.shutdown_grace_ms / 1000
        await asyncio.gather(*(drain(grace) for drain in parts.drains), return_exceptions=True)
        for task in (*tasks, stopped):
            task.cancel()
        await asyncio.gather(*tasks, stopped, return_exceptions=True)
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close, _TRACE_SECONDS)

    def _observe(self, traffic: TrafficCounter, batches: Sequence[EventBatch]) -> None:
        if self._log_events is not None:
            self._log_events.tell(batches)
        traffic.count(batches)
        if self._counter is not None:
            self._counter.count(batches)
        if self._tracer is not None:
            self._tracer.tell(batches)

    def _begin_to_count(self, store: Store, resolver: Resolver) -> MeterRow | None:
        """Count in the row of this worker, if somebody asks for metrics."""
        if not self.configuration.listen.metrics:
            return None
        row = self.shared.meters.worker(self.number)
        row.set(START, value=self.clock.now_ms() / 1000)
        watch(row, store, resolver)
        self._counter = EventCounter(row)
        return row

    def _resources(self, store: Store, traffic: TrafficCounter) -> WorkerResources:
        shared, configuration = self.shared, self.configuration
        resolver = Resolver(configuration.dns, self.clock, self.random)
        dmarc_interval_ms = configuration.check.dmarc.report_interval_ms
        count = functools.partial(store.write_later, count_intervals)
        meters = self._begin_to_count(store, resolver)
        return WorkerResources(
            configuration=configuration,
            worker=self.number,
            sockets=self.sockets,
            sessions=shared.sessions,
            server_tls=shared.server_tls,
            client_tls=shared.client_tls,
            mark_roots=shared.mark_roots,
            store=store,
            traffic=traffic,
            resolver=resolver,
            checks=Checks(
                configuration.check,
                resolver.resolve,
                configuration.server.hostname,
                store.directory.is_ours,
                LearnedChecks(store, configuration.check, self.clock),
            ),
            signer=Signer(Keyring(store), self.clock) if configuration.keys.sign else None,
            dmarc_counts=DmarcCounts(count, dmarc_interval_ms) if dmarc_interval_ms else None,
            clock=self.clock,
            random=self.random,
            meters=meters,
            meter_table=shared.meters,
            refusals=RefusalBudget(self.clock, functools.partial(record_floods, store)),
        )
