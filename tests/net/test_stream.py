"""The deadlines of a client's connection: each read has its own, and the connection one timer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from zajil.net.stream import Stream, connect

_LONG, _SHORT = 60.0, 0.05


@asynccontextmanager
async def echo(delay_seconds: float = 0.0) -> AsyncIterator[Stream]:
    """Connect to a peer that sends back what it gets, a little later."""

    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while data := await reader.read(1000):
                loop.call_later(delay_seconds, writer.write, data)
        writer.transport.abort()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        stream = await connect("127.0.0.1", port, timeout=_LONG)
        try:
            yield stream
        finally:
            stream.abort()
            await ended.wait()


def test_a_peer_that_is_silent() -> None:
    async def run() -> None:
        async with echo() as stream:
            with pytest.raises(TimeoutError):
                await stream.read(_SHORT)
            # The connection is still good, and so is the next read.
            await stream.write(b"x", _LONG)
            assert await stream.read(_LONG) == b"x"

    asyncio.run(run())


def test_a_shorter_deadline_after_a_longer_one() -> None:
    async def run() -> None:
        async with echo() as stream:
            await stream.write(b"x", _LONG)
            assert await stream.read(_LONG) == b"x"
            with pytest.raises(TimeoutError):
                await stream.read(_SHORT)

    asyncio.run(run())


def test_a_longer_deadline_after_a_shorter_one() -> None:
    """The timer of the first read ends while the second one waits."""

    async def run() -> None:
        async with echo(4 * _SHORT) as stream:
            with pytest.raises(TimeoutError):
                await stream.read(_SHORT / 2)
            await stream.write(b"x", _LONG)
            reading = asyncio.create_task(stream.read(_SHORT))
            await asyncio.wait([reading], timeout=_SHORT / 4)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            assert await stream.read(_LONG) == b"x"

    asyncio.run(run())


def test_a_deadline_that_has_passed() -> None:
    async def run() -> None:
        async with echo() as stream:
            with pytest.raises(TimeoutError):
                await stream.read(-1)

    asyncio.run(run())
