"""What a worker is made of: each protocol on its listeners, the queue, the web, the chores."""

from __future__ import annotations

import functools
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from zajil.app.certificates import StoredCertificates, watch_ends, watch_own_files
from zajil.app.chores import ChoreRunner
from zajil.app.directory import person_passwords
from zajil.app.listeners import imap_service, pop3_service, smtp_service
from zajil.app.monitoring import monitor_server
from zajil.app.resources import ACCOUNTS, METRICS, WorkerResources
from zajil.app.shards import until_shards_are_used
from zajil.app.sts_policies import sts_policies
from zajil.app.upkeep import make_chores
from zajil.app.web_listeners import web_servers
from zajil.config.options_shards import MAIN_SHARD
from zajil.core.service import IMAP_SERVICES, POP3_SERVICES, SMTP_SERVICES
from zajil.deliver.run import Deliverer
from zajil.login.service import LoginService
from zajil.login.tokens import TokenJudge
from zajil.net.floods import RefusalBudget
from zajil.net.limits import SessionLimits
from zajil.net.logger import work_for_shard
from zajil.read.pop3.locks import MaildropLocks

if TYPE_CHECKING:
    from zajil.app.sharded import WorkerShards


@dataclass(slots=True, kw_only=True)
class Parts:
    """What a worker runs until it stops, and what it waits for then."""

    runs: list[Coroutine[Any, Any, object]] = field(default_factory=list)
    """One that ends by itself ends the worker."""
    duties: list[Coroutine[Any, Any, object]] = field(default_factory=list)
    """The same, until other workers take over."""
    leaves: list[Callable[[], None]] = field(default_factory=list)
    """Each stops accepting connections, and leaves those alone that are open."""
    last_leaves: list[Callable[[], None]] = field(default_factory=list)
    """The same, of what goes on while the node is drained."""
    yields: list[Callable[[float], Awaitable[object]]] = field(default_factory=list)
    """Each begins nothing new, and returns when what is under way has ended, or is cut after a
    number of seconds."""
    session_counts: list[Callable[[], int]] = field(default_factory=list)
    """Each returns how many connections are open."""
    drains: list[Callable[[float], Awaitable[object]]] = field(default_factory=list)
    """Each stops a part, within a number of seconds; it may be called again."""
    last_drains: list[Callable[[float], Awaitable[object]]] = field(default_factory=list)
    """The same, of what goes on while the node is drained."""
    locks: dict[str, MaildropLocks] = field(default_factory=dict)
    """Of POP3 in each shard, if it is served."""


async def make_parts(resources: WorkerResources) -> Parts:
    """Make everything that serves, and begin to listen; the caller runs and drains it."""
    store = resources.store
    login = _login_service(resources)
    parts = Parts()
    shards = resources.shards
    every = [resources] if shards is None else list(shards.resources.values())
    if resources.server_tls is not None and resources.configuration.acme.directory is not None:
        stored = StoredCertificates(store, resources.server_tls)
        await stored.load()
        parts.runs.append(stored.run())
    for name in SMTP_SERVICES:
        await _listen(parts, smtp_service(resources, login, name), resources.sockets[name])
    for name in IMAP_SERVICES:
        await _listen(parts, imap_service(resources, login, name), resources.sockets[name])
    if any(resources.sockets[name] for name in POP3_SERVICES):
        locks = parts.locks
        for one in every:
            locks[one.shard] = await _begin_locks(parts, one)
        for name in POP3_SERVICES:
            service = pop3_service(resources, login, locks, name)
            await _listen(parts, service, resources.sockets[name])
    for server in web_servers(resources, login):
        parts.runs.append(server.run())
        parts.drains.append(server.drain)
        parts.leaves.append(server.leave)
        parts.session_counts.append(server.count)
    await _listen_for_watchers(parts, resources)
    if resources.server_tls is not None:
        parts.runs.append(watch_own_files(resources.server_tls))
        if resources.is_first:
            parts.duties.append(watch_ends(store, resources.clock, resources.configuration))
    for one in every:
        _work_on_store(parts, one)
    if shards is None:
        parts.runs.append(until_shards_are_used(store))
    else:
        parts.runs.append(shards.keeper.run())
        parts.duties.append(shards.keeper.watch(functools.partial(_add_shard, parts, shards)))
    return parts


async def _add_shard(
    parts: Parts, shards: WorkerShards, one: WorkerResources
) -> list[Coroutine[Any, Any, object]]:
    """Serve one more shard from now on; gives what the caller runs for it."""
    late = Parts()
    if parts.locks:
        parts.locks[one.shard] = await _begin_locks(late, one)
    shards.join(one)
    _work_on_store(late, one)
    parts.drains += late.drains
    parts.yields += late.yields
    return late.runs


