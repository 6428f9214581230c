"""A TCP proxy between a node and a service, which fails as networks and services do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_PIECE = 1 << 16


class FaultProxy:
    """Passes bytes on, unless it is told otherwise; what it holds back goes on later.

    Args:
        host: address of the service.
        port: of the service.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        """Where it listens, on 127.0.0.1."""
        self._target = (host, port)
        self._to_service, self._to_node = asyncio.Event(), asyncio.Event()
        self._refuses = False
        self._status = 0
        self._open: set[asyncio.Task[None]] = set()
        self.heal()

    def partition(self, *, to_service: bool = True, to_node: bool = True) -> None:
        """Hold back what goes in these directions; nobody is told, as when packets are lost."""
        if to_service:
            self._to_service.clear()
        if to_node:
            self._to_node.clear()

    def reset(self) -> None:
        """Reset what is open."""
        for task in self._open:
            task.cancel()

    def forget(self) -> None:
        """Pass nothing on for what is open, and tell nobody, as a firewall that restarted does."""
        self.partition()
        self._to_service, self._to_node = asyncio.Event(), asyncio.Event()

    def refuse(self) -> None:
        """Reset what is open, and each new connection."""
        self._refuses = True
        self.reset()

    def answer(self, status: int) -> None:
        """Answer each request of HTTP with a status, in the place of the service."""
        self._status = status
        self.reset()

    def heal(self) -> None:
        """Pass all on again."""
        self._refuses, self._status = False, 0
        self._to_service.set()
        self._to_node.set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the node."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if self._status:
                await self._answer(reader, writer)
            elif not self._refuses:
                await self._pass_on(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # `reset`, or one end is gone
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def close(self) -> None:
        """End all connections."""
        self.reset()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            await reader.readexactly(length)
            writer.write(
                b"HTTP/1.1 %d Fault\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
                % self._status
            )
            await writer.drain()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A connection through a network that loses packets is not made.
        await self._to_service.wait()
        await self._to_node.wait()
        inner_reader, inner = await asyncio.open_connection(*self._target, limit=_PIECE)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass(reader, inner, self._to_service))
                group.create_task(_pass(inner_reader, writer, self._to_node))
        except* OSError:
            pass
        finally:
            inner.transport.abort()


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_open: asyncio.Event
) -> None:
    while piece := await reader.read(_PIECE):
        await is_open.wait()
        writer.write(piece)
        await writer.drain()
    await is_open.wait()
    with suppress(OSError):
        writer.write_eof()


@asynccontextmanager
async def fault_proxy(host: str, port: int) -> AsyncIterator[FaultProxy]:
    """Run a proxy to a service."""
    proxy = FaultProxy(host, port)
    server = await asyncio.start_server(proxy.talk, "127.0.0.1", 0, limit=_PIECE)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
