"""Serve the pages on bound sockets, with uvicorn.

Laws:
- A connection counts in the caps of its address as one of SMTP or IMAP does; above a cap it is
  closed at once. Connections of this machine and of named proxies carry many browsers: for them
  only the cap on all connections counts.
- The header section of a request is complete within ``header_seconds``, or the connection ends.
- A browser that stops reading an answer, or reads it very slowly, loses its connection.
- What a stranger sends is counted, never logged line by line (``net.floods``).
- With TLS, a connection counts from its first byte, and the handshake has a limit of time.
- The pages are made at the first connection: a worker whose pages nobody visits is 5 MiB smaller.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from zajil.net.acceptor import leave_server
from zajil.net.admission import Admission
from zajil.net.peer import Networks
from zajil.web.streams import is_event_stream
from zajil.web.tls_connection import ChooseContext, TlsConnection

_GRACE_SECONDS = 3
"""For pages under way."""
_TOO_SLOW = "no request in time"
_READS_NOTHING = "answer not read in time"
_NO_HTTP = "not a request of HTTP"
_LENGTHS = {b"content-length", b"transfer-encoding"}
_LEAST_READ = 16 << 10
"""Bytes of an answer that a browser must read in ``reading_seconds``."""


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """Who may connect to the pages, and how long a request may take to begin."""

    browsers: Admission
    """Counts the connections of each address."""
    proxies: Admission
    """Counts connections that bring requests of many browsers."""
    trusted: Networks
    header_seconds: float
    handshake_seconds: float = 30
    reading_seconds: float = 60

    def entrance(self, host: str) -> Admission:
        """Return what counts the connections of an address."""
        try:
            is_shared = host in self.trusted or ip_address(host).is_loopback
        except ValueError:  # a Unix socket
            is_shared = True
        return self.proxies if is_shared else self.browsers


class WebServer:
    """The web of one worker.

    Args:
        make_pages: makes the application, at the first connection.
        sockets: bound already.
        admission: who may connect.
        choose_context: for HTTPS; ``None``: HTTP without TLS.
    """

    def __init__(
        self,
        make_pages: Callable[[], ASGIApp],
        sockets: Sequence[socket.socket],
        admission: ConnectionRules,
        choose_context: ChooseContext | None = None,
    ) -> None:
        self._make_pages = make_pages
        self._sockets = list(sockets)
        if choose_context is None:
            self._http: Any = functools.partial(_CountedConnection, admission)
        else:
            self._http = functools.partial(_make_tls_connection, admission, choose_context)
        self._server: _Server | None = None
        self._is_wanted = asyncio.Event()
        """Somebody has connected, or ``drain`` was called."""
        self._is_ending = False

    async def run(self) -> None:
        """Serve until ``drain``; closes the sockets at the end."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.add_reader(sock, self._is_wanted.set)
        try:
            await self._is_wanted.wait()  # who has connected waits in the queue of the socket
        finally:
            for sock in self._sockets:
                loop.remove_reader(sock)
        if self._is_ending:
            for sock in self._sockets:
                sock.close()
            return
        self._server = self._make_server()
        await self._server.serve(self._sockets)

    async def drain(self, seconds: float) -> None:
        """Accept no more; ``run`` returns when pages under way have ended, or soon after."""
        self._is_ending = True
        self._is_wanted.set()
        if self._server is not None:
            self._server.should_exit = True

    def leave(self) -> None:
        """Accept no more; a connection that is open ends with its next page, a stream goes on."""
        self._is_ending = True
        self._is_wanted.set()
        if self._server is not None:
            self._server.leave(self._sockets)

    def count(self) -> int:
        """Return the number of connections."""
        return 0 if self._server is None else len(self._server.server_state.connections)

    def _make_server(self) -> _Server:
        return _Server(
            uvicorn.Config(
                self._make_pages(),
                loop="none",
                http=self._http,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # Security: ``web.forwarded`` decides whose X-Forwarded-For is believed.
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )


class _State(ServerState):
    """What all connections know."""

    is_leaving = False
    """Another worker serves the next connections: each that is open ends with its next page."""


class _Connection(H11Protocol):
    """A connection of uvicorn."""

    server_state: _State

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        super().data_received(data)
        if self.server_state.is_leaving:
            self.leave()

    def handle_events(self) -> None:
        """Take requests; behind one of two lengths nothing more is taken."""
        before = self.cycle
        super().handle_events()
        # Attack: request smuggling; a proxy may have found another end than we (RFC 9112 section
        # 6.3: the chunks count, and the connection ends).
        if self.cycle is not before and {name for name, _ in self.headers} >= _LENGTHS:
            self.cycle.keep_alive = False

    def leave(self) -> None:
        """Close the connection after the page under way."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Let a page under way end; close a stream, which does not end by itself."""
        super().shutdown()
        if self.cycle is not None and is_event_stream(self.cycle.scope):
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; a page under way is answered no more."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state.__name__ in ("IDLE", "SEND_RESPONSE"):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _should_upgrade(self) -> bool:
        """Stay with HTTP/1.1: a server may ignore the field (RFC 9110 section 7.8)."""
        return False


class _TimedConnection(_Connection):
    """A connection that must bring its requests, and take its answers, in time."""

    def __init__(self, admission: ConnectionRules, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._admission = admission
        self._host = ""
        self._header_timer: asyncio.TimerHandle | None = None
        self._reading_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        # So ``pause_writing`` is called as soon as something waits to be read by the browser.
        transport.set_write_buffer_limits(0)
        self._host = self.client[0] if self.client else "local"
        self._watch_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_watching()
        self._stop_reading_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Write no more; what was written must be read in time, also when we have closed."""
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        """Write again."""
        self._stop_reading_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and count it."""
        self._admission.entrance(self._host).refuse(self._host, _NO_HTTP)
        super().send_400_response(msg)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a request must be complete some time after its first byte."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_watching()
        elif self.cycle is None or self.cycle.response_complete:
            self._watch_header()

    def _watch_header(self) -> None:
        if self._header_timer is None:
            seconds = self._admission.header_seconds
            self._header_timer = self.loop.call_later(seconds, self._end)

    def _stop_watching(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _end(self) -> None:
        self._header_timer = None
        self._refuse(_TOO_SLOW)

    def _refuse(self, reason: str) -> None:
        self._admission.entrance(self._host).refuse(self._host, reason)
        self.transport.abort()

    def _watch_reading(self) -> None:
        self._stop_reading_timer()
        waits = self.transport.get_write_buffer_size()
        seconds = self._admission.reading_seconds
        self._reading_timer = self.loop.call_later(seconds, self._look_at_reading, waits)

    def _look_at_reading(self, waited: int) -> None:
        if self.transport.get_write_buffer_size() > waited - _LEAST_READ:
            self._reading_timer = None
            self._refuse(_READS_NOTHING)
        else:
            self._watch_reading()

    def _stop_reading_timer(self) -> None:
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None


class _CountedConnection(_TimedConnection):
    """A connection without TLS: it is counted."""

    def __init__(self, admission: ConnectionRules, *args: Any, **kwargs: Any) -> None:
        super().__init__(admission, *args, **kwargs)
        self._entrance: Admission | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it, or close it."""
        super().connection_made(transport)
        entrance = self._admission.entrance(self._host)
        if not entrance.admit(self._host):
            self._stop_watching()
            transport.abort()
            return
        self._entrance = entrance

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        if self._entrance is not None:
            self._entrance.forget(self._host)
            self._entrance = None
        super().connection_lost(exc)


def _make_tls_connection(
    admission: ConnectionRules, choose_context: ChooseContext, **uvicorn_gives: Any
) -> TlsConnection:
    """Return what uvicorn takes for its protocol: TLS, and inside of it HTTP."""
    return TlsConnection(
        functools.partial(_TimedConnection, admission, **uvicorn_gives),
        choose_context,
        admission.entrance,
        admission.handshake_seconds,
        uvicorn_gives["server_state"].connections,
    )


class _Server(uvicorn.Server):
    """uvicorn, without its own idea of signals: the worker decides when to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state: _State = _State()

    def leave(self, sockets: Sequence[socket.socket]) -> None:
        """Accept no more."""
        self.server_state.is_leaving = True
        for server, sock in zip(self.servers if self.started else (), sockets, strict=False):
            leave_server(server, sock)
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Connection):
                connection.leave()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield
