"""The server's end of a TLS connection, without I/O.

The caller moves the bytes::

    receive(b"...") -> bytes of the peer; send(b"...") -> bytes for the network

The loop's own TLS is not used: for each connection it makes a transport, a protocol, a task and
two timers, and reads into 256 KiB.
"""

from __future__ import annotations

import ssl
from contextlib import suppress

_RECORD = 16384
"""Octets of the largest record."""


class TlsChannel:
    """Encrypts and decrypts one connection; begins with the handshake."""

    __slots__ = ("_incoming", "_object", "_outgoing", "is_closed", "is_established")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.is_established = False
        """The handshake is complete."""
        self.is_closed = False
        """The peer has said that it sends nothing more (close_notify)."""

    def receive(self, data: bytes) -> bytes:
        """Return what the peer sent; there may be something ``to_send`` afterwards.

        Raises:
            ssl.SSLError: the handshake failed, or a record is not authentic. An alert waits to be
                sent, and nothing else may be.
        """
        incoming, read = self._incoming, self._object.read
        incoming.write(data)
        parts: list[bytes] = []
        with suppress(ssl.SSLWantReadError):
            if not self.is_established:
                self._object.do_handshake()
                self.is_established = True
            # Of a record that came in pieces, OpenSSL holds more than the last piece has.
            while pending := incoming.pending or self._object.pending():
                # As many bytes are allocated as are asked for.
                part = read(min(pending, _RECORD))
                if not part:
                    self.is_closed = True
                    break
                parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def send(self, data: bytes) -> bytes:
        """Return the encrypted form of ``data``, behind everything that waits to be sent."""
        self._encrypt(data)
        return self._outgoing.read()

    def to_send(self) -> bytes:
        """Return and forget the bytes that must now go to the network."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def close(self, last: bytes = b"") -> bytes:
        """Return the encrypted form of our last words and our close_notify, behind everything that
        waits to be sent."""
        if self.is_established:
            if last:
                self._encrypt(last)
            with suppress(ssl.SSLError):  # it does not wait for that of the peer
                self._object.unwrap()
        return self.to_send()

    def version_and_cipher(self) -> tuple[str, str]:
        """Return the names of what the handshake agreed on: ``TLSv1.3``, ``TLS_AES_...``."""
        cipher = self._object.cipher()
        return self._object.version() or "?", cipher[0] if cipher else "?"

    def _encrypt(self, data: bytes) -> None:
        count = self._object.write(data)
        while count < len(data):  # OpenSSL takes one record at a time
            count += self._object.write(memoryview(data)[count:])
