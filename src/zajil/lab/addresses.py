"""Addresses and ports of the services of a lab.

MX records have no port, so all servers share one SMTP port, each on its own address in
127.0.0.0/8. Where only 127.0.0.1 exists (macOS), each server has its own ports instead, and a table
of ports in the configuration replaces the addresses.

A lab uses a block of 100 ports with a fixed place for each service: SMTP of the block 20300 is
20325. The lab holds the first port of the block while it runs, so that no other lab uses the block.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from zajil.core.errors import Unavailable
from zajil.core.service import Service

LOOPBACK = IPv4Address("127.0.0.1")
_FIRST = IPv4Address("127.1.0.1")
_FIRST_NODE = IPv4Address("127.1.0.11")
# Below the range from which systems take ports for outgoing connections (32768 and 49152 up), so
# that no connection of the lab's own can sit on the port between our look and the server's bind.
_BLOCKS = range(20_000, 32_000, 100)

METRICS = "metrics"
"""``listen.metrics``, with ``/ready``."""
MOST_NODES = 5
"""Nodes of a domain: so many ports for pages are free in their block."""
_MOST_SHARING = 3

_SERVICES: Mapping[str, int] = {
    Service.POP3: 10,
    Service.LMTP: 20,
    Service.SMTP: 25,
    Service.IMAP: 43,
    Service.SUBMISSIONS: 65,
    Service.WEB: 80,
    Service.SUBMISSION: 87,
    Service.IMAPS: 93,
    Service.POP3S: 96,
    METRICS: 30,
}
"""Place of each service in the block. The next two belong to the other domains, where they share
one address: the pages, or all services."""
_DNS, _OBJECTS, _LAB_PAGE = 53, 54, 99


@dataclass(frozen=True, slots=True)
class LabPlace:
    """Where one domain's server listens."""

    address: IPv4Address
    ports: Mapping[str, int]
    """By service. The pages listen on 127.0.0.1, all others on ``address``."""

    @property
    def smtp_port(self) -> int:
        """The stand-in for port 25."""
        return self.ports[Service.SMTP]


class NoFreePort(Unavailable):
    """No block of ports was free on all addresses."""


def own_addresses(count: int) -> tuple[IPv4Address, ...] | None:
    """Return an address for each domain, or ``None`` where only 127.0.0.1 can be bound."""
    return _addresses(_FIRST, count)


def node_addresses(count: int) -> tuple[IPv4Address, ...] | None:
    """Return an address for each node of a domain, then the balancer's own, or ``None``.

    Raises:
        NoFreePort: there is only 127.0.0.1, and its ports are not enough.
    """
    addresses = _addresses(_FIRST_NODE, count + 1)
    if addresses is None and count > _MOST_SHARING:
        raise NoFreePort(
            f"only 127.0.0.1 can be used on this system: start at most {_MOST_SHARING} nodes"
        )
    return addresses


def _addresses(first: IPv4Address, count: int) -> tuple[IPv4Address, ...] | None:
    addresses = tuple(first + number for number in range(count))
    for address in addresses:
        with socket.socket() as sock:
            try:
                sock.bind((str(address), 0))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    return None
                raise
    return addresses


class PortBlock:
    """The ports of one lab, reserved until ``close``."""

    def __init__(
        self,
        addresses: Sequence[IPv4Address] | None,
        count: int,
        random_number: Callable[[int], int],
        kept: int | None = None,
    ) -> None:
        """Reserve a block.

        Args:
            addresses: one for each domain; ``None`` where there is only 127.0.0.1.
            count: number of domains, at most 3 where there is only 127.0.0.1.
            random_number: gives a number from 0 to below its argument.
            kept: the block of an earlier start, taken again if it is free.

        Raises:
            NoFreePort: after many tries.
        """
        self._shared = addresses is None
        own = addresses or [LOOPBACK] * count
        tries = [_BLOCKS[random_number(len(_BLOCKS))] for _ in range(200)]
        if kept is not None and kept in _BLOCKS:
            tries.insert(0, kept)
        for self.first in tries:
            self.places = tuple(
                LabPlace(address, self._ports(number)) for number, address in enumerate(own)
            )
            guard = _reserve(self.first)
            if guard is None:
                continue
            if _are_free(self._all()):
                self._guard = guard
                return
            guard.close()
        raise NoFreePort(f"no free ports from {_BLOCKS.start} to {_BLOCKS.stop} on {own[0]}")

    @property
    def dns(self) -> int:
        """The port of the lab's name server, on 127.0.0.1."""
        return self.first + _DNS

    @property
    def objects(self) -> int:
        """The port of the embedded S3 server, on 127.0.0.1."""
        return self.first + _OBJECTS

    @property
    def page(self) -> int:
        """The port of the lab's own page, on 127.0.0.1."""
        return self.first + _LAB_PAGE

    def close(self) -> None:
        """Let others take the block."""
        self._guard.close()

    def _ports(self, number: int) -> dict[str, int]:
        return {
            name: self.first + place + (number if self._shared or name is Service.WEB else 0)
            for name, place in _SERVICES.items()
        }

    def _all(self) -> Iterable[tuple[IPv4Address, int]]:
        yield LOOPBACK, self.dns
        yield LOOPBACK, self.page
        yield LOOPBACK, self.objects
        for place in self.places:
            for name, port in place.ports.items():
                yield (LOOPBACK if name is Service.WEB else place.address), port


def _reserve(port: int) -> socket.socket | None:
    """Bind a port of 127.0.0.1 as nobody else can meanwhile; ``None``: it is taken."""
    sock = socket.socket()
    try:
        sock.bind((str(LOOPBACK), port))
    except OSError:
        sock.close()
        return None
    return sock


def _are_free(pairs: Iterable[tuple[IPv4Address, int]]) -> bool:
    with contextlib.ExitStack() as stack:
        for address, port in pairs:
            sock = stack.enter_context(socket.socket())
            # Connections of an earlier lab that have just ended do not count.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((str(address), port))
                sock.listen(1)
            except OSError:
                return False
    return True
