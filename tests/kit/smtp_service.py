"""A service of ``net.smtp_service`` with sessions that take everything, and a client for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from kit.smtp_wire import example_policy
from zajil.net.line_protocol import Connection
from zajil.net.listener import bind
from zajil.net.peer import Peer
from zajil.net.smtp_service import smtp_service
from zajil.net.stream import Stream, connect
from zajil.smtp.command import BodyChunk, BodyEnd, Event, Vrfy
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection

SECONDS = 10.0


Run = Callable[[Coroutine[Any, Any, None]], None]


ENVELOPE = b"EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n"


class FakeSession:
    """Takes everything; ``VRFY slow`` waits for ``gate``, ``VRFY fault`` is a fault of ours."""

    def __init__(self, server: Server, conn: ServerConnection) -> None:
        self.server = server
        self.conn = conn
        self.body = b""

    def answer(self, event: Event) -> Reply | Awaitable[Reply] | None:
        """Accept, or wait, or fail, as the command says."""
        if isinstance(event, BodyChunk):
            self.body += event.data
            return None
        if isinstance(event, BodyEnd):
            self.server.bodies.append(self.body)
            self.body = b""
            return self._later(event)
        if isinstance(event, Vrfy) and event.argument == "slow":
            return self._later(event)
        if isinstance(event, Vrfy) and event.argument == "fault":
            raise ZeroDivisionError("a fault of ours")
        if isinstance(event, Vrfy) and event.argument == "fault later":
            return self._fail()
        return example_policy(event)

    async def _later(self, event: Event) -> Reply:
        self.server.waiting.set()
        await self.server.gate.wait()
        return example_policy(event)

    async def _fail(self) -> Reply:
        raise ZeroDivisionError("a fault of ours")

    def news(self) -> None:
        """Nothing changes."""

    def tls_started(self, version: str, cipher: str) -> None:
        """Note it."""
        self.server.tls_versions.append(version)

    def closed(self, reason: str) -> None:
        """Note why."""
        self.server.reasons.put_nowait(reason)


class Server:
    """A service on a free port, and what its sessions saw."""

    def __init__(self, *, starttls: bool = False, chunking: bool = False, **options: Any) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self.bodies: list[bytes] = []
        self.tls_versions: list[str] = []
        self.reasons: asyncio.Queue[str] = asyncio.Queue()
        self.peers: list[Peer] = []
        offer = Capabilities(
            hostname="mx.example.org",
            max_message_size=1_000_000,
            starttls=starttls,
            chunking=chunking,
        )
        self.service = smtp_service(self._make_session, offer, **options)
        self.sock = bind("127.0.0.1:0")
        self.port = self.sock.getsockname()[1]

    def _make_session(
        self, peer: Peer, conn: ServerConnection, connection: Connection
    ) -> FakeSession:
        self.peers.append(peer)
        return FakeSession(self, conn)

    async def __aenter__(self) -> Server:
        await self.service.serve(self.sock)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await self.service.drain(0)

    async def reason(self) -> str:
        """Wait for the next end of a session; say why."""
        return await asyncio.wait_for(self.reasons.get(), SECONDS)

    async def client(self) -> Client:
        """Connect."""
        return Client(await connect("127.0.0.1", self.port, timeout=SECONDS))


class Client:
    """Speaks lines."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._unread = b""

    async def say(self, data: bytes) -> None:
        """Send bytes."""
        await self.stream.write(data, SECONDS)

    async def line(self) -> str:
        """Return the last line of the next reply; ``""``: closed."""
        while True:
            while b"\r\n" not in self._unread:
                data = await self.stream.read(SECONDS)
                if not data:
                    return ""
                self._unread += data
            line, _, self._unread = self._unread.partition(b"\r\n")
            if line[3:4] != b"-":
                return line.decode()

    async def ask(self, command: bytes) -> str:
        """Send a command; give the last line of the reply."""
        await self.say(command + b"\r\n")
        return await self.line()