async def _begin_locks(parts: Parts, resources: WorkerResources) -> MaildropLocks:
    locks = MaildropLocks(resources.store, resources.worker, resources.clock)
    await locks.begin()
    parts.runs.append(locks.run())
    return locks


def _work_on_store(parts: Parts, resources: WorkerResources) -> None:
    """Add what is done for a store whoever is connected: its queue, its counts, its chores."""
    deliverer = _deliverer(resources)
    runs: list[Coroutine[Any, Any, object]] = [deliverer.run(), resources.traffic.run()]
    parts.drains.append(deliverer.drain)
    parts.yields.append(deliverer.drain)
    parts.drains.append(_closing(resources.refusals))
    parts.drains.append(resources.traffic.drain)
    if resources.dmarc_counts is not None:
        runs.append(resources.dmarc_counts.run())
    if resources.tls_counts is not None:
        runs.append(resources.tls_counts.run())
    if resources.checks.lists:
        runs.append(resources.checks.lists.watch())
    if resources.checks.knowledge is not None:
        scanners = resources.checks.knowledge.scanners
        parts.drains.append(lambda _grace: scanners.close())
    chores = ChoreRunner(resources.store, resources.worker, make_chores(resources))
    runs.append(chores.run())
    parts.drains.append(chores.drain)
    parts.yields.append(chores.drain)
    if resources.shard != MAIN_SHARD:
        runs = [work_for_shard(resources.shard, run) for run in runs]
    parts.runs += runs


def _deliverer(resources: WorkerResources) -> Deliverer:
    configuration, shards = resources.configuration, resources.shards
    return Deliverer(
        resources.store,
        resources.resolver,
        configuration.deliver,
        configuration.queue,
        hostname=configuration.server.hostname,
        tls=resources.client_tls,
        clock=resources.clock,
        random=resources.random,
        worker=resources.worker,
        signer=resources.signer,
        smarthost=configuration.smarthost,
        policies=sts_policies(resources),
        note_tls=None if resources.tls_counts is None else resources.tls_counts.note,
        hand_over=None if shards is None else shards.make_handover().leaves_some,
    )


def _login_service(resources: WorkerResources) -> LoginService:
    """Make the one log-in service of all protocols, in front of those of all shards."""
    if resources.shards is None:
        return _own_login(resources, LoginService)
    return resources.shards.make_login(_own_login)


def _own_login(resources: WorkerResources, make: Callable[..., LoginService]) -> LoginService:
    """Make the log-in service of one store."""
    options = resources.configuration.login
    return make(
        resources.store,
        resources.clock,
        resources.random,
        free_failures=resources.configuration.limits.login_failures,
        tokens=_token_judge(resources),
        directory=person_passwords(resources),
        needs_factor=options.second_step_required,
        scram=options.scram,
        sessions=resources.sessions[ACCOUNTS].caps(
            resources.worker, SessionLimits(0, resources.configuration.limits.sessions_per_account)
        ),
        refusals=resources.refusals,
        shard=resources.shard,
        serves=_serves(resources),
    )


def _serves(resources: WorkerResources) -> Callable[[str], bool] | None:
    """Return whether a login name belongs to a shard; ``None``: there is only one store."""
    if resources.shards is None:
        return None
    homes, shard = resources.shards.homes, resources.shard
    return lambda name: homes.of_login(name) == shard


def _token_judge(resources: WorkerResources) -> TokenJudge | None:
    options = resources.configuration.login
    if options.token_introspection_url is None:
        return None
    # Imported here, because httpx takes 60 ms and 6 MiB, and few servers ask over HTTP.
    from zajil.login.introspection import Introspection, IntrospectionRules

    rules = IntrospectionRules(
        options.token_introspection_url,
        options.token_client_id,
        options.token_client_secret or "",
        options.token_claim,
        options.token_audience,
    )
    return Introspection(rules, resources.client_tls, resources.clock)


class _Listens(Protocol):
    """A service of one protocol: ``SmtpService``, ``ImapService``."""

    async def serve(self, sock: socket.socket) -> None: ...

    async def drain(self, seconds: float) -> None: ...

    def leave(self) -> None: ...

    def count(self) -> int: ...


async def _listen(parts: Parts, service: _Listens, sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        await service.serve(sock)
    parts.drains.append(service.drain)
    parts.leaves.append(service.leave)
    parts.session_counts.append(service.count)


async def _listen_for_watchers(parts: Parts, resources: WorkerResources) -> None:
    if resources.sockets[METRICS]:
        monitor = monitor_server(resources)
        for sock in resources.sockets[METRICS]:
            await monitor.serve(sock)
        parts.last_drains.append(monitor.drain)
        parts.last_leaves.append(monitor.leave)
        parts.session_counts.append(monitor.count)


def _closing(refusals: RefusalBudget) -> Callable[[float], Awaitable[None]]:
    async def close(_grace: float) -> None:
        refusals.close()

    return close
