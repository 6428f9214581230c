"""Serve a line protocol on listening sockets: who may connect, and an orderly end.

A connection is ``connection``; this is what all connections of one kind of listener share.

Ordinary listeners are left to the loop, which accepts fastest. Where a PROXY header must be read
first, a connection is accepted here.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from zajil.net.acceptor import Acceptor, LoopListener
from zajil.net.admission import Admission
from zajil.net.connection import LineConnection
from zajil.net.connection_table import ConnectionTable
from zajil.net.line_protocol import ConnectionLimits, LineProtocol
from zajil.net.logger import get_logger
from zajil.net.peer import Peer, make_peer
from zajil.tls.keeper import TlsKeeper

logger = get_logger()

_MIN_SWEEP_SECONDS, _MAX_SWEEP_SECONDS = 0.02, 10.0


class LineService:
    """One kind of listener: port 25, submission, IMAP with TLS ...

    Args:
        protocol: makes engines and sessions.
        tls: for STARTTLS, or from the first byte (``implicit_tls``).
        admission: who may connect.
        counts_starttls: a failed handshake after STARTTLS is noted by ``admission``; for sessions
            that leave no event of their own.
    """

    def __init__(
        self,
        protocol: LineProtocol,
        *,
        tls: TlsKeeper | None = None,
        implicit_tls: bool = False,
        limits: ConnectionLimits | None = None,
        admission: Admission | None = None,
        counts_starttls: bool = False,
    ) -> None:
        if tls is None and implicit_tls:
            raise ValueError("TLS is offered without a certificate")
        self._protocol = protocol
        self._table: ConnectionTable[LineConnection] = ConnectionTable(
            limits or ConnectionLimits(),
            admission or Admission(),
            tls,
            implicit_tls=implicit_tls,
            counts_starttls=counts_starttls,
        )
        self._listeners: list[LoopListener] = []
        self._acceptor = Acceptor(self._take)
        self._openings: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._revival: asyncio.Task[None] | None = None
        self._has_left = False

    def count(self) -> int:
        """Return the number of connections, with those that have not been greeted yet."""
        return len(self._table.open) + len(self._openings)

    async def serve(self, sock: socket.socket) -> None:
        """Begin to accept on a listening socket; returns at once. ``drain`` closes it.

        May be called for several sockets.
        """
        self._table.loop = asyncio.get_running_loop()
        if self._table.admission.proxies:
            self._acceptor.listen(sock)
        else:
            listener = LoopListener(lambda: LineConnection(self._table, self._protocol, None), sock)
            self._listeners.append(listener)
            await listener.start()
        if self._sweeper is None:
            self._sweep()

    def leave(self) -> None:
        """Accept no more; connections that are open go on."""
        self._has_left = True
        if self._revival is not None:
            self._revival.cancel()
        for listener in self._listeners:
            listener.leave()
        self._acceptor.close()

    async def drain(self, seconds: float) -> None:
        """Accept no more; let answers and mails in flight end, for at most ``seconds``; then end
        all connections."""
        self._table.draining = True
        self._has_left = True
        for listener in self._listeners:
            listener.close()
        self._acceptor.close()
        for task in self._openings:
            task.cancel()
        for connection in list(self._table.open):
            connection.drain()
        if not await self._table.wait_until_gone(seconds):
            for connection in list(self._table.open):
                connection.shut_down()
            if not await self._table.wait_until_gone(1.0):
                for connection in list(self._table.open):
                    connection.abort()
                await self._table.wait_until_gone(1.0)
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._table.admission.close()

    # ---- time ----------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Look at all connections now and then: a timer for each read would cost more."""
        now = self._table.loop.time()
        for connection in list(self._table.open):
            connection.check_time(now)
        if self._listeners and not self._has_left:
            self._look_after_listeners()
        limits = self._table.limits
        shortest = min(
            self._protocol.shortest_seconds, limits.write_seconds, limits.handshake_seconds
        )
        pause = min(_MAX_SWEEP_SECONDS, max(_MIN_SWEEP_SECONDS, shortest / 4))
        self._sweeper = self._table.loop.call_later(pause, self._sweep)

    def _look_after_listeners(self) -> None:
        if not self._listeners[0].finds_free_file():
            for listener in self._listeners:
                listener.rest()
            return
        for listener in self._listeners:
            if listener.is_dead and self._revival is None:
                self._revival = self._table.loop.create_task(listener.revive())
                self._revival.add_done_callback(self._revived)

    def _revived(self, task: asyncio.Task[None]) -> None:
        self._revival = None
        if not task.cancelled() and task.exception() is not None:
            logger.error("a listener still cannot accept connections", reason=str(task.exception()))

    # ---- connections that we accept ourselves ----------------------------------------------------

    def _take(self, client: socket.socket, address: Any) -> None:
        try:
            peer = make_peer(address, client.getsockname())
        except OSError:  # it is gone already
            client.close()
            return
        task = self._table.loop.create_task(self._open(client, peer))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _open(self, client: socket.socket, peer: Peer) -> None:
        """Make a connection of an accepted socket; one that fails here is nobody's session."""
        table = self._table
        is_open = False
        try:
            seconds = table.limits.handshake_seconds
            visitor = await table.admission.find_peer(client, peer, seconds)
            if visitor is not None:
                made = LineConnection(table, self._protocol, visitor)
                await table.loop.connect_accepted_socket(lambda: made, client)
                is_open = True
        except OSError as error:
            logger.debug("connection failed", peer=str(peer), reason=str(error))
        finally:
            if not is_open:
                client.close()
