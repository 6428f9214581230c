"""The PROXY header: what haproxy writes is read, and nothing else is."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.net.proxy_header import BadProxyHeader, parse_proxy_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def version_2(command: int, transport: int, body: bytes) -> bytes:
    return SIGNATURE + bytes([command, transport]) + len(body).to_bytes(2, "big") + body


def addresses(source: str, target: str, ports: tuple[int, int]) -> bytes:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    packed = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    return packed + ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big")


@pytest.mark.parametrize(
    ("header", "source"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.25 4711 25\r\n", ("192.0.2.1", 4711)),
        (b"PROXY TCP6 2001:db8::1 2001:db8::25 4711 25\r\n", ("2001:db8::1", 4711)),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 25\r\n", ("192.0.2.1", 1)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n", None),
        (version_2(0x21, 0x11, addresses("192.0.2.1", "192.0.2.25", (9, 25))), ("192.0.2.1", 9)),
        (
            version_2(0x21, 0x21, addresses("2001:db8::1", "::1", (9, 25)) + b"\x04\x00\x01\x00"),
            ("2001:db8::1", 9),
        ),
        (version_2(0x20, 0x00, b""), None),
        (version_2(0x21, 0x31, b"x" * 216), None),
    ],
)
def test_headers_of_proxies(header: bytes, source: tuple[str, int] | None) -> None:
    read = parse_proxy_header(header + b"EHLO c\r\n")
    assert read is not None
    assert (read.source, read.size) == (source, len(header))
    for cut in range(1, len(header)):
        assert parse_proxy_header(header[:cut]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"EHLO c\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.25 4711 70000\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 1 25\r\n",
        b"PROXY TCP4 192.0.2.1  192.0.2.25 1 25\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.25 1 25\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.25 01 25\r\n",
        b"PROXY " + b"x" * 200,
        version_2(0x21, 0x12, b"x" * 12),
        version_2(0x21, 0x11, b"x" * 11),
        version_2(0x31, 0x11, b"x" * 12),
        version_2(0x21, 0x11, b"x" * 5000),
    ],
)
def test_what_is_no_header(data: bytes) -> None:
    with pytest.raises(BadProxyHeader):
        parse_proxy_header(data)


@given(
    st.binary(max_size=60)
    | st.binary(max_size=60).map(lambda rest: b"PROXY " + rest + b"\r\n")
    | st.binary(max_size=60).map(lambda rest: SIGNATURE + rest)
)
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        header = parse_proxy_header(data)
    except BadProxyHeader:
        return
    assert header is None or 0 < header.size <= len(data)


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(max_size=40))
def test_every_address_is_given_back(
    address: IPv4Address | IPv6Address, port: int, rest: bytes
) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    expected = (str(mapped or address), port)
    line = f"PROXY TCP{address.version} {address} {address} {port} 25\r\n".encode()
    transport = 0x11 if address.version == 4 else 0x21
    binary = version_2(0x21, transport, addresses(str(address), str(address), (port, 25)))
    for header in (line, binary):
        read = parse_proxy_header(header + rest)
        assert read is not None
        assert (read.source, read.size) == (expected, len(header))
