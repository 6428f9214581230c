"""The header that a proxy puts in front of a connection: haproxy's PROXY protocol, 1 and 2. Pure.

The header is read from peers of ``net.proxy_peers`` alone: who can write it says whose connection
it is. Nothing of it is guessed: what is not exactly a header is refused, as the protocol asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from zajil.core.errors import Malformed

_LONGEST_1 = 107
"""With CRLF, by the protocol's section 2.1."""
_LONGEST_2 = 4096
"""Addresses and TLVs of version 2. The protocol allows 65,535; its section 2.2 lets a receiver stop
at 536, and certificates in TLVs are nothing we ask for. Protects memory."""
_FIXED_2 = 16
_SIGNATURE_1 = b"PROXY "
_SIGNATURE_2 = b"\r\n\r\n\x00\r\nQUIT\n"
_LINE_1 = re.compile(
    rb"(?:UNKNOWN(?: [ -~]*)?"
    rb"|TCP(?P<version>[46]) (?P<source>[0-9a-fA-F.:]{2,45}) (?P<target>[0-9a-fA-F.:]{2,45})"
    rb" (?P<source_port>0|[1-9][0-9]{0,4}) (?P<target_port>0|[1-9][0-9]{0,4}))"
)
_LOCAL, _PROXY = 0x20, 0x21
"""Version 2 and its commands."""
_ADDRESS_SIZES = {0x11: 4, 0x21: 16}
"""TCP over IPv4 and IPv6."""
_NAMELESS = frozenset((0x00, 0x31, 0x32))
"""Unspecified, and Unix sockets: there is no address to believe."""


class BadProxyHeader(Malformed):
    """The bytes are no PROXY header; the connection must be closed."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """Whose connection it is."""

    source: tuple[str, int] | None
    """Address and port; ``None``: the proxy speaks for itself, as in its health checks."""
    target: tuple[str, int] | None
    """The proxy's end."""
    size: int
    """Bytes of the header; what follows belongs to the connection."""


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Read the header at the start of ``data``; ``None``: more bytes are needed, all are its own.

    Raises:
        BadProxyHeader: no header, one that is too long, or one of another transport than TCP.
    """
    if data[: len(_SIGNATURE_2)] == _SIGNATURE_2[: len(data)]:
        return _parse_2(data)
    if data[: len(_SIGNATURE_1)] == _SIGNATURE_1[: len(data)]:
        return _parse_1(data)
    raise BadProxyHeader("no PROXY header")


def _parse_1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _LONGEST_1)
    if end < 0:
        if len(data) >= _LONGEST_1 or b"\n" in data:
            raise BadProxyHeader("a PROXY line without its end")
        return None
    match = _LINE_1.fullmatch(data, len(_SIGNATURE_1), end)
    if match is None:
        raise BadProxyHeader("a malformed PROXY line")
    if match["version"] is None:
        return ProxyHeader(None, None, end + 2)
    kind = IPv4Address if match["version"] == b"4" else IPv6Address
    ends = (match["source"], match["source_port"]), (match["target"], match["target_port"])
    try:
        source, target = ((_show(kind(host.decode())), _port(port)) for host, port in ends)
    except ValueError:
        raise BadProxyHeader("a malformed address in a PROXY line") from None
    return ProxyHeader(source, target, end + 2)


def _port(digits: bytes) -> int:
    port = int(digits)
    if port > 65535:
        raise ValueError("a port is at most 65535")
    return port


def _parse_2(data: bytes) -> ProxyHeader | None:
    if len(data) < _FIXED_2:
        return None
    command, transport = data[12], data[13]
    length = int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise BadProxyHeader("an unknown version or command of PROXY")
    if length > _LONGEST_2:
        raise BadProxyHeader("a PROXY header that is too long")
    size = _FIXED_2 + length
    if len(data) < size:
        return None
    if command == _LOCAL or transport in _NAMELESS:
        return ProxyHeader(None, None, size)
    width = _ADDRESS_SIZES.get(transport)
    if width is None or length < 2 * width + 4:
        raise BadProxyHeader("no TCP addresses in a PROXY header")
    ports = _FIXED_2 + 2 * width
    hosts = data[_FIXED_2 : _FIXED_2 + width], data[_FIXED_2 + width : ports]
    source, target = (_show(ip_address(host)) for host in hosts)
    return ProxyHeader(
        (source, int.from_bytes(data[ports : ports + 2], "big")),
        (target, int.from_bytes(data[ports + 2 : ports + 4], "big")),
        size,
    )


def _show(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
