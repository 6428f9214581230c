"""Commands that ask DNS by themselves: no server and no configuration is needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from zajil.cli.errors import WrongUsage

if TYPE_CHECKING:
    from zajil.dns.flow import Flow, Resolve
    from zajil.resolver.client import Resolver

T = TypeVar("T")

NameserverOption = Annotated[
    str | None,
    typer.Option(
        "--nameserver",
        metavar="HOST:PORT",
        help="Whom to ask; default: the name servers of this machine.",
        show_default=False,
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", min=0.01, help="Wait so long for one answer."),
]
TIMEOUT_SECONDS = 5.0
"""Default of ``--timeout``, as ``dns.timeout``."""


def ask(flow: Flow[T], nameserver: str | None, timeout_seconds: float) -> T:
    """Drive a flow with a resolver of its own.

    Raises:
        WrongUsage: the name server is not written as ADDRESS:PORT.
    """
    from zajil.dns.flow import run_flow

    return run_with_resolver(lambda resolve: run_flow(flow, resolve), nameserver, timeout_seconds)


def run_with_resolver(
    work: Callable[[Resolve], Awaitable[T]], nameserver: str | None, timeout_seconds: float
) -> T:
    """Do something that asks DNS, in a loop of its own.

    Raises:
        WrongUsage: the name server is not written as ADDRESS:PORT.
    """
    import asyncio

    async def run() -> T:
        resolver = _make_resolver(nameserver, timeout_seconds)
        try:
            return await work(resolver.resolve)
        finally:
            await resolver.close()

    return asyncio.run(run())


def _make_resolver(nameserver: str | None, timeout_seconds: float) -> Resolver:
    from pydantic import ValidationError

    from zajil.config.options import DnsOptions
    from zajil.net.system import SystemClock, system_random
    from zajil.resolver.client import Resolver

    servers = [nameserver] if nameserver else []
    try:
        options = DnsOptions.model_validate({"nameservers": servers, "timeout": "5s"})
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise WrongUsage(f"--nameserver {nameserver}: {reason}") from None
    options = options.model_copy(update={"timeout": round(timeout_seconds * 1000)})
    return Resolver(options, SystemClock(), system_random)
