"""The socket's half of a connection: back-pressure, TLS, the end.

Laws:
- From STARTTLS on, all bytes belong to TLS: none of them is read in the clear.
- Our last words are not lost: where the peer may still be sending, we read on for a moment, because
  closing with bytes unread would reset the connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from zajil.net.connection_table import ConnectionTable
from zajil.net.deflate import BadCompression, DeflateChannel
from zajil.tls.channel import TlsChannel

_DEFAULT_WRITE_BUFFER = 65536
"""Of the event loops."""


class LineTransport(asyncio.Protocol):
    """Moves bytes; ``connection.LineConnection`` says which, and when."""

    __slots__ = (
        "_cut",
        "_deflate",
        "_drained",
        "_eof",
        "_host",
        "_read_paused",
        "_reason",
        "_table",
        "_tls",
        "_transport",
        "_write_paused",
    )

    def __init__(self, table: ConnectionTable[Any]) -> None:
        self._table = table
        self._transport: asyncio.Transport | None = None  # None: not yet, or no more
        self._tls: TlsChannel | None = None  # None: in the clear
        self._deflate: DeflateChannel | None = None  # None: not compressed
        self._host = ""  # the peer's address; "": not counted by the table
        self._drained: asyncio.Future[None] | None = None  # ``_wait_until_written`` waits for it
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
            if self._deflate is not None:
                data = self._deflate.send(data)
            self._transport.write(data if self._tls is None else self._tls.send(data))

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._cut and not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused:
            self._read_paused = False
            if self._transport is not None and not self._cut:
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

    def _close(self, last: bytes, *, is_over: bool) -> None:
        """Close after our last words, so that they arrive.

        Args:
            is_over: the peer sends nothing more.
        """
        transport, table = self._transport, self._table
        if transport is None or self._cut:
            return
        self._cut = True
        if self._deflate is not None and last:
            last = self._deflate.send(last)
        if self._tls is not None:
            last = self._tls.close(last)
        if last:
            transport.write(last)
        if is_over or not table.may_linger():
            transport.close()
            return
        _Linger(transport, self._linger_ended, table.loop, table.limits.linger_seconds)

    def _linger_ended(self) -> None:
        self._table.linger_ended()
        self.connection_lost(None)

    # ---- compression -----------------------------------------------------------------------------

    def _decompress(self, deflate: DeflateChannel) -> bytes:
        """Return the next portion of what came; ends the connection where it is not compressed."""
        try:
            return deflate.take()
        except BadCompression as error:
            self._end_garbled(f"bad compression: {error}")
            return b""

    # ---- TLS -----------------------------------------------------------------------------------

    @property
    def _is_in_handshake(self) -> bool:
        return self._tls is not None and not self._tls.is_established

    def _begin_tls(self, context: ssl.SSLContext) -> None:
        """Take everything that comes from now on for TLS; the peer begins the handshake."""
        # Security: what was read before is in the engine, which has seen that there is nothing
        # (attack: CVE-2011-0411).
        self._tls = TlsChannel(context)

    def _decrypt(self, tls: TlsChannel, data: bytes) -> bytes:
        """Return what came, decrypted; ends the connection where it is no TLS."""
        is_new = not tls.is_established
        try:
            data = tls.receive(data)
        except ssl.SSLError as error:
            kind = f"TLS failed: {error}" if is_new else f"connection lost: {type(error).__name__}"
            self._end_garbled(kind)
            return b""
        if is_new and tls.is_established:
            self._encrypted(tls)
        return data

    def _send_tls(self, tls: TlsChannel) -> None:
        """Send what TLS itself has to send."""
        if self._transport is not None and not self._cut and (data := tls.to_send()):
            self._transport.write(data)

    def _end_garbled(self, reason: str) -> None:
        """Close without last words, because the peer would not understand them."""
        if self._tls is not None:
            self._send_tls(self._tls)  # an alert
        self._reason = self._reason or reason
        self._cut = True
        if self._transport is not None:
            self._transport.close()

    def _encrypted(self, tls: TlsChannel) -> None:
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
