"""Wires options, store, steps and listeners together; starts and stops them.

Reading order: ``serve`` (the supervisor's side: bind, prepare, fork), ``_Worker`` (one process:
store, services, listeners, the queue), then what each service is made of.

Laws:
- What must be shared by all workers (bound sockets, the TLS context with its ticket keys) is made
  before the fork; what holds a thread, a connection or a loop is made after it.
- Stopping is: no new connections, mails in flight end, then the store closes.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import os
import pwd
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

import structlog

from zajil.config.options import Configuration, ListenOptions
from zajil.core.clock import Clock, Random
from zajil.deliver.run import Deliverer
from zajil.login.service import LoginService
from zajil.net.drive_smtp import SmtpLimits, SmtpService
from zajil.net.listener import BindFailed, bind_shared
from zajil.net.log import set_up_log
from zajil.net.peer import Peer, join_host_port
from zajil.net.smtp_connection import Session
from zajil.net.supervise import Supervisor, WorkerPipes
from zajil.net.system import BufferedRandom, SystemClock
from zajil.read.imap.service import ImapService
from zajil.receive.services import ReceiveServices
from zajil.receive.session import ReceiveSession
from zajil.resolver.client import Resolver
from zajil.sasl.mechanism import PASSWORD_MECHANISMS
from zajil.smtp.extensions import Offer
from zajil.smtp.server import ServerConnection
from zajil.store.errors import StoreUnavailable
from zajil.store.open import Store, open_store, prepare_store
from zajil.store.tracking import delete_events, delete_mails
from zajil.submit.accept import hand_in
from zajil.submit.session import SubmitServices, SubmitSession
from zajil.tls.context import BadCertificate, client_context, server_context
from zajil.web.app import make_web
from zajil.web.server import WebServer
from zajil.web.services import WebServices

SERVICES = tuple(ListenOptions.model_fields)
"""``smtp``, ``submission`` ...: one list of sockets each."""

_SWITCH_INTERVAL_SECONDS = 0.0005
"""The writer's thread must get its turn beside a busy loop (style C12 example 5)."""


class CannotStart(Exception):
    """One sentence for the operator: why the server does not run."""


@dataclass(frozen=True, slots=True)
class _Shared:
    """What is made before the fork."""

    configuration: Configuration
    workers: int
    sockets: dict[str, list[list[socket.socket]]]
    """For each service, for each of its addresses, one for each worker."""
    server_tls: ssl.SSLContext | None
    client_tls: ssl.SSLContext


def serve(
    configuration: Configuration, *, ready_fd: int | None = None, stop_fd: int | None = None
) -> int:
    """Run a server until SIGTERM or SIGINT.

    Args:
        configuration: checked already.
        ready_fd: gets one line of JSON when every worker serves: the addresses of each service
            and the supervisor's process id; closed then.
        stop_fd: end of file on it stops the server.

    Returns:
        0 after an orderly end, 1 when the workers could not run.

    Raises:
        CannotStart: a port, file, user or the store cannot be used; nothing was started.
    """
    set_up_log(configuration.log)
    log = structlog.get_logger("zajil")
    shared = _prepare(configuration)

    def on_ready() -> None:
        addresses = {
            name: [join_host_port(*sock.getsockname()[:2]) for sock, *_ in listening]
            for name, listening in shared.sockets.items()
        }
        log.info("serving", hostname=configuration.server.hostname, **addresses)
        if ready_fd is not None:
            line = json.dumps({**addresses, "pid": os.getpid()}) + "\n"
            os.write(ready_fd, line.encode())
            os.close(ready_fd)

    def on_death(number: int, pid: int, how: str) -> None:
        log.warning("worker ended, starting another", worker=number, pid=pid, how=how)

    def on_stop() -> None:
        _close(shared.sockets)

    supervisor = Supervisor(
        lambda number, pipes: _run_worker(shared, number, pipes),
        shared.workers,
        on_ready=on_ready,
        on_death=on_death,
        on_stop=on_stop,
        parent_fd=stop_fd,
        grace_seconds=configuration.server.shutdown_grace / 1000 + 5,
    )
    return supervisor.run()


