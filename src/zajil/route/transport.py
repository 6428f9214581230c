"""Which way the mail of a domain takes: the servers of the domain, or a relay. Pure.

Laws:
- Local domains are never asked about: ``recipient`` has decided on them before.
- A route for the domain itself has priority over one for subdomains, and a longer one over a
  shorter one, as in the transport table of Postfix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from zajil.config.options import DeliverOptions
from zajil.config.options_smarthost import (
    DIRECT,
    SMARTHOST,
    SmarthostOptions,
    SmarthostTls,
    split_route,
)
from zajil.core.value_class import value_class
from zajil.net.peer import join_host_port


@value_class(frozen=True, slots=True)
class Relay:
    """A server that mail is sent to whatever the MX records of its domain say."""

    host: str
    """ASCII host name, or IP address."""
    port: int
    option: Literal["smarthost.host", "deliver.routes"]
    """What says so."""
    tls: SmarthostTls = "opportunistic"
    login: str | None = None
    password: str | None = None

    @property
    def is_secure(self) -> bool:
        """Whether it is spoken to over TLS with a valid certificate only."""
        return self.tls != "opportunistic"

    def __repr__(self) -> str:
        """Leave out the secret: this may reach a log."""
        return f"Relay({self})"

    def __str__(self) -> str:
        """Return it as messages show it: ``smtp.provider.example:587``."""
        return join_host_port(self.host, self.port)


class Transports:
    """The routes of ``[smarthost]`` and ``deliver.routes``."""

    def __init__(self, smarthost: SmarthostOptions, deliver: DeliverOptions) -> None:
        self._default = _smarthost(smarthost)
        self._routes: Mapping[str, Relay | None] = {
            domain: self._read(route, deliver.port) for domain, route in deliver.routes.items()
        }

    def find(self, domain: str) -> Relay | None:
        """Return the relay for a domain or address literal; ``None``: its own servers.

        Args:
            domain: in A-labels.
        """
        if self._routes and not domain.startswith("["):
            for key in _keys(domain.lower()):
                if key in self._routes:
                    return self._routes[key]
        return self._default

    def hop(self, domain: str) -> str:
        """Return a name that is the same for all domains whose mail goes to the same server.

        Domains that are not relayed have themselves; ``""`` (mailboxes of ours) has itself.
        """
        relay = self.find(domain) if domain else None
        return domain if relay is None else f"{relay.option} {relay}"

    def _read(self, route: str, default_port: int) -> Relay | None:
        if route in (DIRECT, SMARTHOST):
            return self._default if route == SMARTHOST else None
        host, port = split_route(route)
        return Relay(host, port or default_port, "deliver.routes")


def _smarthost(options: SmarthostOptions) -> Relay | None:
    if options.host is None:
        return None
    return Relay(
        options.host,
        options.port,
        "smarthost.host",
        options.tls_mode,
        options.login,
        options.password,
    )


def _keys(domain: str) -> Iterator[str]:
    """Return the keys of a table that are about a domain: ``a.b.c``, ``.b.c``, ``.c``."""
    yield domain
    parent = domain
    while "." in parent:
        parent = parent.partition(".")[2]
        yield f".{parent}"
