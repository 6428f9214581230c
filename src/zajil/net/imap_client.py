"""A client of other IMAP servers: log-in, commands, and messages of any size. (RFC 3501, RFC 9051)

It waits for each answer, and reads a message piece by piece.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator

from zajil.core.errors import Refused
from zajil.imap.server_response import (
    BadServerResponse,
    ServerStatus,
    Value,
    read_status,
    read_values,
)
from zajil.net.imap_connection import (
    BodyLiteral,
    ConnectionLost,
    ImapConnection,
    ImapEndpoint,
    Security,
)
from zajil.sasl.client import BadChallenge, ClientMechanism

_MAX_ANSWER = 1 << 27
"""Bytes in memory of all responses to one command, without bodies."""
_RESPONSE_BYTES = 40
"""Of a response, beside its text."""


class ServerRefused(Refused):
    """The server answered NO or BAD.

    Attributes:
        status: its answer.
    """

    def __init__(self, status: ServerStatus) -> None:
        code = f"[{status.code}] " if status.code else ""
        super().__init__(f"{code}{status.text}".strip() or f"the server answered {status.word}")
        self.status = status

    @property
    def code(self) -> str:
        """Return the first word of the response code, in capitals."""
        return self.status.code.partition(" ")[0].upper()


class LoginRefused(Refused):
    """The server does not let the user in."""


class ImapClient:
    """One session; the one who made it closes it."""

    def __init__(self, endpoint: ImapEndpoint) -> None:
        """Connect, begin TLS, and learn what the server can do.

        Raises:
            CannotConnect, ConnectionLost: as ``ImapConnection``; also if the server refuses.
        """
        self._connection = ImapConnection(endpoint)
        self._number = 0
        self.capabilities: frozenset[str] = frozenset()
        self.untagged: list[bytes] = []
        """Responses to the last command, without the ``*``."""
        self._untagged_size = 0
        self.tells_uid_first = True
        """Whether a message comes with its UID in front of it, as far as is known."""
        try:
            greeting = read_status(self._read_untagged())
            if greeting is None or greeting.word not in ("OK", "PREAUTH"):
                text = "" if greeting is None else greeting.text
                raise ConnectionLost(f"the server refused the connection: {text}")
            self._ask_capabilities()
            if endpoint.security is Security.STARTTLS:
                try:
                    self.command(b"STARTTLS")
                except ServerRefused as error:
                    raise ConnectionLost(f"the server refused STARTTLS: {error}") from None
                self._connection.start_tls()
                self._ask_capabilities()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    # ---- log-in ---------------------------------------------------------------------------------

    def log_in(self, login: str, password: str, mechanisms: Iterable[ClientMechanism]) -> None:
        """Log in by the first mechanism that works, else by LOGIN.

        Raises:
            LoginRefused: none works.
            ConnectionLost: see there.
        """
        reasons = []
        for mechanism in mechanisms:
            try:
                self._authenticate(mechanism)
            except (ServerRefused, BadChallenge) as error:
                reasons.append(str(error))
                continue
            self._ask_capabilities()
            return
        if not reasons and "LOGINDISABLED" not in self.capabilities:
            try:
                self.command(b"LOGIN", login.encode("utf-8"), password.encode("utf-8"))
            except ServerRefused as error:
                raise LoginRefused(f"the server refused the log-in: {error}") from None
            self._ask_capabilities()
            return
        why = reasons[-1] if reasons else "it offers no way to log in that we have"
        raise LoginRefused(f"the server refused the log-in: {why}")

    def _authenticate(self, mechanism: ClientMechanism) -> None:
        first, words = mechanism.start(), [b"AUTHENTICATE", mechanism.name.encode("ascii")]
        if first is not None and "SASL-IR" in self.capabilities:
            words.append(b64encode(first) or b"=")
            first = None
        tag = self._begin(b" ".join(words) + b"\r\n")
        while True:
            data = self._connection.read_response()
            if not isinstance(data, bytes):
                raise ConnectionLost("the server sent a message instead of an answer")
            if data.startswith(b"+"):
                answer = first if first is not None else self._answer(mechanism, data)
                first = None
                self._connection.send(b64encode(answer) + b"\r\n")
            elif self._end_of(tag, data):
                break
        if not mechanism.is_complete:
            raise BadChallenge("the server did not prove that it knows the password")

    def _answer(self, mechanism: ClientMechanism, line: bytes) -> bytes:
        try:
            return mechanism.respond(b64decode(line[1:].strip(), validate=True))
        except (binascii.Error, ValueError):
            raise BadChallenge("the challenge is not base64") from None

    def _ask_capabilities(self) -> None:
        self.command(b"CAPABILITY")
        for data in self.untagged:
            words = data.decode("ascii", "replace").upper().split()
            if words[:1] == ["CAPABILITY"]:
                self.capabilities = frozenset(words[1:])

    # ---- commands -------------------------------------------------------------------------------

    def command(self, name: bytes, *strings: bytes, rest: bytes = b"") -> list[list[Value]]:
        """Send a command and wait for its end.

        Args:
            name: with arguments that are atoms.
            strings: arguments that are strings.
            rest: what stands behind them.

        Returns:
            The values of each untagged response that can be read.

        Raises:
            ServerRefused: NO or BAD.
            ConnectionLost: see there.
        """
        tag = self._begin(name)
        for one in strings:
            self._connection.send(b" ")
            self._send_string(one)
        self._connection.send((b" " + rest if rest else b"") + b"\r\n")
        return self._finish(tag)

    def append(
        self, mailbox: bytes, flags: bytes, date_time: bytes, size: int, pieces: Iterator[bytes]
    ) -> None:
        """Put a message into a mailbox. (RFC 3501 section 6.3.11)

        Args:
            mailbox: name on the wire.
            flags: in parentheses.
            date_time: quoted.
            size: of all pieces.
            pieces: with CRLF.

        Raises:
            ServerRefused: NO or BAD.
            ConnectionLost: see there; whether the message is there is not known.
            ValueError: the pieces have another size; the session is of no use any more.
        """
        tag = self._begin(b"APPEND ")
        self._send_string(mailbox)
        self._connection.send(b" " + flags + b" " + date_time + b" ")
        self._announce(size)
        sent = 0
        for piece in pieces:
            sent += len(piece)
            self._connection.send(piece)
        if sent != size:
            self.close()
            raise ValueError("a message has another size than was said")
        self._connection.send(b"\r\n")
        self._finish(tag)

    # ---- parts of commands, for ``imap_fetch`` --------------------------------------------------

    def start(self, text: bytes) -> bytes:
        """Send a command without waiting for anything; return its tag.

        Raises:
            ConnectionLost: see there.
        """
        self.untagged, self._untagged_size = [], 0
        return self._begin(text + b"\r\n")

    def read(self) -> bytes | BodyLiteral:
        """Return the next response, or what stands before the body of a message.

        Raises:
            ConnectionLost: see there.
        """
        return self._connection.read_response(streams=True)

    def end_body(self, body: BodyLiteral) -> None:
        """Read what is left of a body and of its response.

        Raises:
            ConnectionLost: see there.
        """
        body.drain()
        self._connection.read_response()

    def is_end(self, tag: bytes, data: bytes) -> bool:
        """Return whether a command has ended; keep what else comes in ``untagged``.

        Raises:
            ServerRefused: it ended with NO or BAD.
            ConnectionLost: the server says good-bye.
        """
        return self._end_of(tag, data)

    def finish(self, tag: bytes) -> None:
        """Wait for the end of a command.

        Raises:
            ServerRefused: it ended with NO or BAD.
            ConnectionLost: see there.
        """
        self._finish(tag)

    # ---- inside ---------------------------------------------------------------------------------

    def _begin(self, text: bytes) -> bytes:
        self._number += 1
        tag = b"Z%d" % self._number
        self._connection.send(tag + b" " + text)
        return tag

    def _send_string(self, value: bytes) -> None:
        if value.isascii() and not set(value) & set(b'\r\n\0"\\') and len(value) < 1000:
            self._connection.send(b'"' + value + b'"')
        else:
            self._announce(len(value))
            self._connection.send(value)

    def _announce(self, size: int) -> None:
        """Announce a literal, and wait where the server wants to be asked. (RFC 7888)"""
        is_plus = "LITERAL+" in self.capabilities
        if is_plus or ("LITERAL-" in self.capabilities and size <= 4096):
            self._connection.send(b"{%d+}\r\n" % size)
            return
        self._connection.send(b"{%d}\r\n" % size)
        while True:
            data = self._connection.read_response()
            if isinstance(data, bytes) and data.startswith(b"+"):
                return
            if isinstance(data, bytes):
                self._end_of(b"Z%d" % self._number, data)

    def _finish(self, tag: bytes) -> list[list[Value]]:
        self.untagged, self._untagged_size = [], 0
        while True:
            data = self._connection.read_response()
            if isinstance(data, bytes) and self._end_of(tag, data):
                return [values for one in self.untagged if (values := _values(one)) is not None]

    def _end_of(self, tag: bytes, data: bytes) -> bool:
        """Return whether a command has ended; keep what else comes.

        Raises:
            ServerRefused: it ended with NO or BAD.
            ConnectionLost: the server says good-bye.
        """
        begin, _, rest = data.partition(b" ")
        if begin == b"*":
            status = read_status(rest)
            if status is not None and status.word == "BYE":
                raise ConnectionLost(f"the server ended the session: {status.text}")
            self.untagged.append(rest)
            # Also of one without bytes: there may be endlessly many.
            self._untagged_size += len(rest) + _RESPONSE_BYTES
            if self._untagged_size > _MAX_ANSWER:
                raise ConnectionLost("the server sent too much at once")
            return False
        if begin != tag:
            return False
        status = read_status(rest)
        if status is None or status.word != "OK":
            raise ServerRefused(status or ServerStatus("BAD", "", "an answer that cannot be read"))
        return True

    def _read_untagged(self) -> bytes:
        data = self._connection.read_response()
        if not isinstance(data, bytes) or not data.startswith(b"* "):
            raise ConnectionLost("it is no IMAP server")
        return data[2:]


def _values(data: bytes) -> list[Value] | None:
    try:
        return read_values(data)
    except BadServerResponse:
        return None
