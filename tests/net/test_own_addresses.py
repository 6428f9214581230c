"""The addresses of this machine, as the kernel lists them."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

from zajil.net.own_addresses import IPV4_TABLE, public_addresses, read_ipv4, read_ipv6

TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     |-- 203.0.113.0
        /24 link UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     |-- 203.0.113.7
        /32 host LOCAL
"""
INET6 = """2a0104f8000000000000000000000001 02 40 00 80     eth0
2a0104f8000000001234567890abcdef 02 40 00 01     eth0
2a0104f800000000aaaaaaaaaaaaaaaa 02 40 00 20     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""


def test_addresses_are_read_and_networks_are_not() -> None:
    assert read_ipv4(TRIE.splitlines()) == [IPv4Address("127.0.0.1"), IPv4Address("203.0.113.7")]
    # Temporary and deprecated ones change, and stand in no record.
    assert read_ipv6(INET6.splitlines()) == [IPv6Address("2a01:4f8::1"), IPv6Address("::1")]
    assert read_ipv4(["odd", "|-- x"]) == []
    assert read_ipv6(["odd"]) == []


def test_those_of_this_machine_are_there() -> None:
    if IPV4_TABLE.exists():
        assert IPv4Address("127.0.0.1") in read_ipv4(IPV4_TABLE.read_text("ascii").splitlines())
    for text in public_addresses():
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        assert socket.inet_pton(family, text)
