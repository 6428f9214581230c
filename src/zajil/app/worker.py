"""One worker process: its store, its parts, its end."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zajil.net.logger import get_logger, work_for_shard

try:
    import uvloop
except ImportError:
    uvloop = None  # type: ignore[assignment]

from zajil.app.listeners import record_floods
from zajil.app.monitoring import begin_tracing, watch
from zajil.app.reload import take_over
from zajil.app.resources import METRICS, WorkerResources
from zajil.app.services import Parts, make_parts
from zajil.app.shards import load_shards, open_shard
from zajil.app.shared import Shared
from zajil.app.traffic import TrafficCounter
from zajil.check.learned.learned_checks import LearnedChecks
from zajil.check.step import Checks
from zajil.config.load import BadConfiguration
from zajil.config.options_shards import MAIN_SHARD
from zajil.config.shards import configuration_of
from zajil.core.clock import Clock, Random
from zajil.keys.keyring import Keyring
from zajil.keys.sign import Signer
from zajil.monitor.counting import EventCounter
from zajil.monitor.meter_table import MeterRow
from zajil.monitor.meters import START
from zajil.net.acceptor import refuse_connections
from zajil.net.floods import RefusalBudget
from zajil.net.generation import STOP_SERVER, WorkerPlace, WorkerState
from zajil.net.log import EventLog, log_ignored_error
from zajil.net.log_place import LogUnavailable
from zajil.net.system import BufferedRandom, SystemClock
from zajil.reports.dmarc.counts import DmarcCounts
from zajil.reports.tls.counts import TlsCounts
from zajil.reports.tls.report import TLS_INTERVAL_MS
from zajil.resolver.client import Resolver
from zajil.store.engine.errors import NodeGone, NodeTaken, StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch
from zajil.store.reports.intervals import count_intervals
from zajil.tls.context import BadCertificate

if TYPE_CHECKING:
    from zajil.app.nodes import NodeKeeper
    from zajil.app.sharded import WorkerShards
    from zajil.monitor.tracing import Tracer

_COLLECT_AFTER = (700, 10, 10)
"""Python's defaults; the command line sets another for the time of its imports."""
_TRACE_SECONDS = 5.0
"""How long the last traces may take when a worker ends."""
_SWITCH_INTERVAL_SECONDS = 0.0005
"""The writer's thread must get its turn beside a busy loop."""
_GONE_SECONDS = 5.0
"""How long a worker may take to end after other nodes took over its work."""
_BEAT_SECONDS = 10.0
"""Between two signs of life."""
_FIRST_LOOK_SECONDS, _LOOK_SECONDS = 0.1, 1.0
"""Between two looks whether the last session has ended."""


def run_worker(shared: Shared, place: WorkerPlace) -> int:
    """Serve in a process that was just forked; returns its exit status."""
    sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
    gc.set_threshold(*_COLLECT_AFTER)
    sys.unraisablehook = log_ignored_error
    worker = Worker(shared, place, shared.take_sockets(place.index))
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(worker.run())


def _note_end(loop: asyncio.AbstractEventLoop, descriptor: int, event: asyncio.Event) -> None:
    """Note that the other end of a pipe was closed: it can be read for ever now."""
    loop.remove_reader(descriptor)
    event.set()


def _new_loop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = (uvloop or asyncio).new_event_loop()
    return loop


def _is_gone(stores: Mapping[str, Store]) -> bool:
    """Return whether other nodes have taken over the work of this one in some store."""
    return any([store.standing.is_gone for store in stores.values()])