def _prepare(configuration: Configuration) -> _Shared:
    server, tls = configuration.server, configuration.tls
    workers = server.workers or os.cpu_count() or 1
    sockets: dict[str, list[list[socket.socket]]] = {}
    try:
        for name in SERVICES:
            addresses = getattr(configuration.listen, name)
            sockets[name] = [bind_shared(address, workers) for address in addresses]
        context = server_context(tls.certificate, tls.key) if tls.certificate and tls.key else None
        if context is None and (sockets["submissions"] or sockets["imaps"]):
            raise CannotStart("listen.submissions and listen.imaps need tls.certificate, tls.key")
        client_tls = client_context(tls.ca_file, verify=True)
        _become(server.user)
        prepare_store(configuration.store, server.data_dir, clock=SystemClock())
    except (BindFailed, BadCertificate, StoreUnavailable) as error:
        raise CannotStart(str(error)) from error
    return _Shared(configuration, workers, sockets, context, client_tls)


def _become(user: str | None) -> None:
    """Give up root for good, once the ports are bound and the key is read."""
    if os.geteuid() != 0:
        return
    if user is None:
        structlog.get_logger("zajil").warning(
            "running as root: name an ordinary user in server.user, and own the data folder by it"
        )
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise CannotStart(f"server.user: there is no user {user} on this machine") from None
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def _close(sockets: dict[str, list[list[socket.socket]]]) -> None:
    for listening in sockets.values():
        for sock in chain.from_iterable(listening):
            sock.close()


# ---- one worker ---------------------------------------------------------------------------------


