"""Whose browser it is behind a reverse proxy: X-Forwarded-For, believed only from named proxies."""

from __future__ import annotations

from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from zajil.net.peer import Networks

_FIELD = b"x-forwarded-for"


class ForwardedPeer:
    """Puts the browser's address in the place of the proxy's.

    Security: each proxy appends the address of its own peer, so the field is read from its end, and
    the first address that is not a proxy's is the browser's. What a browser wrote itself stands
    before that.
    """

    def __init__(self, app: ASGIApp, proxies: Networks) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        client = scope.get("client")
        if client is not None and client[0] in self._proxies:
            values = [value for name, value in scope["headers"] if name == _FIELD]
            scope["client"] = (self._browser(b",".join(values), client[0]), 0)
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
