"""One SMTP connection: bytes between a transport, the engine and a session.

Laws:
- ``session.closed`` is called exactly once, as the last call of the session, also after a fault
  of ours.
- While an answer is awaited no further event is asked of the engine, and reading stops once
  ``max_pending`` bytes wait; the same while the peer does not read our replies.
- Bytes that arrive between STARTTLS and the handshake close the connection.
- Our last words are not lost: where the peer may still be sending, we read on for a moment, because
  closing with bytes unread would reset the connection.
- An idle connection has no task and no timer; ``check_time`` is called now and then.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable
from typing import Any, cast

from zajil.net.linger import Linger
from zajil.net.peer import Peer, make_peer
from zajil.net.smtp_contract import EARLY, FAULT, IDLE, SHUTTING_DOWN, TOO_MANY, Service, Session
from zajil.smtp.command import BodyChunk, BodyEnd, Command
from zajil.smtp.reply import Reply, ReplyEach
from zajil.smtp.server import Wait
from zajil.smtp.state import SmtpState

logger = logging.getLogger(__name__)


class SmtpConnection(asyncio.Protocol):
    """Drives one engine and one session; made by the service for each accepted connection."""

    __slots__ = (
        *("_cut", "_early", "_eof", "_heard", "_host", "_mail", "_mail_since", "_peer"),
        *("_read_paused", "_reason", "_service", "_session", "_transport", "_upgrade"),
        *("_waiting", "_write_paused", "conn"),
    )

    def __init__(self, service: Service, peer: Peer | None = None) -> None:
        """Make one for a connection that is being accepted.

        Args:
            peer: whose it is, where that was found out before; else the transport knows.
        """
        self._service = service
        self._peer = peer
        self.conn = service.make_engine(service.offer)
        self._transport: asyncio.Transport | None = None  # None: not yet, or no more
        self._host = ""  # the peer's address; "": not counted by the service
        self._session: Session | None = None  # None: not yet, or told that it is closed
        self._waiting: asyncio.Future[Any] | None = None  # the answer that is awaited
        self._upgrade: asyncio.Task[None] | None = None  # the TLS handshake that goes on
        self._early: list[bytes] | None = None  # decrypted bytes that came before it returned
        self._write_paused = False
        self._read_paused = False
        self._eof = False
        self._cut = False
        self._reason = ""  # why it ended, where the engine does not know
        self._heard = 0.0  # loop time of the last event, which is the last sign of life
        self._mail = 0  # the engine's number of the mail last seen under way; 0: none was
        self._mail_since = 0.0  # loop time when that was first noticed

    # ---- called by the transport ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or say that there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        service = self._service
        self._heard = service.loop.time()
        peer = self._peer
        if peer is None:
            local_name = transport.get_extra_info("sockname")
            peer_name = transport.get_extra_info("peername")
            if not peer_name and not isinstance(local_name, str):  # gone already
                self._transport.abort()
                return
            peer = make_peer(peer_name, local_name)
        if service.draining or not service.admit(self, peer.host):
            self._transport.write((SHUTTING_DOWN if service.draining else TOO_MANY).to_bytes())
            self._close(self._transport)
            return
        self._host = peer.host
        if service.has_peer_offers:
            self.conn = service.make_engine(service.offer_for(peer.host), peer)
        try:
            self._session = service.make_session(peer, self.conn)
            encryption = transport.get_extra_info("ssl_object")
            if encryption is not None:
                self._tell_encryption(encryption)
        except Exception as error:
            self._fault(error)
        if service.limits.greeting_delay_seconds and not self.conn.close_reason:
            self._delay_greeting(service.limits.greeting_delay_seconds)
        else:
            self._flush()

    def data_received(self, data: bytes) -> None:
        """Feed the engine; ask the session what to answer."""
        conn = self.conn
        if self._upgrade is not None:
            self._take_early(data)
            return
        conn.receive_data(data)
        if self._waiting is None and not self._write_paused:
            self._advance()
        elif conn.pending_size() > self._service.limits.pending and not self._read_paused:
            self._pause_reading()

    def eof_received(self) -> bool:
        """Keep a half-closed connection open for the answer it waits for; TLS cannot."""
        self._eof = self._waiting is not None and not self.conn.encrypted
        return self._eof

    def pause_writing(self) -> None:
        """The peer does not read: make no more replies."""
        self._write_paused = True
        self._pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._write_paused = False
        self._heard = self._service.loop.time()
        self._resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the service, and the session unless it still works on an answer."""
        if self._transport is None:
            return
        self._transport = None
        if self._upgrade is not None and not self._reason:
            self._reason = f"TLS failed: {exc or 'peer closed'}"
        elif exc is not None and not self._reason:
            self._reason = f"connection lost: {type(exc).__name__}"
        if self._waiting is None:
            self._finish()

    # ---- called by the service -----------------------------------------------------------------

    def check_time(self, now: float) -> None:
        """End it if a stage takes too long. Called now and then with the loop's time."""
        silent = now - self._heard
        if self._waiting is not None or self._upgrade is not None:
            return
        conn, limits = self.conn, self._service.limits
        if self._cut:
            if silent > limits.unread_seconds:
                self.abort()
            return
        # Attack: a byte now and then (slow loris). Part of a command is no sign of life, and a
        # mail has its time as a whole.
        in_message = conn.state in (SmtpState.BODY, SmtpState.CHUNK)
        is_late = silent > (limits.data_idle_seconds if in_message else limits.idle_seconds)
        mail = conn.mails if conn.in_transaction() else 0
        if mail != self._mail:
            self._mail, self._mail_since = mail, self._heard
        elif mail:
            is_late = is_late or now - self._mail_since > limits.mail_seconds
        if is_late:
            self._heard = now
            conn.close(IDLE, "timeout")
            self._flush()

    def drain(self) -> None:
        """End it unless a mail is on its way in; that one may come to its end."""
        if self._upgrade is None and self._waiting is None and not self.conn.in_transaction():
            self.shut_down()

    def shut_down(self) -> None:
        """End it now; no 250 will be sent."""
        if self._upgrade is not None:
            self._upgrade.cancel()
            return
        self.conn.close(SHUTTING_DOWN, "shutdown")
        self._flush()
        if self._waiting is not None:
            self._waiting.cancel()

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    # ---- events and answers --------------------------------------------------------------------

    def _advance(self) -> None:
        """Hand events to the session until there are none, or an answer has to be awaited."""
        session = self._session
        if session is None:
            return
        conn = self.conn
        has_come = False
        left = self._service.limits.answers
        try:
            while self._waiting is None and not self._write_paused:
                left -= 1
                if not left:
                    left = self._service.limits.answers
                    self._send()
                event = conn.next_event()
                if type(event) is BodyChunk:
                    has_come = True
                    taken = session.take_body(event.data)
                    if taken is not None:
                        self._await(taken)
                elif isinstance(event, Wait):
                    if event is Wait.TLS:
                        self._begin_tls()
                    elif event is Wait.REPLY:
                        raise RuntimeError("the session gave no reply")
                    elif event is Wait.DATA and self._service.draining:
                        self.drain()
                    break
                else:
                    has_come = True
                    answer = session.answer(cast("Command | BodyEnd", event))
                    if type(answer) is Reply:
                        conn.reply(answer)
                    else:
                        self._await(cast("Awaitable[Reply | ReplyEach]", answer))
        except Exception as error:
            self._fault(error)
        if has_come:
            self._heard = self._service.loop.time()
        self._flush()

    def _await(self, answer: Awaitable[Any]) -> None:
        self._waiting = asyncio.ensure_future(answer)
        self._waiting.add_done_callback(self._answered)

    def _answered(self, future: asyncio.Future[Any]) -> None:
        self._waiting = None
        self._heard = self._service.loop.time()
        try:
            reply = future.result()
            if reply is not None and not self.conn.close_reason:
                if type(reply) is ReplyEach:
                    self.conn.reply_each(reply.replies)
                else:
                    self.conn.reply(reply)
        except asyncio.CancelledError:
            self.conn.close(SHUTTING_DOWN, "shutdown")
        except Exception as error:
            self._fault(error)
        if self._transport is None:
            self._finish()
        else:
            self._resume()

    def _resume(self) -> None:
        if self._waiting is None and not self._write_paused:
            self._advance()
        if self._read_paused and self._waiting is None and not self._write_paused:
            self._read_paused = False
            if self._transport is not None and not self._cut and self._upgrade is None:
                self._transport.resume_reading()

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._cut:
            self._read_paused = True
            self._transport.pause_reading()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or self._cut:
            return
        self._send()
        is_done = self._eof and self._waiting is None and not self._write_paused
        if self.conn.close_reason or is_done:
            self._close(transport)

    def _send(self) -> None:
        data = self.conn.data_to_send()
        if data and self._transport is not None and not self._cut:
            self._transport.write(data)

    def _close(self, transport: asyncio.Transport) -> None:
        """Close behind our last words, so that they arrive."""
        self._cut = True
        conn, service = self.conn, self._service
        is_over = self._eof or (conn.close_reason == "quit" and not conn.has_pending_input())
        # TLS has its own way of ending, and reads until then.
        if is_over or not transport.can_write_eof() or not service.may_linger():
            transport.close()
            return
        Linger(transport, self._linger_ended, service.loop, service.limits.linger_seconds)

    def _fault(self, error: Exception) -> None:
        """Answer 421 to a fault of ours: unknown means temporary (style C8)."""
        logger.error("fault in a session of %s", self._host, exc_info=error)
        self.conn.close(FAULT, f"fault {type(error).__name__}: {error}")

    def _finish(self) -> None:
        if self._host:
            self._service.forget(self, self._host)
            self._host = ""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.closed(self.conn.close_reason or self._reason or "peer closed")
            except Exception as error:
                logger.error("fault at the end of a session", exc_info=error)

    def _linger_ended(self) -> None:
        self._service.lingers_no_more()
        self.connection_lost(None)

    # ---- the greeting ----------------------------------------------------------------------------

    def _delay_greeting(self, seconds: float) -> None:
        """Greet later, and only a peer that waits for it (RFC 5321 section 4.3.1)."""
        # Nothing is asked of the engine meanwhile, as while an answer is awaited.
        self._waiting = asyncio.ensure_future(asyncio.sleep(seconds))
        self._waiting.add_done_callback(self._greet)

    def _greet(self, waited: asyncio.Future[Any]) -> None:
        self._waiting = None
        self._heard = self._service.loop.time()
        conn = self.conn
        if self._transport is None:
            self._finish()
            return
        if waited.cancelled():
            conn.close(SHUTTING_DOWN, "shutdown")
        elif conn.has_pending_input():
            conn.data_to_send()  # the greeting, which is not due to this peer
            conn.refusals.append(("(talked before the greeting)", EARLY))
            conn.close(EARLY, "talked before the greeting")
        self._flush()
        self._resume()

    # ---- TLS -----------------------------------------------------------------------------------

    def _begin_tls(self) -> None:
        if self._transport is None or self._service.tls is None:
            self.conn.close(FAULT, "fault: STARTTLS was accepted without a certificate")
            return
        # Security: from here until the transport belongs to TLS nothing may be read. What was
        # read before is in the engine, which has seen that there is nothing.
        self._transport.pause_reading()
        self._read_paused = False  # start_tls begins to read again
        self._flush()
        self._upgrade = self._service.loop.create_task(self._start_tls(self._service.tls))

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands; ends with the connection encrypted, or closed."""
        transport = self._transport
        if transport is None:
            return
        self._early = []
        reason = ""
        try:
            encrypted = await self._service.loop.start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self._service.limits.handshake_seconds,
            )
        except (OSError, RuntimeError) as error:
            reason = f"TLS failed: {error}"
        except asyncio.CancelledError:
            reason = "shutdown"
        early, self._early, self._upgrade = self._early, None, None
        if self._transport is None:
            return
        if reason or encrypted is None:
            self._reason = self._reason or reason
            self._cut = True
            transport.abort()
            self.connection_lost(None)
            return
        self._transport = encrypted
        self._heard = self._service.loop.time()
        try:
            self.conn.tls_established()
            self._tell_encryption(encrypted.get_extra_info("ssl_object"))
        except Exception as error:
            self._fault(error)
        for data in early or ():
            self.conn.receive_data(data)
        self._advance()

    def _take_early(self, data: bytes) -> None:
        if self._early is not None:
            # The transport is TLS's already, so this came encrypted.
            self._early.append(data)
            return
        # Security: plain bytes behind STARTTLS (attack: CVE-2011-0411).
        self._reason = "bytes after STARTTLS"
        self.abort()

    def _tell_encryption(self, encryption: ssl.SSLObject) -> None:
        cipher = encryption.cipher()
        if self._session is not None:
            self._session.tls_started(encryption.version() or "?", cipher[0] if cipher else "?")
