"""Programs that watch the server, and do not behave: they cost no memory and no descriptor."""

from __future__ import annotations

import asyncio
import socket

import pytest

from kit.clock import FakeClock
from kit.store import NOW_MS, running
from zajil.monitor import http
from zajil.monitor.health import Health
from zajil.monitor.http import MonitorServer
from zajil.store.engine.open import Store


@pytest.fixture
def store_url() -> str:
    return "sqlite"


@pytest.mark.parametrize("request_bytes", [b"GET /metrics HTTP/1.1\r\n\r\n", b"GET /metr", b""])
def test_a_client_that_does_not_go_on_is_left(
    store: Store, monkeypatch: pytest.MonkeyPatch, request_bytes: bytes
) -> None:
    """Attack: it asks and does not read, or does not ask."""
    monkeypatch.setattr(http, "_SECONDS", 1.0)

    async def metrics() -> bytes:
        return bytes(20 << 20)  # more than the system takes off our hands

    async def run() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        server = MonitorServer(metrics, Health(store, FakeClock(NOW_MS)))
        async with running(store):
            await server.serve(sock)
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(request_bytes)
            for _ in range(600):
                await asyncio.sleep(0.1)
                if not server.count():
                    break
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(20 << 20), 60)
            writer.close()
            await server.drain(0)

    asyncio.run(run())
