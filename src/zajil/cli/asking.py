"""Commands that query DNS themselves, without a server or a configuration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from zajil.cli.errors import WrongUsage
from zajil.cli.output import log_to_stderr

if TYPE_CHECKING:
    from zajil.dns.flow import Flow, Resolve
    from zajil.resolver.client import Resolver

T = TypeVar("T")

NameserverOption = Annotated[
    str | None,
    typer.Option(
        "--nameserver",
        metavar="HOST:PORT",
        help="Name server to query. Default: those of this machine.",
        show_default=False,
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.01,
        max=3600,  # "inf" is not a number of milliseconds
        help="Timeout of a query.",
    ),
]
TIMEOUT_SECONDS = 5.0
"""Default of ``--timeout``, as ``dns.timeout``."""


def ask(flow: Flow[T], nameserver: str | None, timeout_seconds: float) -> T:
    """Return the result of a flow, with a resolver of its own.

    Raises:
        WrongUsage: the name server is not written as HOST:PORT, or is unknown.
    """
    from zajil.dns.flow import run_flow

    return run_with_resolver(lambda resolve: run_flow(flow, resolve), nameserver, timeout_seconds)


def run_with_resolver(
    work: Callable[[Resolve], Awaitable[T]],
    nameserver: str | None,
    timeout_seconds: float,
    configured: tuple[str, ...] = (),
) -> T:
    """Run something that queries DNS, in an event loop of its own.

    Args:
        work: gets the resolver.
        nameserver: of the command line.
        timeout_seconds: of one question.
        configured: ``dns.nameservers``, used where the command line names none.

    Raises:
        WrongUsage: the name server is not written as HOST:PORT, or is unknown.
    """
    import asyncio

    async def run() -> T:
        resolver = _make_resolver(nameserver, timeout_seconds, configured)
        try:
            return await work(resolver.resolve)
        finally:
            await resolver.close()

    return asyncio.run(run())


def _make_resolver(
    nameserver: str | None, timeout_seconds: float, configured: tuple[str, ...]
) -> Resolver:
    from zajil.config.options_server import DnsOptions
    from zajil.net.system import SystemClock, system_random
    from zajil.resolver.client import Resolver

    log_to_stderr()
    servers = _locate(nameserver) if nameserver is not None else configured
    timeout_ms = round(timeout_seconds * 1000)
    # The command is not repeated: it does not wait for DNS to work again.
    update = {"nameservers": servers, "timeout_ms": timeout_ms, "outage_ms": 0}
    options = DnsOptions().model_copy(update=update)
    return Resolver(options, SystemClock(), system_random)


def _locate(nameserver: str) -> tuple[str, ...]:
    """Return the addresses of a name server, each with its port; a name may have several.

    Raises:
        WrongUsage: it is not HOST:PORT, or the host is unknown.
    """
    import socket

    from zajil.net.peer import join_host_port

    host, _, port = nameserver.rpartition(":")
    host = host.strip("[]")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port[:9]) < 65536:
        raise WrongUsage(f"--nameserver {nameserver}: use HOST:PORT, like 127.0.0.1:53")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise WrongUsage(f"--nameserver {nameserver}: there is no host {host}") from None
    return tuple(dict.fromkeys([join_host_port(str(one[4][0]), int(port)) for one in found]))
