"""What a worker is made of: each protocol on its listeners, the queue, the web."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from zajil.config.options import Configuration
from zajil.core.clock import Clock, Random
from zajil.deliver.run import Deliverer
from zajil.login.service import LoginService
from zajil.login.tokens import Introspection, IntrospectionRules
from zajil.net.drive_smtp import SmtpLimits, SmtpService
from zajil.net.peer import Peer
from zajil.net.smtp_connection import Session
from zajil.read.imap.service import ImapService
from zajil.receive.services import ReceiveServices
from zajil.receive.session import ReceiveSession
from zajil.resolver.client import Resolver
from zajil.smtp.extensions import Offer
from zajil.smtp.server import ServerConnection
from zajil.store.errors import StoreUnavailable
from zajil.store.open import Store
from zajil.store.tracking import delete_events, delete_mails
from zajil.submit.accept import hand_in
from zajil.submit.session import SubmitServices, SubmitSession
from zajil.web.app import make_web
from zajil.web.server import WebServer
from zajil.web.services import WebServices


@dataclass(frozen=True, slots=True)
class Means:
    """What one worker has to build its parts from."""

    configuration: Configuration
    number: int
    """Of the worker, from 0."""
    sockets: Mapping[str, Sequence[socket.socket]]
    """Its own listening ones, by service."""
    server_tls: ssl.SSLContext | None
    client_tls: ssl.SSLContext
    store: Store
    clock: Clock
    random: Random


@dataclass(slots=True)
class Parts:
    """Coroutines that run while the worker does, and what must be told to end."""

    runs: list[Coroutine[Any, Any, object]] = field(default_factory=list)
    drains: list[Callable[[float], Awaitable[object]]] = field(default_factory=list)


async def make_parts(means: Means) -> Parts:
    """Make everything that serves, and begin to listen; the caller runs and drains it."""
    store, configuration, clock = means.store, means.configuration, means.clock
    limits, hostname = configuration.limits, configuration.server.hostname
    login = _login_service(means)
    resolver = Resolver(configuration.dns, clock, means.random)
    parts = Parts()
    for name in ("smtp", "submission", "submissions"):
        service = _smtp_service(means, login, name)
        await _listen(parts, service, means.sockets[name])
    for name in ("imap", "imaps"):
        imap = ImapService(
            store,
            login,
            hostname=hostname,
            limits=limits,
            tls=means.server_tls,
            implicit_tls=name == "imaps",
            clock=clock,
        )
        await _listen(parts, imap, means.sockets[name])
    deliverer = Deliverer(
        store,
        resolver,
        configuration.deliver,
        configuration.queue,
        hostname=hostname,
        tls=means.client_tls,
        clock=clock,
        random=means.random,
        owner=f"{hostname}/{means.number}",
    )
    parts.runs.append(deliverer.run())
    parts.drains.append(deliverer.drain)
    if means.sockets["web"]:
        _add_web(parts, means, login)
    parts.runs.append(_forget_old_events(store, clock, configuration.tracking.retention))
    return parts


def _login_service(means: Means) -> LoginService:
    """Make what checks log-ins for every protocol."""
    options, tokens = means.configuration.login, None
    if options.token_introspection_url is not None:
        rules = IntrospectionRules(
            options.token_introspection_url,
            options.token_client_id,
            options.token_client_secret or "",
            options.token_claim,
            options.token_audience,
        )
        tokens = Introspection(rules, means.client_tls, means.clock)
    return LoginService(
        means.store,
        means.clock,
        means.random,
        free_failures=means.configuration.limits.login_failures,
        tokens=tokens,
        scram=options.scram,
    )


def _smtp_service(means: Means, login: LoginService, name: str) -> SmtpService:
    """Make the service of port 25, 587 or 465."""
    configuration, tls = means.configuration, means.server_tls
    limits = configuration.limits
    receive = _receive_services(means, name)
    offer = Offer(
        configuration.server.hostname,
        limits.message_size,
        starttls=tls is not None and name != "submissions",
        auth_mechanisms=() if name == "smtp" else login.mechanisms,
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


def _receive_services(means: Means, name: str) -> ReceiveServices:
    configuration = means.configuration
    return ReceiveServices(
        means.store,
        means.clock,
        means.random,
        configuration.limits,
        configuration.server.hostname,
        name,
        configuration.queue.lifetime,
    )


class _Listens(Protocol):
    """What serves a protocol on listening sockets."""

    async def serve(self, sock: socket.socket) -> None: ...

    async def drain(self, seconds: float) -> None: ...


async def _listen(parts: Parts, service: _Listens, sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        await service.serve(sock)
    parts.drains.append(service.drain)


def _add_web(parts: Parts, means: Means, login: LoginService) -> None:
    configuration = means.configuration
    services = WebServices(
        store=means.store,
        login=login,
        hand_in=functools.partial(hand_in, _receive_services(means, "web")),
        clock=means.clock,
        random=means.random,
        options=configuration.web,
        hostname=configuration.server.hostname,
        max_message_size=configuration.limits.message_size,
    )
    server = WebServer(make_web(services), means.sockets["web"])
    parts.runs.append(server.run())
    parts.drains.append(server.drain)


async def _forget_old_events(store: Store, clock: Clock, retention_ms: int) -> None:
    """Forget journeys past ``tracking.retention``, once an hour; a failure is tried again then."""
    while True:
        with suppress(StoreUnavailable):
            await store.write(delete_events, clock.now_ms() - retention_ms)
            await store.write(delete_mails, clock.now_ms() - retention_ms)
        await asyncio.sleep(3600)
