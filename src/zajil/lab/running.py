"""What runs for one domain, and its description in the JSON line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zajil.core.service import MAIL_SERVICES, Service
from zajil.lab.balancer import Balancer
from zajil.lab.domains import DomainPlan
from zajil.lab.server import DomainServer


@dataclass(frozen=True, slots=True)
class RunningNode:
    """One server process that answers."""

    name: str
    """``node1``."""
    server: DomainServer
    services: Mapping[str, str]
    """``smtp`` to ``127.1.0.1:PORT``; what does not exist is not there."""
    web: str | None
    """``http://localhost:PORT/``."""
    pid: int
    """Of the supervisor."""


@dataclass(frozen=True, slots=True)
class RunningDomain:
    """One domain whose server answers, or whose nodes do."""

    plan: DomainPlan
    nodes: tuple[RunningNode, ...]
    """At least one."""
    services: Mapping[str, str]
    """Where the world reaches them: with several nodes, the balancer."""
    web: str | None
    """``http://localhost:PORT/``."""
    passwords: Mapping[str, str]
    """By log-in name."""
    balancer: Balancer | None = None
    """With several nodes."""

    @property
    def server(self) -> DomainServer:
        """The first server."""
        return self.nodes[0].server

    @property
    def several(self) -> tuple[RunningNode, ...]:
        """The nodes, if there is more than one."""
        return self.nodes if len(self.nodes) > 1 else ()


def running_node(name: str, server: DomainServer, ready: Mapping[str, Any]) -> RunningNode:
    """Return the server that has said that it is ready.

    Args:
        name: ``node1``.
        server: its process.
        ready: what it said: the addresses of each service, and ``pid``.
    """
    web = ready.get(Service.WEB)
    return RunningNode(
        name=name,
        server=server,
        services={name: ready[name][0] for name in MAIL_SERVICES if ready.get(name)},
        web=web_address(web[0].rpartition(":")[2]) if web else None,
        pid=ready["pid"],
    )


def web_address(port: int | str) -> str:
    """Return the URL of pages on 127.0.0.1; passkeys refuse bare addresses."""
    return f"http://localhost:{port}/"


def describe_domain(running: RunningDomain) -> dict[str, Any]:
    """Return what the JSON line says of a domain."""
    plan, first = running.plan, running.nodes[0]
    return {
        "domain": plan.domain,
        "ascii_domain": plan.ascii_domain,
        **running.services,
        **({Service.WEB: running.web} if running.web else {}),
        "config": str(first.server.configuration),
        "pid": first.pid,
        **(
            {"nodes": [_describe_node(node) for node in running.several]} if running.several else {}
        ),
        "accounts": [
            {
                "address": who.address.unicode,
                "login": who.login,
                "password": running.passwords[who.login],
                "admin": who.admin,
            }
            for who in plan.accounts
        ],
    }


def _describe_node(node: RunningNode) -> dict[str, Any]:
    return {
        "name": node.name,
        **node.services,
        **({Service.WEB: node.web} if node.web else {}),
        "config": str(node.server.configuration),
        "pid": node.pid,
    }
