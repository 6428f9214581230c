"""Serve IMAP on listening sockets: move bytes, start TLS, keep time. (RFC 3501 section 5)

Law: one task serves one connection, from accept to close; it holds the socket and closes it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from zajil.imap.command import Event, StartTlsCommand
from zajil.imap.response import Completion, untagged_status
from zajil.imap.server import ImapServerConnection, Wait
from zajil.imap.state import ImapState
from zajil.net.acceptor import Acceptor
from zajil.net.admission import HANDSHAKE_FAILED, Admission
from zajil.net.peer import Peer, make_peer
from zajil.tls.keeper import TlsKeeper

logger = logging.getLogger(__name__)

_HIGH_WATER = 262_144
"""Bytes that wait for the engine or the peer before the other side has to wait."""
_HIGH_WATER_OF_STRANGER = 65_536
_IN_A_ROW = 16
"""Commands of one client that are answered before others get their turn."""


@dataclass(frozen=True, slots=True)
class ImapTimes:
    """How long we wait, in seconds."""

    idle: float = 1800
    """Silence of a client that has logged in; at least 30 minutes (RFC 3501 section 5.4)."""
    stranger: float = 60
    """Until somebody has logged in, in silence and in all."""
    handshake: float = 30
    write: float = 300
    """A client that takes nothing of what we send for so long is gone."""


class Stream(Protocol):
    """What a session may do to its connection."""

    async def flush(self) -> None:
        """Hand over what the engine has to send; wait while the client takes nothing.

        Called between two portions of work also where there is nothing to send: it ends the work
        for a client that is gone.

        Raises:
            ConnectionError: the client is gone.
            TimeoutError: it took nothing for too long.
        """

    def wake(self) -> None:
        """Have ``tell`` called soon, if the client is being waited for."""


class Session(Protocol):
    """Answers the commands of one connection."""

    async def answer(self, event: Event) -> None:
        """Answer one event through the engine; may wait for store and client."""

    async def tell(self) -> None:
        """Send what is new: called after ``Stream.wake``, between two events."""

    def closed(self, reason: str) -> None:
        """Let go of everything; called once, always last."""


MakeSession = Callable[[Peer, ImapServerConnection, Stream], Session]


class ImapListener:
    """All IMAP connections of one kind of listener.

    Args:
        make_engine: with the greeting already in it, for a peer.
        tls: for STARTTLS, or from the first byte (``implicit_tls``).
        entrance: who may come in; others are told BYE.
    """

    def __init__(
        self,
        make_engine: Callable[[Peer], ImapServerConnection],
        make_session: MakeSession,
        *,
        tls: TlsKeeper | None,
        implicit_tls: bool,
        times: ImapTimes,
        entrance: Admission,
    ) -> None:
        if implicit_tls and tls is None:
            raise ValueError("TLS is offered without a certificate")
        self.make_engine = make_engine
        self.make_session = make_session
        self._tls = tls
        self.times = times
        self._implicit_tls = implicit_tls
        self.entrance = entrance
        self._acceptor = Acceptor(self._take)
        self._tasks: dict[asyncio.Task[None], _Connection | None] = {}

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The context of the next handshake; ``None``: there is no certificate."""
        return None if self._tls is None else self._tls.context

    async def serve(self, sock: socket.socket) -> None:
        """Begin to accept on a listening socket; returns at once. ``drain`` closes it."""
        self._acceptor.listen(sock)

    async def drain(self, seconds: float) -> None:
        """Accept no more; say BYE to all, let running commands end, at most for ``seconds``."""
        self._acceptor.close()
        for task, connection in list(self._tasks.items()):
            if connection is None:
                task.cancel()
            else:
                connection.shut_down()
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks), timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        self.entrance.close()

    def _take(self, client: socket.socket, address: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(client, address))
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _serve(self, client: socket.socket, address: Any) -> None:
        peer: Peer | None = None
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            direct = make_peer(address, client.getsockname())
            peer = await self.entrance.find_peer(client, direct, self.times.handshake)
        except OSError:
            logger.debug("a connection was gone before it was served")
        if peer is None:
            client.close()
            return
        if not self.entrance.admit(peer.host):
            if not self._implicit_tls:
                _send_at_most(client, untagged_status("BYE", "too many connections"))
            client.close()
            return
        try:
            await self._run(client, peer)
        finally:
            self.entrance.forget(peer.host)

    async def _run(self, client: socket.socket, peer: Peer) -> None:
        # Not the protocol that comes back: with TLS, uvloop gives its own instead of ours.
        connection = _Connection(self, peer)
        loop = asyncio.get_running_loop()
        tls: dict[str, Any] = {}
        if self._implicit_tls:
            tls = {"ssl": self.tls, "ssl_handshake_timeout": self.times.handshake}
        try:
            await loop.connect_accepted_socket(lambda: connection, client, **tls)
        except OSError as error:
            if self._implicit_tls:
                self.entrance.refuse(peer.host, HANDSHAKE_FAILED)
            logger.debug("connection of %s failed: %s", peer, error)
            client.close()
            return
        self._tasks[_this_task()] = connection
        await connection.run()


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("not in a task")
    return task


def _send_at_most(client: socket.socket, data: bytes) -> None:
    try:
        client.send(data)
    except OSError:
        return


