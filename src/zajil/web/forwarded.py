"""What a reverse proxy says of a request: whose it is, for which name, and whether by HTTPS.

The fields X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host are believed only from named
proxies.
"""

from __future__ import annotations

from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from zajil.net.peer import Networks

_FOR, _PROTO, _HOST = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"


class ForwardedPeer:
    """Puts address, scheme and host of the browser's request in the place of the proxy's.

    Security: each proxy appends the address of its own peer, so the field is read from its end, and
    the first address that is not a proxy's is the browser's. What a browser wrote itself stands
    before that. Of the other fields, the last value is that of the nearest proxy.

    Args:
        app: what is served.
        proxies: whose fields are believed.
        is_https: all requests come by HTTPS, whatever the proxy says (``web.url`` says so).
    """

    def __init__(self, app: ASGIApp, proxies: Networks, is_https: bool = False) -> None:
        self._app = app
        self._proxies = proxies
        self._is_https = is_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        client = scope.get("client")
        if client is not None and client[0] in self._proxies:
            values = [value for name, value in scope["headers"] if name == _FOR]
            scope["client"] = (self._browser(b",".join(values), client[0]), 0)
            proto, host = _last(scope, _PROTO).lower(), _last(scope, _HOST)
            if proto in (b"https", b"http"):
                scope["scheme"] = proto.decode("ascii")
            if host:
                others = [pair for pair in scope["headers"] if pair[0] != b"host"]
                scope["headers"] = [(b"host", host), *others]
        if self._is_https:
            scope["scheme"] = "https"
        await self._app(scope, receive, send)

    def _browser(self, field: bytes, proxy: str) -> str:
        """Return the browser's address; a proxy's where the field has none that can be read."""
        nearest = proxy
        for item in reversed(field.split(b",")):
            address = _read_address(item)
            if address is None:
                break
            nearest = address
            if address not in self._proxies:
                break
        return nearest


def _last(scope: Scope, wanted: bytes) -> bytes:
    """Return the last value of a field; ``b""``: there is none."""
    values = [value for name, value in scope["headers"] if name == wanted]
    last: bytes = values[-1] if values else b""
    return last.rpartition(b",")[2].strip()


def _read_address(item: bytes) -> str | None:
    """Read ``192.0.2.1``, ``192.0.2.1:4711``, ``2001:db8::1`` or ``[2001:db8::1]:4711``."""
    text = item.strip().decode("ascii", "replace")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
