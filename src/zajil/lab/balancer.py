"""A small TCP balancer: passes the connections of one domain on to its nodes.

It does what a provider's balancer does, in the lab's event loop: connections go to the nodes in
turn; each begins with a PROXY header, so that a node knows the address of the peer; a node is out
while its ``/ready`` answers 503 or it does not answer, and in again afterwards.

A node that answers 503 keeps its open connections: it is being drained. One that does not answer
loses them, so that clients connect anew and reach another node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address

_LOOK_SECONDS = 1.0
_ANSWER_SECONDS = 3.0
"""For a node's answer, and for a connection to it."""
_SILENT_LOOKS = 2
"""So many looks in a row without an answer, and the node is gone."""
_PIECE = 64 * 1024
_BACKLOG = 1024

Place = tuple[str, int]
"""Host and port."""


class BalancedNode:
    """One node, as the balancer sees it.

    Args:
        name: for messages.
        services: where it listens.
        ready: where it answers ``GET /ready``.
    """

    def __init__(self, name: str, services: Mapping[str, Place], ready: Place) -> None:
        self.name = name
        self.services = services
        self.is_in = False
        self._ready = ready
        self._silent_looks = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def look(self) -> None:
        """Ask the node whether it takes connections."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                self.is_in = await _is_ready(self._ready)
        except (OSError, TimeoutError, ValueError):
            self._silent_looks += 1
            if self._silent_looks >= _SILENT_LOOKS:
                self.is_in = False
                self._cut()
        else:
            self._silent_looks = 0

    async def connect(
        self, service: str, source: Place | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a service.

        Raises:
            OSError, TimeoutError: it does not answer; it is out until it does.
        """
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(
                    *self.services[service], local_addr=source, limit=_PIECE
                )
        except OSError:
            self.is_in = False
            raise
        self._open.add(writer)
        return reader, writer

    def release(self, writer: asyncio.StreamWriter) -> None:
        """Forget a connection that has ended."""
        self._open.discard(writer)

    def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()


class Balancer:
    """The balancer of one domain.

    Args:
        nodes: at least one.
        source: connections to the nodes come from here, and begin with a PROXY header; ``None``:
            from any address, without the header.
        tell: gets the name of a node and whether it is in, at each change.
    """

    def __init__(
        self,
        nodes: Sequence[BalancedNode],
        source: IPv4Address | None,
        tell: Callable[[str, bool], None],
    ) -> None:
        self.nodes = nodes
        self._source = source
        self._tell = tell
        self._turn = 0
        self._servers: list[asyncio.Server] = []
        self._looks: list[asyncio.Task[None]] = []
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, listen: Mapping[str, Place], headerless: frozenset[str]) -> None:
        """Look at each node, then listen.

        Args:
            listen: where, by service.
            headerless: services that take no PROXY header.

        Raises:
            OSError: an address cannot be bound; call ``close``.
        """
        await asyncio.gather(*(node.look() for node in self.nodes))
        self._looks = [asyncio.create_task(self._watch(node)) for node in self.nodes]
        for service, (host, port) in listen.items():
            source = None if service in headerless else self._source

            async def talk(
                reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter,
                service: str = service,
                source: IPv4Address | None = source,
            ) -> None:
                await self._talk(reader, writer, service, source)

            server = await asyncio.start_server(
                talk, host, port, limit=_PIECE, backlog=_BACKLOG, reuse_address=True
            )
            self._servers.append(server)

    async def close(self) -> None:
        """Listen no more, and end what is open."""
        for server in self._servers:
            server.close()
        tasks = [*self._looks, *self._open]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, node: BalancedNode) -> None:
        was_in = node.is_in
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await node.look()
            if node.is_in != was_in:
                was_in = node.is_in
                self._tell(node.name, was_in)

    async def _talk(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        service: str,
        source: IPv4Address | None,
    ) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served by a task")
        self._open.add(task)
        try:
            for node in self._in_turn():
                with suppress(OSError):
                    inner = await node.connect(service, (str(source), 0) if source else None)
                    break
            else:
                return  # no node answers: the peer tries again later
            try:
                if source is not None:
                    inner[1].write(_proxy_header(writer))
                await _pass_both_ways((reader, writer), inner)
            finally:
                node.release(inner[1])
                inner[1].transport.abort()
        finally:
            self._open.discard(task)
            writer.transport.abort()

    def _in_turn(self) -> list[BalancedNode]:
        """Return the nodes that are in, another one first each time."""
        inside = [node for node in self.nodes if node.is_in]
        if not inside:
            return []
        self._turn += 1
        first = self._turn % len(inside)
        return inside[first:] + inside[:first]


async def _is_ready(place: Place) -> bool:
    """Ask ``/ready``.

    Raises:
        OSError: no answer.
        ValueError: the answer is not HTTP.
    """
    reader, writer = await asyncio.open_connection(*place)
    try:
        writer.write(b"GET /ready HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")
        words = (await reader.readline()).split(b" ")
        if len(words) < 2:
            raise ValueError("not an answer of HTTP")
        return int(words[1]) == 200
    finally:
        writer.transport.abort()


def _proxy_header(client: asyncio.StreamWriter) -> bytes:
    """Version 1 of haproxy's PROXY protocol, section 2.1."""
    host, port = client.get_extra_info("peername")[:2]
    own_host, own_port = client.get_extra_info("sockname")[:2]
    return f"PROXY TCP4 {host} {own_host} {port} {own_port}\r\n".encode("ascii")


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _pass_both_ways(outer: _Ends, inner: _Ends) -> None:
    """Pass bytes on until both directions have ended, or one end was lost."""
    ways = [
        asyncio.create_task(_pass(outer[0], inner[1])),
        asyncio.create_task(_pass(inner[0], outer[1])),
    ]
    try:
        await asyncio.gather(*ways)
    except OSError:
        pass  # a reset at one end is a reset at the other
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    with suppress(OSError):  # the other end is gone already
        writer.write_eof()
