"""Which address and port each domain's server gets.

MX records carry no port, so all servers share one SMTP port, each on an address of its own in
127.0.0.0/8. Where only 127.0.0.1 exists (macOS), each server has a port of its own instead, and a
table of ports in the configuration replaces the addresses (design section 5).
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

LOOPBACK = IPv4Address("127.0.0.1")
_FIRST = IPv4Address("127.1.0.1")
# Below the range from which systems take ports for outgoing connections (32768 and 49152 up), so
# that no connection of the lab's own can sit on the port between our look and the server's bind.
_PORTS = range(20_000, 32_000)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one domain's server listens."""

    address: IPv4Address
    smtp_port: int


class NoFreePort(Exception):
    """No port was free on all addresses; somebody else uses very many."""


def own_addresses(count: int) -> tuple[IPv4Address, ...] | None:
    """Give an address for each domain, or ``None`` where only 127.0.0.1 can be bound."""
    addresses = tuple(_FIRST + number for number in range(count))
    for address in addresses:
        with socket.socket() as sock:
            try:
                sock.bind((str(address), 0))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    return None
                raise
    return addresses


def choose_places(
    addresses: Sequence[IPv4Address] | None, count: int, random_number: Callable[[int], int]
) -> tuple[Place, ...]:
    """Choose free SMTP ports: one for all addresses, or one for each domain on 127.0.0.1.

    Args:
        addresses: one for each domain; ``None`` where there is only 127.0.0.1.
        count: number of domains.
        random_number: gives a number from 0 to below its argument; two labs that start at the
            same moment must not look at the same ports.

    Raises:
        NoFreePort: after many tries.
    """
    if addresses is None:
        ports = _free_ports([LOOPBACK], count, random_number)
        return tuple(Place(LOOPBACK, port) for port in ports)
    (port,) = _free_ports(addresses, 1, random_number)
    return tuple(Place(address, port) for address in addresses)


def _free_ports(
    addresses: Sequence[IPv4Address], count: int, random_number: Callable[[int], int]
) -> list[int]:
    ports: list[int] = []
    for _ in range(200):
        port = _PORTS[random_number(len(_PORTS))]
        if port not in ports and _is_free(addresses, port):
            ports.append(port)
            if len(ports) == count:
                return ports
    raise NoFreePort(f"no free port from {_PORTS.start} to {_PORTS.stop} on {addresses[0]}")


def _is_free(addresses: Sequence[IPv4Address], port: int) -> bool:
    with contextlib.ExitStack() as stack:
        for address in addresses:
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((str(address), port))
                sock.listen(1)
            except OSError:
                return False
    return True
