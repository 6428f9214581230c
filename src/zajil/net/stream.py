"""A client's connection with deadlines and STARTTLS: what ``deliver`` speaks SMTP over.

All failures of the world are ``OSError``: ``ConnectionError``, ``TimeoutError``,
``ssl.SSLError`` (``ssl.SSLCertVerificationError`` for a certificate that is not valid).
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, cast

from zajil.core.errors import Malformed
from zajil.net.peer import join_host_port

MAX_BUFFER = 262_144
"""Unread bytes above which we stop reading from the socket; protects memory."""


class BytesBeforeTls(Malformed, ConnectionError):
    """The peer, or somebody between, sent bytes after its consent to STARTTLS in plain text."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """What a handshake came to."""

    version: str
    cipher: str
    verified: bool
    """The certificate was valid for the name we asked for."""


class Stream:
    """One TCP connection; the one who called ``connect`` closes it.

    Not for two readers or two writers at a time.
    """

    def __init__(self, protocol: _StreamProtocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._transport = transport
        self.encryption: Encryption | None = None
        """``None`` until ``start_tls`` has returned."""
        self.address = join_host_port(*transport.get_extra_info("peername")[:2])
        """Address and port of the peer."""

    @property
    def is_quiet(self) -> bool:
        """Whether it is open, and nothing has come that nobody has read."""
        return self._protocol.is_quiet()

    async def read(self, timeout: float) -> bytes:
        """Wait for bytes from the peer; ``b""``: it has closed.

        Cancelling leaves the bytes for the next call.

        Raises:
            TimeoutError: nothing came within ``timeout`` seconds.
            ConnectionError: the connection broke.
        """
        return await self._protocol.read(timeout)

    async def write(self, data: bytes, timeout: float) -> None:
        """Send bytes; waits while the peer does not take what was sent before.

        Raises:
            TimeoutError: it did not within ``timeout`` seconds.
            ConnectionError: the connection broke.
        """
        self._protocol.check()
        self._transport.write(data)
        if self._protocol.is_full:
            async with asyncio.timeout(timeout):
                await self._protocol.wait_writable()

    async def start_tls(
        self, context: ssl.SSLContext, server_hostname: str, timeout: float
    ) -> None:
        """Encrypt; to be called once the peer's consent was read. On failure the stream is dead.

        Raises:
            BytesBeforeTls: something followed the consent in plain text.
            ssl.SSLError: no agreement, or a certificate that ``context`` refuses.
            TimeoutError: not within ``timeout`` seconds.
        """
        # Security: what an attacker puts behind the consent must not be read as if it came
        # encrypted. Reading stops first, so nothing can slip in between the look and TLS.
        self._transport.pause_reading()
        if self._protocol.has_unread():
            self._transport.abort()
            raise BytesBeforeTls("bytes in plain text before the TLS handshake")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout):
            encrypted = await loop.start_tls(
                self._transport, self._protocol, context, server_hostname=server_hostname
            )
        if encrypted is None:
            raise ConnectionResetError("the connection was closed in the TLS handshake")
        self._transport = encrypted
        self._protocol.use(encrypted)
        found = encrypted.get_extra_info("ssl_object")
        cipher = found.cipher()
        self.encryption = Encryption(
            found.version() or "?",
            cipher[0] if cipher else "?",
            context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname,
        )

    def peer_chain(self) -> tuple[bytes, ...]:
        """Return the certificates that the peer sent, DER, its own first; nobody verified them."""
        found = self._transport.get_extra_info("ssl_object")
        if found is None:
            return ()
        if hasattr(found, "get_unverified_chain"):  # Python 3.13
            return tuple(found.get_unverified_chain())
        chain = found._sslobj.get_unverified_chain() or ()  # the same, before it was public
        return tuple(ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in chain)

    def abort(self) -> None:
        """Cut the connection; what has not left is lost."""
        self._transport.abort()

    async def close(self, timeout: float = 1.0) -> None:
        """Close; waits shortly for the last bytes to leave, then cuts."""
        self._transport.close()
        try:
            async with asyncio.timeout(timeout):
                await self._protocol.wait_closed()
        except TimeoutError:
            self._transport.abort()


async def connect(
    host: str, port: int, *, timeout: float, source_address: str | None = None
) -> Stream:
    """Open a connection.

    Args:
        host: an IP address; names are the resolver's business.
        source_address: our own end; ``None``: the system chooses.

    Raises:
        TimeoutError: not within ``timeout`` seconds.
        OSError: refused, unreachable ...
    """
    loop = asyncio.get_running_loop()
    local = (source_address, 0) if source_address else None
    async with asyncio.timeout(timeout):
        transport, protocol = await loop.create_connection(
            _StreamProtocol, host, port, local_addr=local
        )
    return Stream(protocol, transport)


class _StreamProtocol(asyncio.Protocol):
    """Keeps what was read until somebody asks, and wakes who waits."""

    def __init__(self) -> None:
        self.is_full = False
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._paused = False
        self._eof = False
        self._lost = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._read_until = 0.0  # by the time of the loop
        self._writer: asyncio.Future[None] | None = None
        self._closed = asyncio.Event()

    def use(self, transport: Any) -> None:
        """Read from this transport from now on."""
        self._transport = transport
        self._paused = False

    def check(self) -> None:
        """Raise if nothing can be sent any more."""
        if self._error is not None:
            raise ConnectionResetError(str(self._error)) from self._error
        if self._lost:
            raise ConnectionResetError("the connection is closed")

    def has_unread(self) -> bool:
        """Return whether bytes wait that nobody has read."""
        return bool(self._unread)

    def is_quiet(self) -> bool:
        """Return whether it is open, and nobody has sent anything."""
        return not (self._unread or self._eof or self._lost)

    async def read(self, timeout: float) -> bytes:
        """Wait for bytes; ``b""`` at the end."""
        while not self._unread:
            if self._error is not None:
                raise ConnectionResetError(str(self._error)) from self._error
            if self._eof or self._lost:
                return b""
            loop = asyncio.get_running_loop()
            self._reader = loop.create_future()
            self._expect(loop, loop.time() + timeout)
            try:
                await self._reader
            finally:
                self._reader = None
        data = bytes(self._unread)
        self._unread.clear()
        if self._paused and self._transport is not None and not self._lost:
            self._paused = False
            self._transport.resume_reading()
        return data

    def _expect(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        """Let the reader wait until then.

        A connection has one timer, which looks when it ends whether it must go on: a timer for each
        read would cost more than the read.
        """
        self._read_until = until
        if self._timer is not None:
            if self._timer.when() <= until:
                return
            self._timer.cancel()
        self._timer = loop.call_at(until, self._end_wait)

    def _end_wait(self) -> None:
        self._timer = None
        if self._reader is None or self._reader.done():
            return
        loop = self._reader.get_loop()
        if self._read_until > loop.time():
            self._timer = loop.call_at(self._read_until, self._end_wait)
        else:
            self._reader.set_exception(TimeoutError())

    async def wait_writable(self) -> None:
        """Wait until what was sent has mostly left."""
        while self.is_full:
            self.check()
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None
        self.check()

    async def wait_closed(self) -> None:
        """Wait until the socket is closed."""
        await self._closed.wait()

    # ---- called by the transport ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        _wake(self._reader)
        if len(self._unread) > MAX_BUFFER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        _wake(self._reader)
        return False

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        _wake(self._writer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._error = exc
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        _wake(self._reader)
        _wake(self._writer)
        self._closed.set()


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
