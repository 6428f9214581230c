"""Addresses on the Internet of a host that a stranger named: never one of a network of ours. Pure.

Security (server-side request forgery): whoever writes a message can name any host, and can let a
name of his own lead to 127.0.0.1 or to a machine beside this one. So a name is looked up once, each
of its addresses is judged, and the caller connects to the addresses that are returned, not to the
name. Numbers that only the C library reads as addresses (``2130706433``, ``0x7f.1``) are names
here, and do not exist.
"""

from __future__ import annotations

from collections.abc import Container
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from zajil.core.errors import InternalError
from zajil.dns.flow import Outcome, Question, Resolve

_MAX_ADDRESSES = 4
_SPECIAL = ip_network("192.0.0.0/24")
_NAT64 = ip_network("64:ff9b::/96")
"""IPv4 addresses behind a translator (RFC 6052 section 2.1)."""


class NotOutside(InternalError):
    """The host has no address, or one that is not on the Internet; the text says which."""


async def find_outside(host: str, resolve: Resolve, allowed: Container[str] = ()) -> list[str]:
    """Return the addresses of a host, IPv4 first; at most ``_MAX_ADDRESSES``.

    Args:
        host: a name in A-labels, or an address without brackets.
        resolve: answers questions.
        allowed: addresses that may be used although they are private.

    Raises:
        NotOutside: none can be used; one address that is not public is enough for that.
    """
    try:
        addresses = [ip_address(host)]
    except ValueError:
        addresses = await _look_up(host, resolve)
    for address in addresses:
        if str(address) not in allowed and not is_outside(address):
            raise NotOutside(f"{host} is not on the Internet: {address}")
    return [str(address) for address in addresses[:_MAX_ADDRESSES]]


def is_outside(address: IPv4Address | IPv6Address) -> bool:
    """Check whether an address is one of the public Internet, unicast and without a detour."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_outside(IPv4Address(int(address) & 0xFFFFFFFF))
        # 6to4 and Teredo lead to an IPv4 address of the sender's choice.
        inner = address.ipv4_mapped or address.sixtofour or address.teredo
        if inner is not None or address.is_site_local:
            return False
    # Python before 3.13 takes all but a few of 192.0.0.0/24 (RFC 6890 section 2.2.2) for global.
    if isinstance(address, IPv4Address) and address in _SPECIAL:
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


async def _look_up(host: str, resolve: Resolve) -> list[IPv4Address | IPv6Address]:
    found: list[IPv4Address | IPv6Address] = []
    detail = ""
    for kind in ("A", "AAAA"):
        answer = await resolve(Question(host.rstrip(".").lower(), kind))
        if answer.outcome is Outcome.FOUND:
            found += [ip_address(value) for value in answer.values]
        detail = detail or answer.detail or answer.outcome.value
    if not found:
        raise NotOutside(f"{host} has no address: {detail}")
    return found
