"""X-Forwarded-For is believed from named proxies only, and read from its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from zajil.net.peer import Networks
from zajil.web.forwarded import ForwardedPeer

PROXIES = Networks(["192.0.2.1", "2001:db8:1::/48"])


def client_of(peer: str, *fields: str) -> str:
    """Give whom the application sees."""
    seen: list[str] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"][0])

    headers = [(b"x-forwarded-for", field.encode("latin-1")) for field in fields]
    scope = {"type": "http", "client": (peer, 4711), "headers": headers}
    asyncio.run(ForwardedPeer(page, PROXIES)(scope, None, None))  # type: ignore[arg-type]
    return seen[0]


@pytest.mark.parametrize("peer", ["127.0.0.1", "198.51.100.7", "2001:db8::1"])
def test_nobody_else_is_believed(peer: str) -> None:
    assert client_of(peer, "203.0.113.9") == peer


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["2001:db8::9"], "2001:db8::9"),
        (["[2001:db8::9]:4711"], "2001:db8::9"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        # What the browser wrote stands before what the proxy saw.
        (["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        (["198.51.100.7", "203.0.113.9"], "203.0.113.9"),
        # A second proxy of ours behind the first.
        (["198.51.100.7, 203.0.113.9, 2001:db8:1::5"], "203.0.113.9"),
        # Nothing that can be read: the nearest peer that is known.
        ([], "192.0.2.1"),
        ([""], "192.0.2.1"),
        (["unknown"], "192.0.2.1"),
        (["203.0.113.9, nonsense"], "192.0.2.1"),
        (["203.0.113.9, nonsense, 2001:db8:1::5"], "2001:db8:1::5"),
        (["203.0.113.9, \xff\x00"], "192.0.2.1"),
        (["'; drop table"], "192.0.2.1"),
    ],
)
def test_what_a_proxy_says(fields: list[str], client: str) -> None:
    assert client_of("192.0.2.1", *fields) == client


def seen_of(
    peer: str, fields: dict[str, str], is_https: bool = False, scheme: str = "http"
) -> tuple[str, list[bytes]]:
    """Give scheme and host as the application sees them."""
    seen: list[tuple[str, list[bytes]]] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        seen.append((scope["scheme"], hosts))

    headers = [(b"host", b"backend:8080")]
    headers += [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
    scope = {"type": "http", "client": (peer, 4711), "headers": headers, "scheme": scheme}
    app = ForwardedPeer(page, PROXIES, is_https)
    asyncio.run(app(scope, None, None))  # type: ignore[arg-type]
    return seen[0]


@pytest.mark.parametrize(
    ("fields", "scheme", "host"),
    [
        ({}, "http", b"backend:8080"),
        ({"x-forwarded-proto": "https"}, "https", b"backend:8080"),
        ({"x-forwarded-proto": "HTTPS"}, "https", b"backend:8080"),
        ({"x-forwarded-proto": "http, https"}, "https", b"backend:8080"),
        ({"x-forwarded-proto": "gopher"}, "http", b"backend:8080"),
        ({"x-forwarded-proto": ""}, "http", b"backend:8080"),
        ({"x-forwarded-host": "mail.test"}, "http", b"mail.test"),
        ({"x-forwarded-host": "evil.test, mail.test:443"}, "http", b"mail.test:443"),
        ({"x-forwarded-host": ""}, "http", b"backend:8080"),
        ({"x-forwarded-host": "mail.test", "x-forwarded-proto": "https"}, "https", b"mail.test"),
    ],
)
def test_a_proxy_says_name_and_scheme(fields: dict[str, str], scheme: str, host: bytes) -> None:
    assert seen_of("192.0.2.1", fields) == (scheme, [host])
    # Nobody else is believed.
    assert seen_of("198.51.100.7", fields) == ("http", [b"backend:8080"])


def test_the_public_address_says_that_there_is_tls() -> None:
    """A proxy that says nothing, and ``web.url`` begins with https."""
    assert seen_of("198.51.100.7", {}, is_https=True)[0] == "https"
    assert seen_of("192.0.2.1", {"x-forwarded-proto": "http"}, is_https=True)[0] == "https"
    assert seen_of("198.51.100.7", {"x-forwarded-proto": "http"}, scheme="https")[0] == "https"