class _Connection(asyncio.Protocol):
    """One connection: the engine, its session, and the transport between it and the client."""

    def __init__(self, listener: ImapListener, peer: Peer) -> None:
        self.peer = peer
        self._listener = listener
        self._engine = listener.make_engine(peer)
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._woken = asyncio.Event()
        self._early: list[bytes] | None = None  # decrypted, but the handshake has not returned yet
        self._news = False
        self._lost = False
        self._ended = False
        """The client sends no more."""
        self._stopping = False
        self._answered = 0
        self._may_write = asyncio.Event()
        self._may_write.set()

    # ---- called by the loop -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """Give the engine what came; read no more while it has much to do."""
        if self._early is not None:
            self._early.append(data)
            return
        self._engine.receive_data(data)
        stranger = self._engine.state is ImapState.NOT_AUTHENTICATED
        most = _HIGH_WATER_OF_STRANGER if stranger else _HIGH_WATER
        if self._engine.unread > most and self._transport is not None:
            self._transport.pause_reading()
        self._woken.set()

    def eof_received(self) -> bool:
        """Let what was asked be answered."""
        self._ended = True
        self._woken.set()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Wake the task, whatever it waits for."""
        self._lost = True
        self._woken.set()
        self._may_write.set()

    def pause_writing(self) -> None:
        """Wait with writing: the client is slow."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Write again."""
        self._may_write.set()

    # ---- called by the session --------------------------------------------------------------

    async def flush(self) -> None:
        """See ``Stream.flush``."""
        transport = self._open_transport()
        if self._engine.unsent:
            transport.write(self._engine.data_to_send())
        if not self._may_write.is_set():
            async with asyncio.timeout(self._listener.times.write):
                await self._may_write.wait()
            self._open_transport()  # it may have ended meanwhile

    def wake(self) -> None:
        """See ``Stream.wake``."""
        self._news = True
        self._woken.set()

    # ---- the task ---------------------------------------------------------------------------

    def shut_down(self) -> None:
        """Say BYE when the running command has been answered."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Serve until LOGOUT, end of file, silence, or a fault of ours."""
        engine = self._engine
        session = self._session = self._listener.make_session(self.peer, engine, self)
        reason = "peer closed"
        try:
            deadline = asyncio.get_running_loop().time() + self._listener.times.stranger
            while (event := engine.next_event()) is not Wait.CLOSED:
                if event is Wait.REPLY:
                    raise RuntimeError("the session left a command without its answer")
                if isinstance(event, Wait):
                    if not await self._wait(session, deadline):
                        break
                elif isinstance(event, StartTlsCommand):
                    await self._start_tls()
                else:
                    await session.answer(event)
                    await self._breathe()
            else:
                reason = engine.close_reason or "logout"
            await self.flush()
        except TimeoutError:
            reason = "timeout"
        except (OSError, ssl.SSLError) as error:
            reason = f"connection failed: {error}"
        except Exception:
            logger.exception("IMAP session of %s failed", self.peer)
            reason = "fault"
            self._engine.close("internal error", reason)
            self._write_last()
        finally:
            session.closed(reason)
            if self._transport is not None:
                self._transport.close()

    async def _breathe(self) -> None:
        """Between two commands that came together: send, let others work, end if nobody listens."""
        if self._engine.unsent > _HIGH_WATER or self._lost:
            await self.flush()
        self._answered += 1
        if not self._answered % _IN_A_ROW:
            await asyncio.sleep(0)

    async def _wait(self, session: Session, deadline: float) -> bool:
        """Send what is ready, then wait for bytes or news; false: there will be none."""
        await self.flush()
        if self._stopping:
            self._engine.close("server is going down", "shutdown")
            return True
        if self._news:
            self._news = False
            await session.tell()
            return True
        if self._ended:
            return False
        transport = self._open_transport()
        if not transport.is_reading() and not transport.is_closing():
            transport.resume_reading()
        try:
            async with asyncio.timeout(self._patience(deadline)):
                await self._woken.wait()
        except TimeoutError:
            self._engine.close("too long without a command", "timeout")
            return True
        self._woken.clear()
        return True

    def _patience(self, deadline: float) -> float:
        if self._engine.state is not ImapState.NOT_AUTHENTICATED:
            return self._listener.times.idle
        # Security: a stranger cannot hold a connection by sending a byte now and then.
        return max(0.0, deadline - asyncio.get_running_loop().time())

    async def _start_tls(self) -> None:
        engine, tls = self._engine, self._listener.tls
        if tls is None:
            engine.complete(Completion("BAD", "TLS is not available"))
            return
        plain = self._open_transport()
        plain.pause_reading()
        # Security: bytes sent behind STARTTLS in the clear would be taken for bytes from within
        # TLS (CVE-2021-33515); nobody honest sends them.
        if engine.has_pending_input():
            engine.close("bytes after STARTTLS", "bytes after STARTTLS")
            return
        engine.complete(Completion("OK", "begin TLS now"))
        await self.flush()
        # Reading pauses until the transport belongs to TLS, so what comes from here on came
        # encrypted. It may come before ``start_tls`` returns: TLS 1.3 lets a client send its
        # first command together with the end of its handshake.
        early = self._early = []
        try:
            transport = await asyncio.get_running_loop().start_tls(
                plain,
                self,
                tls,
                server_side=True,
                ssl_handshake_timeout=self._listener.times.handshake,
            )
        except OSError:
            self._listener.entrance.refuse(self.peer.host, HANDSHAKE_FAILED)
            raise
        self._early = None
        if transport is None:
            raise ConnectionResetError("the client is gone")
        self._transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        engine.tls_established()
        for data in early:
            self.data_received(data)

    def _open_transport(self) -> asyncio.Transport:
        if self._lost or self._transport is None:
            raise ConnectionResetError("the client is gone")
        return self._transport

    def _write_last(self) -> None:
        if self._transport is not None and not self._lost:
            self._transport.write(self._engine.data_to_send())
