"""One connection of a line protocol: bytes between a transport, an engine and a session.

Laws:
- ``session.closed`` is called exactly once, as the last call of the session, also after a fault
  of ours.
- While an answer is awaited no further event is asked of the engine, and reading stops once
  ``max_pending`` octets wait; the same while the peer does not read our replies.
- What an answer does is finished even if the peer is gone; its reply is then dropped.
- An idle connection has no task and no timer; ``check_time`` is called now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

from zajil.core.line_engine import End, Wait
from zajil.net.connection_table import ConnectionTable
from zajil.net.deflate import DeflateChannel
from zajil.net.line_protocol import Engine, LineProtocol, PeerGone, Session
from zajil.net.line_transport import LineTransport
from zajil.net.logger import get_logger
from zajil.net.peer import Peer, make_peer
from zajil.tls.channel import TlsChannel

logger = get_logger()

_DATA = Wait.DATA  # Python 3.11 looks a member of an enumeration up in 130 ns, a name in 30


class LineConnection(LineTransport):
    """Drives one engine and one session; made by the service for each accepted connection."""

    __slots__ = (
        "_has_news",
        "_heard",
        "_peer",
        "_protocol",
        "_session",
        "_stage",
        "_stage_since",
        "_waiting",
        "engine",
    )

    def __init__(
        self, table: ConnectionTable[LineConnection], protocol: LineProtocol, peer: Peer | None
    ) -> None:
        """Make one for a connection that is being accepted.

        Args:
            peer: whose it is, where that was found out before; ``None``: the transport knows.
        """
        super().__init__(table)
        self._protocol = protocol
        self._peer = peer
        self.engine: Engine | None = None  # None: not admitted
        self._session: Session | None = None  # None: not yet, or it knows that it is closed
        self._waiting: asyncio.Future[Any] | None = None  # the answer that is awaited
        self._has_news = False
        self._heard = 0.0  # loop time of the last event, which is the last sign of life
        self._stage = 0
        self._stage_since = 0.0

    # ---- called by the transport ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or say why not."""
        self._use(cast("asyncio.Transport", transport))
        table, peer, self._peer = self._table, self._peer, None
        self._heard = self._stage_since = table.loop.time()
        if peer is None:
            local_name = transport.get_extra_info("sockname")
            peer_name = transport.get_extra_info("peername")
            if not peer_name and not isinstance(local_name, str):  # gone already
                self.abort()
                return
            peer = make_peer(peer_name, local_name)
        refusal = table.admit(self, peer.host)
        if refusal is not None:
            if table.implicit_tls:
                self.abort()
                return
            self._close(self._protocol.last_words(refusal), is_over=False)
            return
        self._host = peer.host
        context = table.server_tls() if table.implicit_tls else None
        if context is not None:
            self._peer = peer
            self._begin_tls(context)
        else:
            self._open(peer)

    def data_received(self, data: bytes) -> None:
        """Feed the engine; ask the session what to answer."""
        tls = self._tls
        if tls is None:
            self._take(data)
        elif not self._cut:
            data = self._decrypt(tls, data)
            if data:
                self._take(data)
            if tls.is_closed and not self.eof_received():
                self._close(b"", is_over=True)
            self._send_tls(tls)

    def eof_received(self) -> bool:
        """Keep a half-closed connection open for the answer it waits for.

        An encrypted one that ends without close_notify was cut: nobody is there to read the answer.
        """
        was_cut = self._tls is not None and not self._tls.is_closed
        self._eof = self._waiting is not None and self.engine is not None and not was_cut
        return self._eof

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end to the service, and to the session unless it still works on an answer."""
        if self._transport is None:
            return
        self._transport = None
        if self._is_in_handshake:
            self._reason = self._reason or f"TLS failed: {exc or 'peer closed'}"
            if self._host:
                self._table.handshake_failed(self._host)
        elif exc is not None and not self._reason:
            self._reason = f"connection lost: {type(exc).__name__}"
        self._release_writer()
        if self._waiting is None:
            self._finish()

    # ---- called by the service -----------------------------------------------------------------

    def check_time(self, now: float) -> None:
        """End it if a stage takes too long. Called now and then with the loop's time."""
        silent = now - self._heard
        engine, limits = self.engine, self._table.limits
        if self._waiting is not None:
            return
        if self._cut:
            if silent > limits.unread_seconds:
                self.abort()
            return
        if self._is_in_handshake and silent > limits.handshake_seconds:
            self._end_garbled("TLS failed: timeout")
        if self._is_in_handshake or engine is None:
            return
        # Attack: a byte now and then (slow loris). Part of a command is no sign of life, and a
        # stage has its time as a whole.
        number, stage = self._protocol.stage(engine)
        is_late = silent > stage.idle_seconds
        if self._write_paused:
            is_late = is_late or silent > limits.write_seconds
        if number != self._stage:
            self._stage, self._stage_since = number, self._heard
        elif now - self._stage_since > stage.total_seconds:
            is_late = True
        if is_late:
            self._heard = now
            engine.end(End.IDLE)
            self._flush()

    def drain(self) -> None:
        """End it, unless an answer is awaited or the stage is one that finishes."""
        engine = self.engine
        if self._is_in_handshake:
            self.shut_down()
        elif self._waiting is None and engine is not None:
            _, stage = self._protocol.stage(engine)
            if not stage.finishes:
                self.shut_down()

    def shut_down(self) -> None:
        """End it now; the answer that is awaited will not be sent."""
        if self._is_in_handshake:
            self._end_garbled("shutdown")
            return
        if self.engine is not None:
            self.engine.end(End.SHUTDOWN)
        self._flush()
        if self._waiting is not None:
            self._waiting.cancel()

    # ---- called by the session: see line_protocol.Connection -------------------------------------

    async def flush(self) -> None:
        """Send what the engine has to send; wait while the peer takes nothing."""
        self._send()
        await self._wait_until_written()
        if self._transport is None or self._cut:
            raise PeerGone("the peer is gone")

    def wake(self) -> None:
        """Have ``Session.news`` called soon."""
        if not self._has_news:
            self._has_news = True
            self._table.loop.call_soon(self._resume)

    # ---- events and answers --------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        engine = self.engine
        if engine is None:  # not admitted
            return
        if self._deflate is not None:
            self._take_compressed(self._deflate, data)
            return
        engine.receive_data(data)
        if self._waiting is None and not self._write_paused:
            self._advance()
        elif not self._read_paused:
            _, stage = self._protocol.stage(engine)
            if engine.pending_size() > stage.max_pending:
                self._pause_reading()

    def _take_compressed(self, deflate: DeflateChannel, data: bytes) -> None:
        """Decompress a portion and answer it; the rest has its turn after others had theirs."""
        deflate.feed(data)
        if self._waiting is None and not self._write_paused and self.engine is not None:
            self.engine.receive_data(self._decompress(deflate))
            self._advance()
        if deflate.has_input:
            # Attack: a megabyte that was a kilobyte. Nothing is read until this is answered.
            self._pause_reading()
            if self._waiting is None and not self._write_paused:
                self._table.loop.call_soon(self._resume)
        elif self._waiting is None and not self._write_paused:
            self._resume_reading()

    def _advance(self) -> None:
        """Hand events to the session until there are none, or an answer has to be awaited."""
        session, engine = self._session, self.engine
        if session is None or engine is None or self._cut:
            return
        has_come = False
        left = self._table.limits.answers
        try:
            while self._waiting is None and not self._write_paused:
                left -= 1
                if not left:
                    left = self._table.limits.answers
                    self._send()
                event = engine.next_event()
                if type(event) is Wait:
                    if event is Wait.COMPRESSION:
                        self._send()
                        self._deflate = DeflateChannel()
                        continue
                    if event is not _DATA:
                        self._take_wait(event)
                        break
                    if not self._has_news:
                        if self._table.draining:
                            self.drain()
                        break
                    self._has_news = False
                    answer = session.news()
                else:
                    has_come = True
                    answer = session.answer(event)
                if answer is None:
                    continue
                if hasattr(answer, "__await__"):
                    self._waiting = asyncio.ensure_future(cast("Awaitable[Any]", answer))
                    self._waiting.add_done_callback(self._answered)
                else:
                    engine.reply(answer)
        except Exception as error:
            self._fault(error)
        if has_come:
            self._heard = self._table.loop.time()
        self._flush()

    def _take_wait(self, event: Wait) -> None:
        if event is Wait.TLS:
            context = self._table.server_tls()
            if context is None:
                raise RuntimeError("STARTTLS was accepted without a certificate")
            self._send()
            self._begin_tls(context)
        elif event is Wait.REPLY:
            raise RuntimeError("the session gave no reply")

    def _answered(self, future: asyncio.Future[Any]) -> None:
        self._waiting = None
        self._heard = self._table.loop.time()
        engine = self.engine
        try:
            answer = future.result()
            if answer is not None and engine is not None and not engine.close_reason:
                engine.reply(answer)
        except asyncio.CancelledError:
            if engine is not None:
                engine.end(End.SHUTDOWN)
        except PeerGone:
            self._cut = True
            self.abort()
        except Exception as error:
            self._fault(error)
        if self._transport is None:
            self._finish()
        else:
            self._resume()

    def _resume(self) -> None:
        """Go on after something was waited for: an answer, the peer, news."""
        if self._waiting is not None or self._write_paused or self._is_in_handshake:
            return
        self._heard = self._table.loop.time()
        self._advance()
        if self._waiting is None and not self._write_paused:
            if self._deflate is not None and self._deflate.has_input and not self._cut:
                self._take_compressed(self._deflate, b"")
            else:
                self._resume_reading()

    def _flush(self) -> None:
        engine = self.engine
        if self._cut or engine is None:
            return
        is_done = self._eof and self._waiting is None and not self._write_paused
        if engine.close_reason or is_done:
            said_goodbye = engine.close_reason == self._protocol.goodbye
            is_over = self._eof or (said_goodbye and not engine.pending_size())
            self._close(engine.data_to_send(), is_over=is_over)
        else:
            self._write(engine.data_to_send())

    def _send(self) -> None:
        if self.engine is not None:
            self._write(self.engine.data_to_send())

    def _fault(self, error: Exception) -> None:
        """End the connection for a fault of ours with a temporary error."""
        logger.error("internal error in a session", peer=self._host, exc_info=error)
        if self.engine is not None:
            self.engine.end(End.FAULT, f"fault {type(error).__name__}: {error}")

    def _finish(self) -> None:
        if self._host:
            self._table.forget(self, self._host)
            self._host = ""
        session, self._session = self._session, None
        if session is not None:
            reason = self.engine.close_reason if self.engine is not None else ""
            try:
                session.closed(reason or self._reason or "peer closed")
            except Exception as error:
                logger.error("internal error at the end of a session", exc_info=error)

    # ---- the greeting, and TLS ---------------------------------------------------------------

    def _open(self, peer: Peer) -> None:
        """Begin the session, and greet."""
        seconds, tls = self._table.limits.greeting_delay_seconds, self._tls
        engine = self._protocol.make_engine(peer, encrypted=tls is not None)
        self.engine = engine
        try:
            self._session = self._protocol.make_session(peer, engine, self)
            if tls is not None:
                self._session.tls_started(*tls.version_and_cipher())
        except Exception as error:
            self._fault(error)
        if seconds and not engine.close_reason:
            # A peer must wait for it (RFC 5321 section 4.3.1). Nothing is asked of the engine
            # meanwhile, as while an answer is awaited.
            self._waiting = asyncio.ensure_future(asyncio.sleep(seconds))
            self._waiting.add_done_callback(self._greet)
        else:
            self._flush()

    def _greet(self, waited: asyncio.Future[Any]) -> None:
        self._waiting = None
        self._heard = self._table.loop.time()
        engine = self.engine
        if self._transport is None or engine is None:
            self._finish()
            return
        if waited.cancelled():
            engine.end(End.SHUTDOWN)
        elif engine.pending_size():
            engine.end(End.EARLY)
        self._flush()
        self._resume()

    def _encrypted(self, tls: TlsChannel) -> None:
        engine, session = self.engine, self._session
        self._heard = self._table.loop.time()
        if self._peer is not None:
            peer, self._peer = self._peer, None
            self._open(peer)
            return
        if engine is None or session is None:
            return
        try:
            engine.tls_established()
            session.tls_started(*tls.version_and_cipher())
        except Exception as error:
            self._fault(error)
        self._advance()
