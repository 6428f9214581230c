"""Serve SMTP on listening sockets: caps, idle connections, an orderly end.

A connection is ``smtp_connection``; this is what all of them share.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from zajil.net.peer import Peer
from zajil.net.smtp_connection import Session, SmtpConnection
from zajil.smtp.codes import Code
from zajil.smtp.extensions import Offer
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection

logger = logging.getLogger(__name__)

_ACCEPTS_PER_TURN = 64
_RETRY_SECONDS = 1.0
"""Wait after accept() found no free file descriptor."""
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class SmtpLimits:
    """What peers may cost us; the numbers come from ``[limits]``."""

    sessions: int = 2000
    sessions_per_address: int = 50
    """0: no limit."""
    errors: int = 20
    idle_seconds: float = 300
    """At least 5 minutes: RFC 5321 section 4.5.3.2.7."""
    handshake_seconds: float = 30


class SmtpService:
    """What one kind of listener serves: port 25, submission, or submissions.

    Args:
        make_session: called for each connection; must not wait.
        tls: for STARTTLS (if ``offer.starttls``) or from the first byte (``implicit_tls``).
    """

    def __init__(
        self,
        make_session: Callable[[Peer, ServerConnection], Session],
        offer: Offer,
        *,
        greeting: Reply | None = None,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        limits: SmtpLimits | None = None,
    ) -> None:
        if tls is None and (implicit_tls or offer.starttls):
            raise ValueError("TLS is offered without a certificate")
        limits = limits or SmtpLimits()
        self.make_session = make_session
        self.offer = offer
        self.greeting = greeting or Reply(Code.GREETING, (f"{offer.hostname} ESMTP Zajil",))
        self.tls = tls
        self.max_errors = limits.errors
        self.idle_seconds = limits.idle_seconds
        self.handshake_seconds = limits.handshake_seconds
        self.draining = False
        self.loop: asyncio.AbstractEventLoop
        self.implicit_tls = implicit_tls
        self._limits = limits
        self._connections: set[SmtpConnection] = set()
        self._per_address: Counter[str] = Counter()
        self._servers: list[asyncio.AbstractServer] = []
        self._sockets: list[socket.socket] = []
        self._handshakes: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._all_gone = asyncio.Event()

    @property
    def session_count(self) -> int:
        """Connections at this moment, those in an implicit TLS handshake included."""
        return len(self._connections) + len(self._handshakes)

    async def serve(self, sock: socket.socket) -> None:
        """Begin to accept on a listening socket; returns at once. ``drain`` closes it.

        May be called for several sockets.
        """
        self.loop = asyncio.get_running_loop()
        if self.implicit_tls:
            sock.setblocking(False)
            self._sockets.append(sock)
            self.loop.add_reader(sock, self._accept, sock)
        else:
            self._servers.append(
                await self.loop.create_server(lambda: SmtpConnection(self), sock=sock)
            )
        if self._sweeper is None:
            self._sweep()

    async def drain(self, seconds: float) -> None:
        """Accept no more; let mails in flight end, at most for ``seconds``; then 421 to all."""
        self.draining = True
        for server in self._servers:
            server.close()
        for sock in self._sockets:
            self.loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()
        for task in self._handshakes:
            task.cancel()
        for connection in list(self._connections):
            connection.drain()
        if not await self._wait_until_gone(seconds):
            for connection in list(self._connections):
                connection.shut_down()
            if not await self._wait_until_gone(1.0):
                for connection in list(self._connections):
                    connection.abort()
                await self._wait_until_gone(1.0)
        if self._sweeper is not None:
            self._sweeper.cancel()

    # ---- called by connections -----------------------------------------------------------------

    def admit(self, connection: SmtpConnection, host: str) -> bool:
        """Count the connection; false: there are too many."""
        limits, count = self._limits, self._per_address[host]
        if len(self._connections) >= limits.sessions:
            return False
        if limits.sessions_per_address and count >= limits.sessions_per_address:
            return False
        self._per_address[host] = count + 1
        self._connections.add(connection)
        return True

    def forget(self, connection: SmtpConnection, host: str) -> None:
        """Count it no more."""
        self._connections.discard(connection)
        left = self._per_address[host] - 1
        if left > 0:
            self._per_address[host] = left
        else:
            del self._per_address[host]  # an entry for each address ever seen would leak
        if self.draining and not self._connections:
            self._all_gone.set()

    # ---- time ----------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Look at all connections now and then: a timer for each read would cost more."""
        now = self.loop.time()
        for connection in list(self._connections):
            connection.check_idle(now)
        pause = min(10.0, max(0.02, self.idle_seconds / 4))
        self._sweeper = self.loop.call_later(pause, self._sweep)

    async def _wait_until_gone(self, seconds: float) -> bool:
        if self._connections:
            self._all_gone.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._all_gone.wait()
            except TimeoutError:
                return False
        return True

    # ---- TLS from the first byte -----------------------------------------------------------------
    # Connections must be counted from accept() on, before their handshake; a server of the loop
    # tells us of them only after it, and of failed ones never.

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                client, _address = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_FILES:
                    raise
                # Attack: the socket stays readable, so the loop would spin on EMFILE.
                logger.error("no file descriptor for a new connection: %s", error)
                self.loop.remove_reader(sock)
                self.loop.call_later(_RETRY_SECONDS, self._accept_again, sock)
                return
            if self.session_count >= self._limits.sessions:
                client.close()
                continue
            client.setblocking(False)
            task = self.loop.create_task(self._shake_hands(client))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    def _accept_again(self, sock: socket.socket) -> None:
        if not self.draining:
            self.loop.add_reader(sock, self._accept, sock)

    async def _shake_hands(self, client: socket.socket) -> None:
        """Make a connection of an accepted socket; a failed handshake is nobody's session."""
        try:
            await self.loop.connect_accepted_socket(
                lambda: SmtpConnection(self),
                client,
                ssl=self.tls,
                ssl_handshake_timeout=self.handshake_seconds,
            )
        except OSError as error:
            logger.info("TLS handshake failed: %s", error)
