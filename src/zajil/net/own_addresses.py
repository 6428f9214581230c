"""The addresses of this machine on the public Internet, as the kernel lists them (Linux).

A machine behind a translator (NAT) has none, and one with several does not say which is meant for
mail; so the caller fills in an address only where there is exactly one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

IPV4_TABLE = Path("/proc/net/fib_trie")
IPV6_TABLE = Path("/proc/net/if_inet6")
_LEAF = re.compile(r"\|-- ([0-9.]+)\Z")
_UNSTABLE = 0x01 | 0x20 | 0x40
"""Flags of an IPv6 address: temporary, deprecated, not usable yet."""


def public_addresses() -> list[str]:
    """Return the public addresses of all interfaces, IPv4 first; none where it cannot be read."""
    found: list[IPv4Address | IPv6Address] = []
    found += read_ipv4(_lines(IPV4_TABLE))
    found += read_ipv6(_lines(IPV6_TABLE))
    return [str(one) for one in found if one.is_global and not one.is_multicast]


def has_ipv6() -> bool:
    """Return whether this machine can listen on IPv6: it has an address, be it loopback."""
    return bool(_lines(IPV6_TABLE))


def read_ipv4(lines: Sequence[str]) -> list[IPv4Address]:
    """Return the addresses of ``/proc/net/fib_trie``: leaves with the word LOCAL below them."""
    found: dict[IPv4Address, None] = {}
    leaf = ""
    for line in lines:
        match = _LEAF.search(line.rstrip())
        if match:
            leaf = match[1]
        elif line.strip() == "/32 host LOCAL" and leaf:
            found[IPv4Address(leaf)] = None
    return list(found)


def read_ipv6(lines: Sequence[str]) -> list[IPv6Address]:
    """Return the lasting addresses of ``/proc/net/if_inet6``."""
    rows = [line.split() for line in lines]
    return [
        IPv6Address(int(row[0], 16))
        for row in rows
        if len(row) >= 5 and not int(row[4], 16) & _UNSTABLE
    ]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("ascii", "replace").splitlines()
    except OSError:
        return []
