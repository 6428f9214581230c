"""HTTPS: one connection from its first byte, so that it is counted and timed before TLS begins.

The loop's own TLS tells of a connection only after the handshake: one that never completes it would
be counted nowhere. So the bytes go through ``tls.channel``, as those of the mail protocols do.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

from zajil.net.admission import HANDSHAKE_FAILED, Admission
from zajil.tls.channel import TlsChannel

ChooseContext = Callable[[bytes], ssl.SSLContext]
"""Returns the context for a connection, by its first TLS record: the ClientHello."""

_HANDSHAKE = 0x16
"""First byte of a TLS record with a ClientHello (TLS 1.3, section 5.1)."""
_MOST_OF_A_HANDSHAKE = 16 << 10
"""Octets of a handshake that are taken before it is complete; more is no browser's."""
_LONGEST_RECORD = (16 << 10) + 256
_NOT_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 68\r\nConnection: close\r\n\r\n"
    b"This port speaks HTTPS. Use an address that begins with https://...\n"
)
_WORDS_OF_HTTP = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"OPTIONS ", b"DELETE ", b"PROPFIND ")


class TlsConnection(asyncio.Protocol, asyncio.Transport):
    """Towards the socket a protocol, towards the protocol of HTTP its transport.

    Args:
        make_inner: makes the protocol of HTTP, once the handshake is complete.
        choose_context: see there.
        entrance: returns what counts connections from an address.
        handshake_seconds: in which the handshake must be complete.
        open_ones: the connections that are told when the server ends, by ``shutdown``.
    """

    def __init__(
        self,
        make_inner: Callable[[], asyncio.Protocol],
        choose_context: ChooseContext,
        entrance: Callable[[str], Admission],
        handshake_seconds: float,
        open_ones: set[Any],
    ) -> None:
        self._make_inner = make_inner
        self._choose_context = choose_context
        self._find_entrance = entrance
        self._handshake_seconds = handshake_seconds
        self._open_ones = open_ones
        self._raw: asyncio.Transport
        """Of the socket; there from ``connection_made`` on."""
        self._entrance: Admission | None = None
        self._host = "local"
        self._channel: TlsChannel | None = None
        self._context: ssl.SSLContext | None = None
        self._inner: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._hello = b""
        """The beginning of the first record, while the rest has not come."""
        self._taken = 0
        self._is_closing = False

    # ---- what the socket calls ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, or end it."""
        self._raw = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._host = peer[0] if isinstance(peer, (tuple, list)) and peer else "local"
        entrance = self._find_entrance(self._host)
        if not entrance.admit(self._host):
            self.abort()
            return
        self._entrance = entrance
        self._open_ones.add(self)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._handshake_seconds, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Decrypt, and hand on."""
        if self._is_closing:
            return
        channel = self._channel
        if channel is None:
            data = self._hello + data
            if data[0] != _HANDSHAKE:
                self._refuse_plain(data)
                return
            if not _has_record(data):
                self._hello = data
                return
            self._hello = b""
            self._context = self._choose_context(data)
            channel = self._channel = TlsChannel(self._context)
        try:
            plain = channel.receive(data)
        except ssl.SSLError:
            self._fail(channel)
            return
        self._send(channel.to_send())
        if self._inner is None:
            self._inner = self._begin(channel, len(data))
        if plain and self._inner is not None and not self._is_closing:
            self._inner.data_received(plain)
        if channel.is_closed:
            self.close()

    def eof_received(self) -> None:
        """End: nothing more can be asked, and the rest of the answer is not wanted."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._is_closing = True
        self._stop_timer()
        self._open_ones.discard(self)
        if self._entrance is not None:
            self._entrance.forget(self._host)
            self._entrance = None
        if self._inner is not None:
            self._inner.connection_lost(exc)
            self._inner = None

    def pause_writing(self) -> None:
        """Let no more be written: the browser does not read."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Let more be written."""
        if self._inner is not None:
            self._inner.resume_writing()

    def shutdown(self) -> None:
        """End a connection that has not completed its handshake: the server ends."""
        if self._inner is None:
            self.abort()

    # ---- what the protocol of HTTP calls --------------------------------------------------------

    def write(self, data: Any) -> None:
        """Encrypt and send."""
        if not self._is_closing and self._channel is not None:
            self._send(self._channel.send(bytes(data)))

    def close(self) -> None:
        """Send what waits and our close_notify, then close."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._channel is not None:
            self._send(self._channel.close())
        self._raw.close()

    def abort(self) -> None:
        """Close at once."""
        self._is_closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._is_closing or self._raw.is_closing()

    def pause_reading(self) -> None:
        """Read no more for now."""
        if not self._is_closing:
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if not self._is_closing:
            self._raw.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say from how many bytes that wait to be sent nothing more is to be written."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._raw.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the socket knows; ``sslcontext`` says that this is HTTPS."""
        if name == "sslcontext":
            return self._context
        return self._raw.get_extra_info(name, default)

    # ---- handshake ------------------------------------------------------------------------------

    def _begin(self, channel: TlsChannel, size: int) -> asyncio.Protocol | None:
        """Return a protocol of HTTP if the handshake is complete.

        Args:
            channel: of this connection.
            size: octets that have just come.
        """
        if not channel.is_established:
            self._taken += size
            if self._taken > _MOST_OF_A_HANDSHAKE:
                self._fail(channel)
            return None
        self._stop_timer()
        self._open_ones.discard(self)  # the inner one stands for it
        inner = self._make_inner()
        inner.connection_made(self)
        return inner

    def _refuse_plain(self, data: bytes) -> None:
        """Answer a browser that speaks HTTP without TLS; close on anything else."""
        self._note_failure()
        self._is_closing = True
        if data.startswith(_WORDS_OF_HTTP):
            self._send(_NOT_TLS)
        self._raw.close()

    def _fail(self, channel: TlsChannel) -> None:
        """End a connection whose handshake or records are wrong, with the alert that says so."""
        self._note_failure()
        self._is_closing = True
        self._send(channel.to_send())
        self._raw.close()

    def _give_up(self) -> None:
        self._timer = None
        self._note_failure()
        self.abort()

    def _note_failure(self) -> None:
        if self._entrance is not None and self._inner is None:
            self._entrance.refuse(self._host, HANDSHAKE_FAILED)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self, data: bytes) -> None:
        if data:
            self._raw.write(data)


def _has_record(data: bytes) -> bool:
    """Whether the first TLS record is complete, or longer than any record may be."""
    if len(data) < 5:
        return False
    length = int.from_bytes(data[3:5], "big")
    return length > _LONGEST_RECORD or len(data) >= 5 + length
