"""The listener for programs that watch this server: ``/metrics``, ``/health``, ``/ready``.

Plain HTTP/1.1 without log-in, for a loopback address or a private network. It has its own few
lines, because the libraries of the pages cost a worker many MiB.

Laws:
- One request for each connection, and few connections at a time: nothing here costs mail anything.
- No answer contains an address of a user, a peer or a secret.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from zajil.monitor.health import Health
from zajil.monitor.scrape import CONTENT_TYPE
from zajil.net.acceptor import leave_server
from zajil.net.logger import get_logger

_MOST_CONNECTIONS = 50
_MOST_HEADER = 16 * 1024
_SECONDS = 15.0
"""From the first byte to the end of the answer."""
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
_REASONS |= {500: "Internal Server Error", 503: "Service Unavailable"}
_TEXT = "text/plain; charset=utf-8"
_HOME = b"/metrics  for Prometheus\n/health   the process is alive\n/ready    it can accept mail\n"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    kind: str = _TEXT


class MonitorServer:
    """Answers on the sockets of one worker.

    Args:
        metrics: makes the text for Prometheus.
        health: knows whether mail can be accepted.
    """

    def __init__(self, metrics: Callable[[], Awaitable[bytes]], health: Health) -> None:
        self._metrics = metrics
        self._health = health
        self._servers: list[asyncio.Server] = []
        self._sockets: list[socket.socket] = []
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, sock: socket.socket) -> None:
        """Begin to answer on a listening socket; ``drain`` ends it."""
        server = await asyncio.start_server(self._talk, sock=sock, limit=_MOST_HEADER)
        self._servers.append(server)
        self._sockets.append(sock)

    def leave(self) -> None:
        """Accept no more; requests that have come are answered."""
        for server, sock in zip(self._servers, self._sockets, strict=True):
            leave_server(server, sock)

    def count(self) -> int:
        """Return how many requests are being answered."""
        return len(self._open)

    async def drain(self, seconds: float) -> None:
        """Answer no new requests; wait for those that are being answered."""
        self._health.is_stopping = True
        for server in self._servers:
            server.close()
        if self._open:
            await asyncio.wait(self._open, timeout=min(seconds, _SECONDS))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= _MOST_CONNECTIONS:
            writer.close()
            return
        self._open.add(task)
        try:
            async with asyncio.timeout(_SECONDS):
                method, answer = await self._answer(reader)
                writer.write(_write(method, answer))
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the one who asked is gone, or does not read
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[str, _Answer]:
        try:
            header = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return "GET", _Answer(400, b"the request is too long\n")
        words = header.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return "GET", _Answer(400, b"this is not an HTTP/1.1 request\n")
        method, path = words[0].decode("latin-1"), words[1].partition(b"?")[0]
        if method not in ("GET", "HEAD"):
            return method, _Answer(405, b"use GET\n")
        try:
            return method, await self._page(path)
        except Exception as error:
            get_logger().error("cannot answer a request for metrics", exc_info=error)
            return method, _Answer(500, b"see the log\n")

    async def _page(self, path: bytes) -> _Answer:
        match path:
            case b"/metrics":
                return _Answer(200, await self._metrics(), CONTENT_TYPE)
            case b"/health":
                return _json(200, {"status": "ok"})
            case b"/ready":
                problems = await self._health.problems()
                status = "not ready" if problems else "ready"
                return _json(503 if problems else 200, {"status": status, "problems": problems})
            case b"/":
                return _Answer(200, _HOME)
        return _Answer(404, b"there is /metrics, /health and /ready\n")


def _json(status: int, value: Mapping[str, object]) -> _Answer:
    return _Answer(status, json.dumps(value).encode() + b"\n", "application/json")


def _write(method: str, answer: _Answer) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}",
        f"Content-Type: {answer.kind}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if answer.status == 405:
        lines.append("Allow: GET, HEAD")
    header = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return header if method == "HEAD" else header + answer.body
