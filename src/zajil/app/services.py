"""What a worker is made of: each protocol on its listeners, the queue, the web."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from zajil.app.dmarc import dmarc_runs
from zajil.app.listeners import (
    imap_service,
    receive_services,
    smtp_service,
    web_admission,
)
from zajil.app.resources import ACCOUNTS, WorkerResources
from zajil.app.upkeep import keep_history, watch_certificate
from zajil.check.learned.learned_checks import LearnedChecks
from zajil.check.learned.reputation import learner_of
from zajil.check.learned.trainer import Trainer
from zajil.core.clock import Clock
from zajil.core.service import IMAP_SERVICES, SMTP_SERVICES, Service
from zajil.deliver.run import Deliverer
from zajil.keys.upkeep import KeyUpkeep
from zajil.login.service import LoginService
from zajil.login.tokens import Introspection, IntrospectionRules
from zajil.net.floods import RefusalBudget
from zajil.net.limits import SessionLimits
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import delete_events, delete_mails
from zajil.submit.hand_in import hand_in
from zajil.web.app import make_web
from zajil.web.server import WebServer
from zajil.web.services import WebServices


@dataclass(slots=True)
class Parts:
    """Coroutines that run while the worker does, and what must be told to end."""

    runs: list[Coroutine[Any, Any, object]] = field(default_factory=list)
    drains: list[Callable[[float], Awaitable[object]]] = field(default_factory=list)


async def make_parts(means: WorkerResources) -> Parts:
    """Make everything that serves, and begin to listen; the caller runs and drains it."""
    store, configuration, clock = means.store, means.configuration, means.clock
    hostname = configuration.server.hostname
    login = _login_service(means)
    parts = Parts()
    for name in SMTP_SERVICES:
        await _listen(parts, smtp_service(means, login, name), means.sockets[name])
    for name in IMAP_SERVICES:
        await _listen(parts, imap_service(means, login, name), means.sockets[name])
    deliverer = Deliverer(
        store,
        means.resolver,
        configuration.deliver,
        configuration.queue,
        hostname=hostname,
        tls=means.client_tls,
        clock=clock,
        random=means.random,
        worker=means.number,
        signer=means.signer,
    )
    parts.runs.append(deliverer.run())
    parts.drains.append(deliverer.drain)
    if means.sockets[Service.WEB]:
        _add_web(parts, means, login)
    if means.signer is not None and means.number == 0:
        upkeep = KeyUpkeep(store, means.resolver.resolve, configuration.keys, clock)
        parts.runs.append(upkeep.run())
    if means.refusals is not None:
        parts.drains.append(_closing(means.refusals))
    parts.runs += dmarc_runs(means)
    if means.checks.lists:
        parts.runs.append(means.checks.lists.watch())
    if means.checks.knowledge is not None:
        _add_knowledge(parts, means, means.checks.knowledge)
    if means.number == 0:
        history = receive_services(means, Service.WEB)
        parts.runs.append(keep_history(history, configuration.check.greylist))
        if configuration.tls.certificate is not None:
            parts.runs.append(watch_certificate(store, clock, configuration.tls.certificate))
    parts.runs.append(_forget_old_events(store, clock, configuration.tracking.retention))
    return parts


def _login_service(means: WorkerResources) -> LoginService:
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
        sessions=means.sessions[ACCOUNTS].caps(
            means.number, SessionLimits(0, means.configuration.limits.sessions_per_account)
        ),
        refusals=means.refusals,
    )


class _Listens(Protocol):
    """What serves a protocol on listening sockets."""

    async def serve(self, sock: socket.socket) -> None: ...

    async def drain(self, seconds: float) -> None: ...


async def _listen(parts: Parts, service: _Listens, sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        await service.serve(sock)
    parts.drains.append(service.drain)


def _add_web(parts: Parts, means: WorkerResources, login: LoginService) -> None:
    configuration = means.configuration
    services = WebServices(
        store=means.store,
        login=login,
        hand_in=functools.partial(hand_in, receive_services(means, Service.WEB)),
        clock=means.clock,
        random=means.random,
        options=configuration.web,
        hostname=configuration.server.hostname,
    )
    server = WebServer(make_web(services), means.sockets[Service.WEB], web_admission(means))
    parts.runs.append(server.run())
    parts.drains.append(server.drain)


def _closing(refusals: RefusalBudget) -> Callable[[float], Awaitable[None]]:
    async def close(_grace: float) -> None:
        refusals.close()

    return close


def _add_knowledge(parts: Parts, means: WorkerResources, knowledge: LearnedChecks) -> None:
    async def close(_grace: float) -> None:
        await knowledge.scanners.close()

    parts.drains.append(close)
    if means.number == 0:
        hostname = means.configuration.server.hostname
        hear = learner_of(knowledge.history, hostname)
        words = means.configuration.check.words
        parts.runs.append(Trainer(means.store, words, means.clock, [hear]).run())


async def _forget_old_events(store: Store, clock: Clock, retention_ms: int) -> None:
    """Forget journeys past ``tracking.retention``, once an hour; a failure is tried again then."""
    while True:
        with suppress(StoreUnavailable):
            await store.write(delete_events, clock.now_ms() - retention_ms)
            await store.write(delete_mails, clock.now_ms() - retention_ms)
        await asyncio.sleep(3600)