class Worker:
    """One worker process."""

    def __init__(
        self, shared: Shared, place: WorkerPlace, sockets: dict[str, list[socket.socket]]
    ) -> None:
        self.shared = shared
        self.place = place
        self.sockets = sockets
        self.configuration = shared.configuration
        self.clock: Clock = SystemClock()
        self.random: Random = BufferedRandom()
        self.log = get_logger().bind(worker=place.slot)
        self._log_events: EventLog | None = None
        self._counter: EventCounter | None = None
        """``None``: nobody asked for metrics."""
        self._tracer: Tracer | None = None
        """``None``: no traces are sent."""
        self._state = WorkerState.SERVES
        self._stop = asyncio.Event()
        """End now."""
        self._retire = asyncio.Event()
        """Accept no more, and end with the last session."""
        self._drain = asyncio.Event()
        """Accept no more, and go on without work: an operator drains the node."""
        self._keepers: dict[str, asyncio.Task[None]] = {}
        """By shard, where there may be other nodes."""

    async def run(self) -> int:
        """Serve until the supervisor says stop; returns the exit status."""
        loop = asyncio.get_running_loop()
        pipes = self.place.pipes
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stop.set)
        watched = {pipes.stop_fd: self._stop, pipes.retire_fd: self._retire}
        for descriptor, event in watched.items():
            loop.add_reader(descriptor, _note_end, loop, descriptor, event)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        stores: dict[str, Store] = {}
        try:
            stores[MAIN_SHARD] = self._open(MAIN_SHARD)
            stores[MAIN_SHARD].start(loop)
        except NodeTaken as error:
            self.log.error("the server ends", reason=str(error))
            return STOP_SERVER
        except StoreUnavailable as error:
            self.log.error("cannot open the store", reason=str(error))
            return 1
        try:
            await self._serve(stores)
        except NodeTaken as error:
            self.log.error("the server ends", reason=str(error))
            return STOP_SERVER
        except NodeGone as error:
            self.log.error("cannot go on", reason=str(error))
        finally:
            for descriptor in watched:
                loop.remove_reader(descriptor)
            await asyncio.gather(*(store.close() for store in stores.values()))
        return 1 if _is_gone(stores) else 0

    def _reload(self) -> None:
        """Reload in this process, as the supervisor has done in its own."""
        shared = self.shared
        before = shared.configuration.log
        try:
            shared.configuration, _ = take_over(
                shared.configuration, shared.permanent.load(), shared.server_tls
            )
        except (BadConfiguration, BadCertificate, LogUnavailable) as error:
            self.log.error("a worker cannot reload; it keeps its configuration", reason=str(error))
            return
        after = shared.configuration.log
        if after != before:
            self._log_events = EventLog(after, self.clock)

    def _open(self, shard: str) -> Store:
        start_ms = self.shared.permanent.shards.ready.start_ms(shard)
        given = (self.configuration, shard, self.clock, self.random)
        return open_shard(*given, self.place.slot, start_ms)

    async def _serve(self, stores: dict[str, Store]) -> None:
        self._log_events = EventLog(self.shared.configuration.log, self.clock)
        resolver = Resolver(self.configuration.dns, self.clock, self.random)
        main, hostname = stores[MAIN_SHARD], self.configuration.server.hostname
        self._keep_node(MAIN_SHARD, main)
        shards = await load_shards(self.configuration, main, hostname)
        resources = self._resources(MAIN_SHARD, main, resolver, shards)
        if shards is not None:
            make = functools.partial(self._resources, resolver=resolver, shards=shards)
            given = (self.shared.permanent.shards.ready, stores, self._open, self._keep_node)
            await shards.open_all(resources, *given, make)
        self._tracer = begin_tracing(resources)
        parts = await make_parts(resources)
        tasks = [asyncio.create_task(part) for part in parts.runs]
        duties = [asyncio.create_task(part) for part in parts.duties]
        server = self.configuration.server
        beats = asyncio.create_task(self._beat(server.worker_timeout_ms / 4000))
        lasting = (beats, *self._keepers.values())
        await self._wait_for([*tasks, *duties, *lasting], self._stop, self._retire, self._drain)
        for duty in duties:
            duty.cancel()
        if self._retire.is_set() and not self._stop.is_set():
            await self._see_sessions_out(parts, [*tasks, *lasting])
        elif not self._stop.is_set():
            await self._stay_drained(parts, [*tasks, *lasting])
        # A node that is gone can write nothing that its sessions wait for.
        grace = 0.0 if _is_gone(stores) else server.shutdown_grace_ms / 1000
        drains = (*parts.drains, *parts.last_drains)
        await asyncio.gather(*(drain(grace) for drain in drains), return_exceptions=True)
        for task in (ended := (*tasks, *duties, beats, *self._keepers.values())):
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close, _TRACE_SECONDS)

    def _keep_node(self, shard: str, store: Store) -> asyncio.Task[None] | None:
        """Show that this node lives, in a store that has several."""
        if not store.standing.is_shared:
            return None
        keeps = self._node_keeper(store).run()
        keeps = keeps if shard == MAIN_SHARD else work_for_shard(shard, keeps)
        self._keepers[shard] = task = asyncio.create_task(keeps)
        return task

    async def _wait_for(
        self,
        tasks: Sequence[asyncio.Task[object]],
        *events: asyncio.Event,
        seconds: float | None = None,
    ) -> None:
        """Wait for an event or some time, or until a task ends that should not."""
        waits = [asyncio.create_task(event.wait()) for event in events]
        done, _ = await asyncio.wait(
            [*tasks, *waits], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for wait in waits:
            wait.cancel()
        for task in done.difference(waits):
            # A part that ends by itself is a fault of ours: end the process, let it be replaced.
            self.log.error("a task of the worker ended unexpectedly", reason=repr(task.exception()))
            self._stop.set()

    async def _beat(self, seconds: float) -> None:
        """Show the supervisor that this process serves, until cancelled."""
        pause = min(_BEAT_SECONDS, seconds or _BEAT_SECONDS)
        while True:
            self.place.pipes.report(self._state)
            await asyncio.sleep(pause)

    def _leave(self) -> None:
        """End because other nodes took over: soon, also where a thread waits for the database.

        Nothing is lost by that: what was not committed got no 250, and cannot be committed now.
        """
        self._stop.set()
        end = threading.Timer(_GONE_SECONDS, self._cut)
        end.daemon = True
        end.start()

    def _cut(self) -> None:
        self.log.error(
            "this worker did not end in time after other nodes took over, and is cut; nothing "
            "that was accepted is lost",
            seconds=_GONE_SECONDS,
        )
        os._exit(1)

    def _node_keeper(self, store: Store) -> NodeKeeper:
        from zajil.app.nodes import NodeKeeper

        shared = self.shared
        return NodeKeeper(
            store,
            is_first=self.place.index == 0,
            workers=shared.workers,
            sessions=lambda: sum(shared.count_sessions().values()),
            when_gone=self._leave,
            when_draining=self._drain.set,
        )

    async def _see_sessions_out(self, parts: Parts, tasks: Sequence[asyncio.Task[object]]) -> None:
        """Leave new work to other workers, and wait for the end of what we have."""
        for leave in (*parts.leaves, *parts.last_leaves):
            leave()
        self._state = WorkerState.LEFT
        self.place.pipes.report(self._state)
        await self._finish_work(parts, tasks, self._stop)

    async def _stay_drained(self, parts: Parts, tasks: Sequence[asyncio.Task[object]]) -> None:
        """Leave new work to other nodes, end what we have, and wait for the end of the server."""
        self.log.info("the node is drained: this worker accepts nothing new")
        listening = [one for name, some in self.sockets.items() if name != METRICS for one in some]
        copies = [sock.dup() for sock in listening]  # leaving closes those that the loop has
        for leave in parts.leaves:
            leave()
        refuse_connections(copies)
        await self._finish_work(parts, tasks, self._stop, self._retire)
        if not (self._stop.is_set() or self._retire.is_set()):
            grace = self.configuration.server.shutdown_grace_ms / 1000
            await asyncio.gather(*(drain(grace) for drain in parts.drains), return_exceptions=True)
            parts.drains.clear()
            await self._wait_for([], self._stop, self._retire)

    async def _finish_work(
        self, parts: Parts, tasks: Sequence[asyncio.Task[object]], *events: asyncio.Event
    ) -> None:
        """Begin nothing new, and wait for the end of what is under way, or for an event."""
        loop = asyncio.get_running_loop()
        seconds = self.configuration.server.reload_grace_ms / 1000
        end = loop.time() + seconds
        # They are cut when the worker stops: ``parts.drains`` has them, too.
        yields = [asyncio.ensure_future(give_up(seconds)) for give_up in parts.yields]
        pause = _FIRST_LOOK_SECONDS
        while not any(event.is_set() for event in events) and loop.time() < end:
            is_idle = all(one.done() for one in yields)
            if is_idle and not any(count() for count in parts.session_counts):
                break
            # A part that has nothing more to do may end now.
            running = [task for task in tasks if not task.done()]
            await self._wait_for([], *events, seconds=min(pause, max(end - loop.time(), 0)))
            for task in running:
                if task.done() and not task.cancelled() and task.exception() is not None:
                    self.log.error(
                        "a task of the worker ended unexpectedly", reason=repr(task.exception())
                    )
            pause = min(2 * pause, _LOOK_SECONDS)

    def _observe(self, shard: str, traffic: TrafficCounter, batches: Sequence[EventBatch]) -> None:
        if self._log_events is not None:
            self._log_events.tell(batches, None if shard == MAIN_SHARD else shard)
        traffic.count(batches)
        if self._counter is not None:
            self._counter.count(batches)
        if self._tracer is not None:
            self._tracer.tell(batches)

    def _begin_to_count(self, store: Store, resolver: Resolver, shard: str) -> MeterRow | None:
        """Count in the row of this worker, if somebody asks for metrics."""
        if not self.configuration.listen.metrics or shard != MAIN_SHARD:
            return None
        row = self.shared.permanent.meters.worker(self.place.slot)
        row.set(START, value=self.clock.now_ms() / 1000)
        watch(row, store, resolver)
        self._counter = EventCounter(row)
        return row

    def _resources(
        self,
        shard: str,
        store: Store,
        resolver: Resolver,
        shards: WorkerShards | None,
    ) -> WorkerResources:
        shared, configuration = self.shared, configuration_of(self.configuration, shard)
        dmarc_interval_ms = configuration.check.dmarc.report_interval_ms
        sends_tls_reports = configuration.deliver.tls_reports
        count = functools.partial(store.write_later, count_intervals)
        meters = self._begin_to_count(store, resolver, shard)
        options = ("--shard", shard) if self.configuration.store.shards else ()
        traffic = TrafficCounter(store, self.clock)
        store.observe(functools.partial(self._observe, shard, traffic))
        signer = None
        if configuration.keys.sign:
            keyring = Keyring(store) if shards is None else shards.make_keyring(store, shard)
            signer = Signer(keyring, self.clock)
        return WorkerResources(
            configuration=configuration,
            shard=shard,
            shards=shards,
            command=(*shared.permanent.command, *options) if shared.permanent.command else (),
            worker=self.place.slot,
            is_first=self.place.index == 0,
            sockets=self.sockets,
            sessions=shared.permanent.sessions,
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
            signer=signer,
            dmarc_counts=DmarcCounts(count, dmarc_interval_ms) if dmarc_interval_ms else None,
            tls_counts=TlsCounts(count, TLS_INTERVAL_MS) if sends_tls_reports else None,
            clock=self.clock,
            random=self.random,
            meters=meters,
            meter_table=shared.permanent.meters,
            refusals=RefusalBudget(self.clock, functools.partial(record_floods, store)),
        )
