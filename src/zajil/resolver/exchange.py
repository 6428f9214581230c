"""One query to one name server: UDP, and TCP if the answer is truncated.

RFC 1035 section 4.2, RFC 7766 (TCP). Every query has its own socket, connected to the server, with
a port that the system chooses; datagrams from other addresses are not received.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import dns.flags
import dns.message

from zajil.core.errors import InternalError
from zajil.resolver.wire import Query, read_response


@dataclass(frozen=True, slots=True)
class NameServer:
    """Where to ask."""

    host: str
    port: int
    loopback: bool
    """On this machine: its AD bit cannot have been forged on the way."""


class NoAnswer(InternalError):
    """The server cannot be reached, closed, or sent what is not an answer."""


async def exchange(query: Query, server: NameServer) -> dns.message.Message:
    """Ask; wait for the answer without an end: the caller brings the deadline.

    Cancelling closes the socket.

    Raises:
        NoAnswer: at once where the system knows it (connection refused).
    """
    try:
        response = await _ask_udp(query, server)
        if response.flags & dns.flags.TC:
            response = await _ask_tcp(query, server)
    except OSError as error:
        raise NoAnswer(error.strerror or str(error)) from None
    return response


class _Asker(asyncio.DatagramProtocol):
    """Waits for the datagram that answers the query; others are passed over."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self.response: asyncio.Future[dns.message.Message] = (
            asyncio.get_running_loop().create_future()
        )

    def datagram_received(self, data: bytes, addr: object) -> None:
        response = read_response(self._query, data)
        if response is not None and not self.response.done():
            self.response.set_result(response)

    def error_received(self, exc: Exception) -> None:
        if not self.response.done():
            self.response.set_exception(exc)


async def _ask_udp(query: Query, server: NameServer) -> dns.message.Message:
    transport, asker = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Asker(query), remote_addr=(server.host, server.port)
    )
    try:
        transport.sendto(query.wire)
        return await asker.response
    finally:
        transport.close()


async def _ask_tcp(query: Query, server: NameServer) -> dns.message.Message:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        writer.write(len(query.wire).to_bytes(2, "big") + query.wire)
        size = int.from_bytes(await reader.readexactly(2), "big")
        response = read_response(query, await reader.readexactly(size))
    except EOFError:
        raise NoAnswer("closed the connection") from None
    finally:
        writer.close()
    if response is None or response.flags & dns.flags.TC:
        raise NoAnswer("broken answer")
    return response
