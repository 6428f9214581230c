"""The pages on their listeners: HTTP for a proxy, HTTPS, and port 80."""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from zajil.app.listeners import acceptance_context, admission
from zajil.app.resources import WorkerResources, guarded_fetcher, logo_finder
from zajil.config.options_shards import MAIN_SHARD
from zajil.core.service import Service
from zajil.login.service import LoginService
from zajil.net.peer import Networks
from zajil.operations.context import OperationContext
from zajil.operations.mail_servers import find_servers
from zajil.store.engine.open import Store
from zajil.store.people.certificates import find_challenge
from zajil.web.app import make_web
from zajil.web.own_names import OwnNames
from zajil.web.plain_http import FindChallenge, PlainHttp
from zajil.web.server import ConnectionRules, WebServer
from zajil.web.services import WebServices

if TYPE_CHECKING:
    from zajil.login.sign_on.provider import OpenIdProvider

_HTTPS_PORT = 443


def web_servers(resources: WorkerResources, login: LoginService) -> list[WebServer]:
    """Make the servers of all web listeners of a worker; they share the pages."""
    sockets, tls = resources.sockets, resources.server_tls
    services = _web_services(resources, login)
    make_pages = functools.cache(functools.partial(_make_pages, resources, services))

    made = []
    if sockets[Service.WEB]:
        rules = _connection_rules(resources, Service.WEB)
        made.append(WebServer(make_pages, sockets[Service.WEB], rules))
    if sockets[Service.HTTPS] and tls is not None:
        rules = _connection_rules(resources, Service.HTTPS)
        made.append(WebServer(make_pages, sockets[Service.HTTPS], rules, tls.web_context_for))
    if sockets[Service.HTTP]:
        plain = PlainHttp(
            _challenge_finder(resources.store), services.names, _https_port(services.public_url)
        )
        rules = _connection_rules(resources, Service.HTTP)
        made.append(WebServer(lambda: plain, sockets[Service.HTTP], rules))
    return made


def _make_pages(resources: WorkerResources, services: WebServices) -> ASGIApp:
    """Make the pages; where there are shards, those of each when they are asked for."""
    shards = resources.shards
    if shards is None:
        return make_web(services)
    made: dict[str, Callable[[], ASGIApp]] = {
        resources.shard: functools.partial(make_web, services)
    }

    def add(other: WorkerResources) -> None:
        made[other.shard] = functools.partial(_make_other, other)

    shards.for_each_other(add)
    return shards.make_pages(made, services.options.cookie_name)


def _make_other(resources: WorkerResources) -> ASGIApp:
    logins = {} if resources.shards is None else resources.shards.logins
    return make_web(_web_services(resources, logins[resources.shard]))


def _web_services(resources: WorkerResources, login: LoginService) -> WebServices:
    configuration = resources.configuration
    tls = resources.server_tls
    hostname, ports = configuration.server.hostname, _bound_ports(resources.sockets)
    url = configuration.web.url or _own_address(hostname, ports.get(Service.HTTPS))
    pages = {hostname, configuration.clients.hostname, urlsplit(url or "").hostname}
    return WebServices(
        store=resources.store,
        login=login,
        acceptance=acceptance_context(resources, Service.WEB),
        clock=resources.clock,
        random=resources.random,
        options=configuration.web,
        hostname=hostname,
        configuration=configuration,
        resolve=resources.resolver.resolve,
        outside=guarded_fetcher(resources),
        logos=logo_finder(resources),
        servers=find_servers(configuration, ports),
        public_url=url,
        provider=_provider(resources, url),
        certificate=lambda: tls.find(hostname) if tls is not None else None,
        names=OwnNames((name for name in pages if name), _domains(resources)),
        shard=resources.shard,
        shard_of_login=None if resources.shards is None else resources.shards.homes.of_typed,
        catalogue=_catalogue(resources),
    )


def _catalogue(resources: WorkerResources) -> OperationContext | None:
    """Return what changes the catalogue of shards; ``None``: there are none."""
    if resources.shards is None:
        return None
    main = resources.shards.resources[MAIN_SHARD]
    return OperationContext(main.store, main.clock, main.random)


def _domains(resources: WorkerResources) -> Callable[[], Awaitable[frozenset[str]]]:
    """Return what names the domains of all shards."""
    shards = resources.shards
    if shards is None:
        return resources.store.directory.domains

    async def domains() -> frozenset[str]:
        return await resources.store.directory.domains() | shards.homes.domains()

    return domains


def _provider(resources: WorkerResources, url: str | None) -> OpenIdProvider | None:
    """Return what vouches for people on the pages; ``None``: nobody does."""
    options = resources.configuration.sign_on
    if options.issuer is None or url is None:
        return None
    # Imported here, because httpx takes 60 ms and 6 MiB, and few servers have a provider.
    from zajil.login.sign_on.provider import OpenIdProvider

    tls = resources.client_tls
    if options.ca_file is not None:
        tls = ssl.create_default_context(cafile=str(options.ca_file))
    return OpenIdProvider(options, tls, resources.clock, f"{url.rstrip('/')}/login/sso/back")


def _connection_rules(resources: WorkerResources, name: Service) -> ConnectionRules:
    """Make the rules for connections to a web listener."""
    options = resources.configuration.web
    return ConnectionRules(
        browsers=admission(resources, name),
        proxies=admission(resources, name, many_users=True),
        trusted=Networks(options.trusted_proxies),
        header_seconds=options.header_time_ms / 1000,
        handshake_seconds=resources.configuration.limits.handshake_ms / 1000,
    )


def _own_address(hostname: str, port: int | None) -> str | None:
    """Return the public address of the pages if HTTPS listens here."""
    if port is None:
        return None
    return f"https://{hostname}/" if port == _HTTPS_PORT else f"https://{hostname}:{port}/"


def _https_port(url: str | None) -> int | None:
    """Return the port of HTTPS as browsers reach it; ``None``: there is no HTTPS."""
    parts = urlsplit(url or "")
    return parts.port or _HTTPS_PORT if parts.scheme == "https" else None


def _bound_ports(sockets: Mapping[str, Sequence[socket.socket]]) -> dict[str, int]:
    """Return the port of the first address of each service that listens."""
    return {
        name: listening[0].getsockname()[1]
        for name, listening in sockets.items()
        if listening and listening[0].family != socket.AF_UNIX
    }


def _challenge_finder(store: Store) -> FindChallenge:
    """Return what looks up the answer to a certificate authority; any node has stored it."""

    async def find(token: str) -> str | None:
        return await store.read(lambda conn: find_challenge(conn, token))

    return find
