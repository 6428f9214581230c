"""Attacks L: hosts that lead into networks of ours (server-side request forgery)."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest

from kit.zone import ZoneResolver
from zajil.net.peer import Networks
from zajil.resolver.outside import NotOutside, find_outside, is_outside

INSIDE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::127.0.0.1", "64:ff9b::a01:203"),
    *("2002:7f00:1::1", "2002:808:808::1", "2001:0:7f00:1::1", "64:ff9b:1::1"),
]
OUTSIDE = ["8.8.8.8", "172.32.0.1", "100.63.0.1", "2600::1", "2a00:1450::1", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_that_are_not_of_the_internet(address: str) -> None:
    assert not is_outside(ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_of_the_internet(address: str) -> None:
    assert is_outside(ip_address(address))


ZONE = {
    "out.test": {"A": ["8.8.8.8", "8.8.4.4"], "AAAA": ["2600::1"]},
    "in.test": {"A": ["127.0.0.1"]},
    "both.test": {"A": ["8.8.8.8"], "AAAA": ["::1"]},
    "none.test": {"TXT": ["x"]},
    "away.test": None,
    "many.test": {"A": [f"8.8.8.{number}" for number in range(1, 9)]},
}


def find(host: str, *allowed: str) -> list[str]:
    return asyncio.run(find_outside(host, ZoneResolver(ZONE).resolve, Networks(allowed)))


def test_a_name_has_the_addresses_that_dns_says() -> None:
    assert find("out.test") == find("OUT.test.") == ["8.8.8.8", "8.8.4.4", "2600::1"]
    assert len(find("many.test")) == 4


@pytest.mark.parametrize(
    "host",
    [
        *("in.test", "both.test", "none.test", "away.test", "unknown.test", "localhost"),
        *("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1", "::1", ""),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(host: str) -> None:
    """One private address is enough; other ways to write an address are names that do not exist."""
    with pytest.raises(NotOutside):
        find(host)


def test_the_operator_can_allow_a_network() -> None:
    assert find("in.test", "127.0.0.0/8") == ["127.0.0.1"]
    assert find("127.0.0.1", "127.0.0.1") == ["127.0.0.1"]
    with pytest.raises(NotOutside):
        find("both.test", "127.0.0.0/8")
