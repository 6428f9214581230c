"""Accept connections on listening sockets, and go on when there are no file descriptors left.

Two ways: ``LoopListener`` leaves accepting to the loop, which is fastest; ``Acceptor`` passes on
the socket, where a PROXY header must be read from it before the loop has it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from zajil.net.logger import get_logger

logger = get_logger()

_ACCEPTS_PER_TURN = 64
_RETRY_SECONDS = 1.0
"""Wait after accept() found no free file descriptor."""
_LEAVE_SECONDS = 0.05
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts on our own sockets.

    Args:
        take: gets each connection, non-blocking, and its address; owns it from then on, and must
            neither wait nor raise.
    """

    def __init__(self, take: Callable[[socket.socket, Any], None]) -> None:
        self._take = take
        self._sockets: set[socket.socket] = set()

    def listen(self, sock: socket.socket) -> None:
        """Begin to accept on a listening socket; ``close`` closes it."""
        sock.setblocking(False)
        self._sockets.add(sock)
        asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def close(self) -> None:
        """Accept no more."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                client, address = sock.accept()
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    self._pause(sock, error)
                # Anything else concerns this one connection: gone before we came to it, or
                # nothing there at all.
                return
            client.setblocking(False)
            self._take(client, address)

    def _pause(self, sock: socket.socket, error: OSError) -> None:
        # Attack: the socket stays readable, so the loop would spin on EMFILE.
        logger.error("no file descriptor for a new connection", reason=str(error))
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock)
        loop.call_later(_RETRY_SECONDS, self._resume, sock)

    def _resume(self, sock: socket.socket) -> None:
        if sock in self._sockets:
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)


class LoopListener:
    """Has the loop accept on one socket, and notices when it has stopped.

    Attack: when accept() fails with EMFILE while even uvloop's reserve of one file is gone, uvloop
    spins, or closes the listening socket for good and tells nobody. So who owns us looks now and
    then whether there is a free file, and has us ``rest`` while there is none. A copy of the
    socket survives both.
    """

    def __init__(self, make_protocol: Callable[[], asyncio.Protocol], sock: socket.socket) -> None:
        self._make_protocol = make_protocol
        self._sock = sock
        self._copy = sock.dup()
        self._server: asyncio.AbstractServer | None = None
        self._is_resting = False

    async def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        if self._sock.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(self._make_protocol, sock=self._sock)
        else:
            self._server = await loop.create_server(self._make_protocol, sock=self._sock)

    @property
    def is_dead(self) -> bool:
        """Whether nobody accepts: we rest, or the loop has closed the socket behind our back."""
        return self._is_resting or (self._server is not None and self._sock.fileno() < 0)

    def finds_free_file(self) -> bool:
        """Whether the process can open one more file; costs two calls of the kernel."""
        try:
            os.close(self._copy.dup().detach())
        except OSError as error:
            return error.errno not in _OUT_OF_FILES
        return True

    def rest(self) -> None:
        """Accept nothing until ``revive``; who connects waits in the backlog."""
        if self._server is not None and not self._is_resting:
            logger.error("no file descriptor for a new connection: a listener is paused")
            self._is_resting = True
            self._server.close()

    async def revive(self) -> None:
        """Accept again on the copy; connections that wait in its backlog are served."""
        logger.error("a listener that had no file descriptors accepts again")
        another = self._copy.dup()  # first, because it may fail
        self._sock, self._copy = self._copy, another
        self._is_resting = False
        await self.start()

    def leave(self) -> None:
        """Accept no more, and close the socket; connections that were accepted go on."""
        self._copy.close()
        if self._server is not None:
            leave_server(self._server, self._sock)

    def close(self) -> None:
        """Accept no more, and close the socket."""
        if self._server is not None:
            self._server.close()
        self._sock.close()
        self._copy.close()


def refuse_connections(sockets: Iterable[socket.socket]) -> None:
    """Have the system refuse connections to sockets that other processes keep open, and close them.

    The next ``listen`` of another process ends it.
    """
    for sock in sockets:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RD)
        sock.close()


def leave_server(server: asyncio.AbstractServer, sock: socket.socket) -> None:
    """Close a server of the loop so that no connection is lost that it has accepted.

    Python's own loop accepts first, and makes the connection in its next turn, which fails when
    the server has been closed meanwhile. uvloop does both at once.
    """
    loop = asyncio.get_running_loop()
    if isinstance(loop, asyncio.SelectorEventLoop) and sock.fileno() >= 0:
        loop.remove_reader(sock)
        loop.call_later(_LEAVE_SECONDS, server.close)
    else:
        server.close()
        sock.close()
