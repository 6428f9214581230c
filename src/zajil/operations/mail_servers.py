"""What mail programs connect to: host, ports and kinds of TLS, for pages, settings and DNS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zajil.config.options import Configuration
from zajil.config.options_public import CLIENT_SERVICES
from zajil.core.service import Service


@dataclass(frozen=True, slots=True)
class MailServer:
    """One server for mail programs."""

    kind: str
    """``imap``, ``pop3`` or ``smtp``."""
    host: str
    """In A-labels."""
    port: int
    implicit_tls: bool
    """TLS from the first byte; else STARTTLS."""


def offered_ports(
    configuration: Configuration, bound: Mapping[str, int] | None = None
) -> dict[Service, int]:
    """Return under which port mail programs reach each service, in the order of preference.

    A service that does not listen here is offered too if ``clients.ports`` names it: a proxy or
    another server has it.

    Args:
        configuration: the listeners and ``[clients]``.
        bound: ports of the listeners by service; ``None``: those of ``[listen]``.
    """
    if bound is None:
        bound = {
            name: int(listeners[0].rpartition(":")[2])
            for name in CLIENT_SERVICES
            if (listeners := getattr(configuration.listen, name))
        }
    ports = {**bound, **configuration.clients.ports}
    return {name: ports[name] for name in CLIENT_SERVICES if ports.get(name)}


def find_servers(
    configuration: Configuration, bound: Mapping[str, int] | None = None
) -> tuple[MailServer, ...]:
    """Return the servers for mail programs, one of a kind, with TLS from the first byte if offered.

    Args:
        configuration: see ``offered_ports``.
        bound: see ``offered_ports``.
    """
    host = configuration.clients.hostname or configuration.server.hostname
    found: dict[str, MailServer] = {}
    for name, port in offered_ports(configuration, bound).items():
        kind = _kind(name)
        found.setdefault(kind, MailServer(kind, host, port, name.has_implicit_tls))
    return tuple(found.values())


def _kind(name: Service) -> str:
    if name.is_submission:
        return "smtp"
    return "imap" if name.is_imap else "pop3"