def _run_worker(shared: _Shared, number: int, pipes: WorkerPipes) -> int:
    sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
    # What is there after the fork stays: it is not looked at again by the collector, and its
    # pages stay shared with the supervisor.
    gc.freeze()
    own = {
        name: [sockets.pop(number) for sockets in listening]
        for name, listening in shared.sockets.items()
    }
    _close(shared.sockets)  # the others', or they would go on listening when those end
    worker = _Worker(shared, number, own)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(worker.run(pipes))


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class _Worker:
    """One process: everything here lives and ends with it."""

    def __init__(
        self, shared: _Shared, number: int, sockets: dict[str, list[socket.socket]]
    ) -> None:
        self.shared = shared
        self.sockets = sockets
        self.configuration = shared.configuration
        self.number = number
        self.clock: Clock = SystemClock()
        self.random: Random = BufferedRandom()
        self.log = structlog.get_logger("zajil").bind(worker=number)

    async def run(self, pipes: WorkerPipes) -> int:
        """Serve until the supervisor says stop; returns the exit status."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        loop.add_reader(pipes.stop_fd, stop.set)
        configuration = self.configuration
        try:
            store = open_store(
                configuration.store,
                configuration.server.data_dir,
                clock=self.clock,
                random=self.random,
                worker=self.number,
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

    async def _serve(self, store: Store, stop: asyncio.Event, pipes: WorkerPipes) -> None:
        await store.directory.load()
        parts = await _make_parts(self, store)
        tasks = [asyncio.create_task(part) for part in parts.runs]
        stopped = asyncio.create_task(stop.wait())
        os.write(pipes.ready_fd, bytes([self.number]))
        done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopped}:
            # A part that ends by itself is a fault of ours: end the process, let it be replaced.
            self.log.error("a part of the worker ended", reason=repr(task.exception()))
        grace = self.configuration.server.shutdown_grace / 1000
        await asyncio.gather(*(drain(grace) for drain in parts.drains), return_exceptions=True)
        for task in (*tasks, stopped):
            task.cancel()
        await asyncio.gather(*tasks, stopped, return_exceptions=True)


# ---- what a worker is made of -------------------------------------------------------------------


@dataclass(slots=True)
class _Parts:
    """Coroutines that run while the worker does, and what must be told to end."""

    runs: list[Coroutine[Any, Any, object]] = field(default_factory=list)
    drains: list[Callable[[float], Awaitable[object]]] = field(default_factory=list)


async def _make_parts(worker: _Worker, store: Store) -> _Parts:
    shared, configuration, clock = worker.shared, worker.configuration, worker.clock
    limits, hostname = configuration.limits, configuration.server.hostname
    login = LoginService(store, clock, worker.random, free_failures=limits.login_failures)
    resolver = Resolver(configuration.dns, clock, worker.random)
    parts = _Parts()
    for name in ("smtp", "submission", "submissions"):
        service = _smtp_service(worker, store, login, name)
        await _listen(parts, service, worker.sockets[name])
    for name in ("imap", "imaps"):
        imap = ImapService(
            store,
            login,
            hostname=hostname,
            limits=limits,
            tls=shared.server_tls,
            implicit_tls=name == "imaps",
            clock=clock,
        )
        await _listen(parts, imap, worker.sockets[name])
    deliverer = Deliverer(
        store,
        resolver,
        configuration.deliver,
        configuration.queue,
        hostname=hostname,
        tls=shared.client_tls,
        clock=clock,
        random=worker.random,
        owner=f"{hostname}/{worker.number}",
    )
    parts.runs.append(deliverer.run())
    parts.drains.append(deliverer.drain)
    if worker.sockets["web"]:
        _add_web(parts, worker, store, login)
    parts.runs.append(_forget_old_events(store, clock, configuration.tracking.retention))
    return parts


def _smtp_service(worker: _Worker, store: Store, login: LoginService, name: str) -> SmtpService:
    """Make the service of port 25, 587 or 465."""
    configuration, tls = worker.configuration, worker.shared.server_tls
    limits = configuration.limits
    receive = _receive_services(worker, store, name)
    offer = Offer(
        configuration.server.hostname,
        limits.message_size,
        starttls=tls is not None and name != "submissions",
        auth_mechanisms=() if name == "smtp" else PASSWORD_MECHANISMS,
    )
    make: Callable[[Peer, ServerConnection], Session]
    if name == "smtp":
        make = functools.partial(ReceiveSession, receive)
    else:
        make = functools.partial(SubmitSession, SubmitServices(receive, login))
    return SmtpService(
        make,
        offer,
        tls=tls,
        implicit_tls=name == "submissions" and tls is not None,
        limits=SmtpLimits(
            sessions=limits.sessions,
            sessions_per_address=limits.sessions_per_address,
            errors=limits.errors,
            idle_seconds=limits.idle / 1000,
        ),
    )


def _receive_services(worker: _Worker, store: Store, name: str) -> ReceiveServices:
    configuration = worker.configuration
    return ReceiveServices(
        store,
        worker.clock,
        worker.random,
        configuration.limits,
        configuration.server.hostname,
        name,
        configuration.queue.lifetime,
    )


class _Listens(Protocol):
    """What serves a protocol on listening sockets."""

    async def serve(self, sock: socket.socket) -> None: ...

    async def drain(self, seconds: float) -> None: ...


async def _listen(parts: _Parts, service: _Listens, sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        await service.serve(sock)
    parts.drains.append(service.drain)


def _add_web(parts: _Parts, worker: _Worker, store: Store, login: LoginService) -> None:
    configuration = worker.configuration
    services = WebServices(
        store=store,
        login=login,
        hand_in=functools.partial(hand_in, _receive_services(worker, store, "web")),
        clock=worker.clock,
        random=worker.random,
        options=configuration.web,
        hostname=configuration.server.hostname,
        max_message_size=configuration.limits.message_size,
    )
    server = WebServer(make_web(services), worker.sockets["web"])
    parts.runs.append(server.run())
    parts.drains.append(server.drain)


async def _forget_old_events(store: Store, clock: Clock, retention_ms: int) -> None:
    """Forget journeys past ``tracking.retention``, once an hour; a failure is tried again then."""
    while True:
        with suppress(StoreUnavailable):
            await store.write(delete_events, clock.now_ms() - retention_ms)
            await store.write(delete_mails, clock.now_ms() - retention_ms)
        await asyncio.sleep(3600)
