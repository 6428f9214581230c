"""A connection to another IMAP server: lines, literals and TLS, piece by piece.

For programs without an event loop: each call waits. What fails in the world is ``ConnectionLost``.
"""

from __future__ import annotations

import hashlib
import io
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterator
from enum import Enum
from typing import Protocol, cast

from zajil.core.errors import Unavailable
from zajil.core.value_class import value_class

MAX_LINE = 1 << 25
"""Bytes of a line: the numbers of four million messages in an answer to SEARCH."""
MAX_RESPONSE = 1 << 25
"""Bytes of a response with its literals, except of those that are streamed."""
MAX_BODY = 1 << 31
"""Bytes of a message that are read."""
_PIECE = 262_144
_LITERAL = re.compile(rb"~?\{([0-9]{1,15})\+?\}\r?\n\Z")
_BODY = re.compile(rb"[( ]BODY\[\](?:<[0-9]+>)? ~?\{([0-9]{1,15})\+?\}\r?\n\Z", re.IGNORECASE)


class ConnectionLost(Unavailable):
    """The connection failed, or was closed; another one may work."""


class CannotConnect(Unavailable):
    """It is of no use to try again: an unknown host, a certificate that is not valid."""


class Security(Enum):
    """How a connection is protected."""

    IMPLICIT = "implicit"
    """TLS from the first byte, port 993. (RFC 8314)"""
    STARTTLS = "starttls"
    NONE = "none"
    """Only to this computer."""


@value_class(frozen=True, slots=True, kw_only=True)
class ImapEndpoint:
    """A server, and how it is spoken to."""

    host: str
    port: int
    security: Security
    context: ssl.SSLContext
    pin: str = ""
    """SHA-256 in hex of the one certificate that is accepted, without further checks; ``""``:
    it must be valid for the host."""
    timeout: float = 120.0
    """Seconds to wait for each answer."""


class BodyLiteral:
    """The body of a message that comes; it is to be read before anything else is."""

    def __init__(self, connection: ImapConnection, before: bytes, size: int) -> None:
        self.before = before
        """The response up to the literal."""
        self.size = size
        self._connection = connection
        self._left = size

    def pieces(self) -> Iterator[bytes]:
        """Yield what was not read yet.

        Raises:
            ConnectionLost: before its end.
        """
        while self._left:
            piece = self._connection.read_exactly(min(self._left, _PIECE))
            self._left -= len(piece)
            yield piece

    def drain(self) -> None:
        """Read the rest and forget it."""
        for _ in self.pieces():
            pass


class MessageBody(Protocol):
    """The bytes of a message, to be read before the next one is asked for."""

    def pieces(self) -> Iterator[bytes]:
        """Yield what was not read yet."""


class WholeBody:
    """A message that came as a quoted string, or an empty one."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def pieces(self) -> Iterator[bytes]:
        """Yield it."""
        content, self._content = self._content, b""
        if content:
            yield content


class ImapConnection:
    """One connection; the one who made it closes it."""

    def __init__(self, endpoint: ImapEndpoint) -> None:
        """Connect, with TLS if that comes first.

        Raises:
            CannotConnect: see there.
            ConnectionLost: nobody answers.
        """
        self._endpoint = endpoint
        try:
            self._socket = socket.create_connection(
                (endpoint.host, endpoint.port), endpoint.timeout
            )
        except socket.gaierror:
            raise CannotConnect(f"there is no host {endpoint.host}") from None
        except (OSError, UnicodeError) as error:
            raise ConnectionLost(f"cannot connect to {_name(endpoint)}: {error}") from None
        # A command goes out in parts; the second one must not wait until the first one has arrived.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if endpoint.security is Security.NONE and not self._is_local():
                raise CannotConnect(
                    f"{endpoint.host} is another computer: a password is not sent there in the "
                    "clear; use --tls implicit or --tls starttls"
                )
            if endpoint.security is Security.IMPLICIT:
                self._start_tls()
            else:
                self._file = self._make_file()
        except BaseException:
            self._socket.close()
            raise

    def start_tls(self) -> None:
        """Begin TLS after the server agreed.

        Raises:
            CannotConnect: the certificate is not valid.
            ConnectionLost: the handshake failed, or something came in the clear before it.
        """
        # Security: what somebody put behind the answer to STARTTLS must not count as the server's.
        self._socket.setblocking(False)
        try:
            if self._file.peek(1):
                raise ConnectionLost("bytes came in the clear before TLS")
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {error}") from None
        self._socket.settimeout(self._endpoint.timeout)
        self._start_tls()

    def send(self, data: bytes) -> None:
        """Write bytes.

        Raises:
            ConnectionLost: it failed.
        """
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {error}") from None

    def read_exactly(self, size: int) -> bytes:
        """Read so many bytes.

        Raises:
            ConnectionLost: before they came.
        """
        try:
            data = self._file.read(size)
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {error}") from None
        if len(data) < size:
            raise ConnectionLost("the server closed the connection")
        return data

    def read_response(self, begun: bytes = b"", *, streams: bool = False) -> bytes | BodyLiteral:
        """Read a response: its lines and literals; or up to the body of a message.

        Args:
            begun: what was read of it already.
            streams: stop before the literal of ``BODY[]``.

        Raises:
            ConnectionLost: see there; also if the server sends too much.
        """
        data = bytearray(begun)
        while True:
            data += self._read_line()
            if streams and (found := _BODY.search(data[-100:])):
                size = int(found[1])
                if size > MAX_BODY:
                    raise ConnectionLost(f"the server announced a message of {size} bytes")
                return BodyLiteral(self, bytes(data), size)
            found = _LITERAL.search(data[-30:])
            if found is None:
                return bytes(data)
            if len(data) + int(found[1]) > MAX_RESPONSE:
                raise ConnectionLost("the server sent too much at once")
            data += self.read_exactly(int(found[1]))

    def close(self) -> None:
        """Close it."""
        try:
            self._file.close()
            self._socket.close()
        except OSError:
            pass

    def _is_local(self) -> bool:
        address = str(self._socket.getpeername()[0]).partition("%")[0]
        return ipaddress.ip_address(address).is_loopback

    def _start_tls(self) -> None:
        endpoint = self._endpoint
        try:
            wrapped = endpoint.context.wrap_socket(self._socket, server_hostname=endpoint.host)
        except ssl.SSLCertVerificationError as error:
            raise CannotConnect(
                f"the certificate of {_name(endpoint)} is not valid: {error.verify_message} (to "
                "accept it anyway, give its fingerprint with --certificate-sha256)"
            ) from None
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"TLS with {_name(endpoint)} failed: {error}") from None
        self._socket = wrapped
        if endpoint.pin:
            found = hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").hexdigest()
            if found != endpoint.pin:
                raise CannotConnect(f"{_name(endpoint)} has another certificate: SHA-256 {found}")
        self._file = self._make_file()

    def _make_file(self) -> io.BufferedReader:
        return cast("io.BufferedReader", self._socket.makefile("rb", _PIECE))

    def _read_line(self) -> bytes:
        try:
            line = self._file.readline(MAX_LINE)
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {error}") from None
        if not line.endswith(b"\n"):
            too_long = len(line) >= MAX_LINE
            raise ConnectionLost(
                "the server sent too long a line"
                if too_long
                else "the server closed the connection"
            )
        return line


def _name(endpoint: ImapEndpoint) -> str:
    return f"{endpoint.host} port {endpoint.port}"
