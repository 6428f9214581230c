"""Read a PROXY header from a connection before anything else is read from it."""

from __future__ import annotations

import asyncio
import socket

from zajil.net.peer import Peer, join_host_port
from zajil.net.proxy_header import BadProxyHeader, ProxyHeader, parse_proxy_header

_PIECE = 4096


async def read_proxy_header(client: socket.socket, peer: Peer, seconds: float) -> Peer:
    """Take the header from the socket, and not a byte more; give whose connection it is.

    Waits for the proxy; cancelling leaves the connection of no further use. What follows the header
    may be TLS, so it has to stay in the socket.

    Args:
        client: non-blocking.
        peer: the proxy itself; what it gives of LOCAL and UNKNOWN connections.
        seconds: for the whole header.

    Raises:
        BadProxyHeader: it is none, or the proxy was gone before its end.
        TimeoutError: it did not come.
    """
    data = b""
    async with asyncio.timeout(seconds):
        while True:
            seen = await _peek(client)
            if not seen:
                raise BadProxyHeader("closed before its PROXY header")
            header = parse_proxy_header(data + seen)
            # While the header is not complete, all that is there belongs to it.
            own = len(seen) if header is None else header.size - len(data)
            data += client.recv(own)
            if header is not None:
                return _peer_of(header, peer)


async def _peek(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    while True:
        try:
            return client.recv(_PIECE, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            readable = loop.create_future()
            loop.add_reader(client, _set, readable)
            try:
                await readable
            finally:
                loop.remove_reader(client)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _peer_of(header: ProxyHeader, proxy: Peer) -> Peer:
    if header.source is None:
        return proxy
    local = join_host_port(*header.target) if header.target else proxy.local
    return Peer(header.source[0], header.source[1], local)
