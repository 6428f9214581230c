"""The socket's half of a connection: back-pressure, the TLS handshake, the end.

Laws:
- Bytes that arrive between STARTTLS and the handshake close the connection.
- Our last words are not lost: where the peer may still be sending, we read on for a moment, because
  closing with bytes unread would reset the connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from zajil.net.connection_table import ConnectionTable

_DEFAULT_WRITE_BUFFER = 65536
"""Of the event loops."""


class LineTransport(asyncio.Protocol):
    """Moves bytes; ``connection.LineConnection`` says which, and when."""

    __slots__ = (
        "_cut",
        "_drained",
        "_early",
        "_eof",
        "_handshake",
        "_host",
        "_read_paused",
        "_reason",
        "_table",
        "_transport",
        "_write_paused",
    )

    def __init__(self, table: ConnectionTable[Any]) -> None:
        self._table = table
        self._transport: asyncio.Transport | None = None  # None: not yet, or no more
        self._handshake: asyncio.Task[None] | None = None
        self._host = ""  # the peer's address; "": not counted by the table
        self._drained: asyncio.Future[None] | None = None  # ``_wait_until_written`` waits for it
        self._early: list[bytes] | None = None  # decrypted bytes that came before it returned
        self._write_paused = False
        self._read_paused = False
        self._eof = False
        self._cut = False  # the last words have been written
        self._reason = ""  # why it ended, where the engine does not know

    def abort(self) -> None:
        """Cut the connection; what has not been sent is lost."""
        if self._transport is not None:
            self._transport.abort()

    def _use(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        if self._table.limits.write_buffer != _DEFAULT_WRITE_BUFFER:
            transport.set_write_buffer_limits(self._table.limits.write_buffer)

    def pause_writing(self) -> None:
        """Make no more replies: the peer does not read."""
        self._write_paused = True
        self._pause_reading()

    def resume_writing(self) -> None:
        """Go on: the peer reads again."""
        self._write_paused = False
        self._release_writer()
        self._resume()

    # ---- bytes ---------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._cut:
            self._transport.write(data)

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._cut and not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused:
            self._read_paused = False
            if self._transport is not None and not self._cut and self._handshake is None:
                self._transport.resume_reading()

    async def _wait_until_written(self) -> None:
        """Wait while the peer takes nothing; cut the connection if it does so for too long."""
        if not self._write_paused or self._transport is None:
            return
        self._drained = self._table.loop.create_future()
        try:
            async with asyncio.timeout(self._table.limits.write_seconds):
                await self._drained
        except TimeoutError:
            self._reason, self._cut = "timeout", True
            self.abort()
        finally:
            self._drained = None

    def _release_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # ---- the end -------------------------------------------------------------------------------

    def _close(self, *, is_over: bool) -> None:
        """Close after our last words, so that they arrive.

        Args:
            is_over: the peer sends nothing more.
        """
        transport, table = self._transport, self._table
        if transport is None or self._cut:
            return
        self._cut = True
        # TLS has its own way of ending, and reads until then.
        if is_over or not transport.can_write_eof() or not table.may_linger():
            transport.close()
            return
        _Linger(transport, self._linger_ended, table.loop, table.limits.linger_seconds)

    def _linger_ended(self) -> None:
        self._table.linger_ended()
        self.connection_lost(None)

    # ---- TLS -----------------------------------------------------------------------------------

    def _begin_tls(self, context: ssl.SSLContext) -> None:
        """Start the handshake; what is to be sent before it was written."""
        # Security: from here until the transport belongs to TLS nothing may be read. What was
        # read before is in the engine, which has seen that there is nothing.
        if self._transport is not None:
            self._transport.pause_reading()
            self._read_paused = False  # start_tls begins to read again
            self._handshake = self._table.loop.create_task(self._start_tls(context))

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        """Do the handshake; ends with the connection encrypted, or closed."""
        transport = self._transport
        if transport is None:
            return
        self._early = []
        reason = ""
        try:
            encrypted = await self._table.loop.start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self._table.limits.handshake_seconds,
            )
        except (OSError, RuntimeError) as error:
            reason = f"TLS failed: {error}"
        except asyncio.CancelledError:
            reason = "shutdown"
        early, self._early, self._handshake = self._early, None, None
        if self._transport is None:
            return
        if reason or encrypted is None:
            self._reason = self._reason or reason
            self._cut = True
            self._table.handshake_failed(self._host)
            transport.abort()
            self.connection_lost(None)
            return
        self._use(encrypted)
        self._encrypted(encrypted.get_extra_info("ssl_object"), early or ())

    def _take_early(self, data: bytes) -> None:
        """Keep what comes during the handshake: TLS 1.3 lets a client send its first command
        together with the end of its own part."""
        if self._early is not None:
            # The transport is TLS's already, so this came encrypted.
            self._early.append(data)
            return
        # Security: plain bytes behind STARTTLS (attack: CVE-2011-0411).
        self._reason = "bytes after STARTTLS"
        self.abort()

    def _encrypted(self, encryption: ssl.SSLObject, early: list[bytes] | tuple[()]) -> None:
        raise NotImplementedError

    def _resume(self) -> None:
        raise NotImplementedError


class _Linger(asyncio.Protocol):
    """Reads and drops what comes after our last words, until the peer ends or time is up.

    Closing a socket with bytes unread resets the connection, and the reset may overtake the words.
    """

    __slots__ = ("_ended", "_timer")

    def __init__(
        self,
        transport: asyncio.Transport,
        ended: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
        seconds: float,
    ) -> None:
        self._ended = ended
        self._timer = loop.call_later(seconds, transport.abort)
        transport.set_protocol(self)
        transport.write_eof()
        if not transport.is_reading():
            transport.resume_reading()

    def eof_received(self) -> bool:
        """Let the transport close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end on."""
        self._timer.cancel()
        self._ended()
