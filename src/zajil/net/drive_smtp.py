"""Serve SMTP on listening sockets: who may connect, what each is offered, an orderly end.

A connection is ``smtp_connection``; this is what all of them share.

Ordinary listeners are left to the loop, which accepts fastest. Where bytes must be read before the
greeting (TLS, a PROXY header), a connection is accepted and counted here.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

from zajil.net.acceptor import Acceptor, LoopListener
from zajil.net.admission import HANDSHAKE_FAILED, Admission
from zajil.net.peer import Peer, make_peer
from zajil.net.smtp_connection import SmtpConnection
from zajil.net.smtp_contract import Connection, Session, SmtpLimits
from zajil.smtp.codes import Code
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection
from zajil.smtp.traced import TracedConnection
from zajil.tls.keeper import TlsKeeper

logger = logging.getLogger(__name__)

_MOST_LINGERING = 200
"""Connections kept for their last words; in a flood of refused ones, further ones are just cut."""
_SHORTEST_SWEEP_SECONDS, _LONGEST_SWEEP_SECONDS = 0.02, 10.0


class SmtpService:
    """What one kind of listener serves: port 25, submission, submissions or LMTP.

    Args:
        make_session: called for each connection; must not wait.
        tls: for STARTTLS (if ``offer.starttls``) or from the first byte (``implicit_tls``).
        entrance: who may come in.
        favourites: what single peers are offered instead of ``offer``.
        trace: is told each line of each dialogue, without secrets.
    """

    def __init__(
        self,
        make_session: Callable[[Peer, ServerConnection], Session],
        offer: Capabilities,
        *,
        greeting: Reply | None = None,
        tls: TlsKeeper | None = None,
        implicit_tls: bool = False,
        limits: SmtpLimits | None = None,
        entrance: Admission | None = None,
        peer_offers: Callable[[str], Capabilities | None] | None = None,
        trace: Callable[[Peer, str], None] | None = None,
    ) -> None:
        if tls is None and (implicit_tls or offer.starttls):
            raise ValueError("TLS is offered without a certificate")
        self.make_session = make_session
        self.offer = offer
        self._tls = tls
        self.limits = limits or SmtpLimits()
        self.has_peer_offers = peer_offers is not None or trace is not None
        self.draining = False
        self.loop: asyncio.AbstractEventLoop
        self._greeting = greeting or Reply(Code.GREETING, (f"{offer.hostname} ESMTP Zajil",))
        self._implicit_tls = implicit_tls
        self._entrance = entrance or Admission()
        self._favourites = peer_offers
        self._trace = trace
        self._connections: set[Connection] = set()
        self._lingering = 0
        self._listeners: list[LoopListener] = []
        self._acceptor = Acceptor(self._take)
        self._openings: set[asyncio.Task[None]] = set()
        # Counted before their handshake, and not yet handed over to a connection.
        self._arriving: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._revival: asyncio.Task[None] | None = None
        self._all_gone = asyncio.Event()

    @property
    def session_count(self) -> int:
        """Connections at this moment, those that have not been greeted yet included."""
        return len(self._connections) + len(self._openings)

    async def serve(self, sock: socket.socket) -> None:
        """Begin to accept on a listening socket; returns at once. ``drain`` closes it.

        May be called for several sockets.
        """
        self.loop = asyncio.get_running_loop()
        if self._implicit_tls or self._entrance.proxies:
            self._acceptor.listen(sock)
        else:
            listener = LoopListener(lambda: SmtpConnection(self), sock)
            self._listeners.append(listener)
            await listener.start()
        if self._sweeper is None:
            self._sweep()

    async def drain(self, seconds: float) -> None:
        """Accept no more; let mails in flight end, at most for ``seconds``; then 421 to all."""
        self.draining = True
        for listener in self._listeners:
            listener.close()
        self._acceptor.close()
        for task in self._openings:
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
        self._entrance.close()

    # ---- called by connections -----------------------------------------------------------------

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The context of the next handshake; ``None``: there is no certificate."""
        return None if self._tls is None else self._tls.context

    def make_engine(self, offer: Capabilities, peer: Peer | None = None) -> ServerConnection:
        """Make an engine with our greeting in it; for a known peer, one that can be traced."""
        trace = self._trace
        kind = ServerConnection if trace is None or peer is None else TracedConnection
        engine = kind(
            offer,
            self._greeting,
            encrypted=self._implicit_tls,
            max_errors=self.limits.errors,
            max_commands=self.limits.commands,
        )
        if isinstance(engine, TracedConnection) and trace is not None and peer is not None:
            engine.trace = functools.partial(trace, peer)
        return engine

    def offer_for(self, host: str) -> Capabilities:
        """Give what this peer is offered; asked only if ``has_peer_offers``."""
        return (self._favourites(host) if self._favourites else None) or self.offer

    def admit(self, connection: Connection, host: str) -> bool:
        """Count the connection; false: there are too many."""
        if self._implicit_tls:  # it was counted before the handshake
            self._arriving.discard(connection)
        elif not self._entrance.admit(host):
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: Connection, host: str) -> None:
        """Count it no more."""
        self._connections.discard(connection)
        self._entrance.forget(host)
        if self.draining and not self._connections:
            self._all_gone.set()

    def may_linger(self) -> bool:
        """Whether one more connection may be kept open for its last words; counts it."""
        if self.draining or self._lingering >= _MOST_LINGERING:
            return False
        self._lingering += 1
        return True

    def lingers_no_more(self) -> None:
        """It is gone."""
        self._lingering -= 1

    # ---- time ----------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Look at all connections now and then: a timer for each read would cost more."""
        now = self.loop.time()
        for connection in list(self._connections):
            connection.check_time(now)
        if self._listeners and not self.draining:
            self._look_after_listeners()
        limits = self.limits
        shortest = min(limits.idle_seconds, limits.data_idle_seconds, limits.mail_seconds)
        pause = min(_LONGEST_SWEEP_SECONDS, max(_SHORTEST_SWEEP_SECONDS, shortest / 4))
        self._sweeper = self.loop.call_later(pause, self._sweep)

    def _look_after_listeners(self) -> None:
        if not self._listeners[0].finds_free_file():
            for listener in self._listeners:
                listener.rest()
            return
        for listener in self._listeners:
            if listener.is_dead and self._revival is None:
                self._revival = self.loop.create_task(listener.revive())
                self._revival.add_done_callback(self._revived)

    def _revived(self, task: asyncio.Task[None]) -> None:
        self._revival = None
        if not task.cancelled() and task.exception() is not None:
            logger.error("a listener cannot accept again yet: %s", task.exception())

    async def _wait_until_gone(self, seconds: float) -> bool:
        if self._connections:
            self._all_gone.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._all_gone.wait()
            except TimeoutError:
                return False
        return True

    # ---- connections that we accept ourselves ----------------------------------------------------
    # They must be counted from accept() on, before their handshake; a server of the loop tells us
    # of them only after it, and of failed ones never.

    def _take(self, client: socket.socket, address: Any) -> None:
        try:
            peer = make_peer(address, client.getsockname())
        except OSError:  # it is gone already
            client.close()
            return
        task = self.loop.create_task(self._open(client, peer))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _open(self, client: socket.socket, peer: Peer) -> None:
        """Make a connection of an accepted socket; one that fails here is nobody's session."""
        seconds, entrance = self.limits.handshake_seconds, self._entrance
        connection: SmtpConnection | None = None
        visitor: Peer | None = None
        is_open = False
        try:
            visitor = await entrance.find_peer(client, peer, seconds)
            if visitor is None or (self._implicit_tls and not entrance.admit(visitor.host)):
                return
            made = connection = SmtpConnection(self, visitor)
            tls: dict[str, Any] = {}
            if self._implicit_tls:
                self._arriving.add(connection)
                tls = {"ssl": self.tls, "ssl_handshake_timeout": seconds}
            await self.loop.connect_accepted_socket(lambda: made, client, **tls)
            is_open = True
        except OSError as error:
            if visitor is not None:
                entrance.refuse(visitor.host, HANDSHAKE_FAILED)
            logger.debug("connection of %s failed: %s", peer, error)
        finally:
            is_lost = not (is_open or self._implicit_tls) or connection is None
            if connection in self._arriving and visitor is not None:
                self._arriving.discard(connection)
                entrance.forget(visitor.host)
                is_lost = not is_open
            # Cancelled in the very moment a handshake is done, the connection lives: it ends by
            # itself, and counts itself down.
            if is_lost:
                client.close()
