"""The rest of the world: a mail server that notes each mail with what it answered, and when."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_TOKEN = re.compile(rb"^Subject: (\S+)\r$", re.MULTILINE)
_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that the peer answered with 250."""

    at: float
    """By ``time.monotonic``."""
    recipients: tuple[str, ...]


@dataclass
class FaultPeer:
    """What came; the tokens are in the subjects."""

    chance: random.Random
    taken: dict[str, list[Taken]] = field(default_factory=lambda: defaultdict(list))
    """By token."""

    def times(self, token: str, recipient: str) -> list[float]:
        """Return when a mail came for a recipient."""
        return [one.at for one in self.taken.get(token, ()) if recipient in one.recipients]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        recipients: list[str] = []
        writer.write(b"220 peer.test\r\n")
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            while True:
                line = await asyncio.wait_for(reader.readline(), _SECONDS)
                word = line[:4].upper()
                if not line:
                    break
                if word == b"EHLO":
                    writer.write(b"250-peer.test\r\n250-PIPELINING\r\n250 SIZE\r\n")
                elif word == b"DATA":
                    writer.write(b"354 go on\r\n")
                    await writer.drain()
                    body = await asyncio.wait_for(reader.readuntil(b"\r\n.\r\n"), _SECONDS)
                    await self._take(body, tuple(recipients), writer)
                    recipients = []
                else:
                    if word == b"RCPT":
                        recipients.append(line.split(b"<")[1].split(b">")[0].decode())
                    elif word in (b"RSET", b"MAIL"):
                        recipients = []
                    writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
                await writer.drain()
        writer.transport.abort()

    async def _take(
        self, body: bytes, recipients: tuple[str, ...], writer: asyncio.StreamWriter
    ) -> None:
        found = _TOKEN.search(body)
        assert found is not None, body[:500]
        # Servers take their time, in which anything may happen to a node.
        await asyncio.sleep(self.chance.choice((0, 0, 0.05, 0.3)))
        self.taken[found[1].decode()].append(Taken(time.monotonic(), recipients))
        writer.write(b"250 taken\r\n")


@asynccontextmanager
async def fault_peer(chance: random.Random) -> AsyncIterator[tuple[FaultPeer, int]]:
    """Run a peer; gives it and its port on 127.0.0.1."""
    peer = FaultPeer(chance)
    server = await asyncio.start_server(peer.talk, "127.0.0.1", 0, limit=1 << 24)
    try:
        yield peer, server.sockets[0].getsockname()[1]
    finally:
        server.close()
