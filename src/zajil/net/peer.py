"""Who is at the other end of a connection."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from zajil.core.value_class import value_class


@value_class(frozen=True, slots=True)
class Peer:
    """The peer of one connection, as the socket names it."""

    host: str
    """Its address: ``192.0.2.1``, ``2001:db8::1``; an IPv4 address is never mapped into IPv6.
    ``local`` on a Unix socket."""
    port: int
    local: str
    """Our end: ``192.0.2.25:25``, ``unix:/run/zajil/lmtp``."""

    @property
    def address(self) -> IPv4Address | IPv6Address:
        """The address as a value to compute with.

        Raises:
            ValueError: it has none: a Unix socket.
        """
        return _address_of(self.host)

    def __str__(self) -> str:
        """Return ``192.0.2.1:4711`` or ``[2001:db8::1]:4711`` or ``local``, as events show it."""
        if self.host == LOCAL:
            return LOCAL
        return join_host_port(self.host, self.port)


@functools.lru_cache(maxsize=4096)
def _address_of(host: str) -> IPv4Address | IPv6Address:
    return ip_address(host)


LOCAL = "local"
"""The host of a peer on a Unix socket: a program of this machine."""


class Networks:
    """Addresses that the operator has named; empty is false."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(ip_network(network, strict=False) for network in networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, host: object) -> bool:
        if not self._networks or not isinstance(host, str) or host == LOCAL:
            return False
        address = ip_address(host)
        return any(address in network for network in self._networks)


def make_peer(peer_name: Any, local_name: Any) -> Peer:
    """Make a ``Peer`` from what ``getpeername`` and ``getsockname`` give."""
    if isinstance(local_name, str):
        return Peer(LOCAL, 0, f"unix:{local_name}")
    host = peer_name[0]
    if ":" in host:
        address = IPv6Address(host.partition("%")[0])
        host = str(address.ipv4_mapped or address)
    return Peer(host, peer_name[1], join_host_port(local_name[0], local_name[1]))


def join_host_port(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_host_port(text: str) -> tuple[str, int]:
    """Return host and port of ``192.0.2.1:25`` or ``[2001:db8::1]:25``.

    Raises:
        ValueError: no colon, or no number behind the last one.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"{text!r} is not ADDRESS:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
