"""A web server that says what a test tells it to, on a free port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 24


class WebServer:
    """Answers each path with the bytes that are kept for it; notes what it is asked."""

    def __init__(self, answers: Mapping[str, bytes]) -> None:
        self.answers = dict(answers)
        self.asked: list[bytes] = []
        """Whole requests, in order."""
        self.port = 0
        self._connections: set[asyncio.StreamWriter] = set()

    def url(self, path: str, host: str = "pictures.test") -> str:
        """Return the URL of a path."""
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self._connections.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            size = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    size = int(line.partition(b":")[2])
            self.asked.append(head + await reader.readexactly(size))
            path = head.split(b" ")[1].decode()
            answer = self.answers.get(path, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if answer:
                writer.close()
            else:
                # It never answers; the other side has to give up.
                await reader.read()
                writer.close()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async def close(self) -> None:
        """Close what is still open, and wait for it: the loop ends after this."""
        for writer in self._connections:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def answer(
    body: bytes, media_type: str = "image/png", status: str = "200 OK", **fields: str
) -> bytes:
    """Return the bytes of an answer; ``_`` in names of fields is a hyphen."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def redirect(url: str, status: str = "302 Found") -> bytes:
    """Return the bytes of a redirect."""
    return answer(b"", "text/plain", status, Location=url)


@asynccontextmanager
async def web_server(
    answers: Mapping[str, bytes], tls: ssl.SSLContext | None = None
) -> AsyncIterator[WebServer]:
    """Serve until the block ends; over HTTPS with a context."""
    served = WebServer(answers)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served
        await served.close()
