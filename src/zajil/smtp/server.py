"""The server's side of an SMTP connection, without I/O (RFC 5321).

Laws:
- Nothing a peer sends makes this raise, and the events do not depend on how its bytes were cut.
- One reply for each event, in order; a pipelined command waits until the reply before it is known
  (RFC 2920 section 3.2).
- The state changes by the tables of ``state`` alone.
- Anything that follows STARTTLS before the handshake is an attack (``has_pending_input``).
"""

from __future__ import annotations

from enum import Enum, auto

from zajil.smtp import refusals
from zajil.smtp.codes import Code
from zajil.smtp.command import (
    FOREIGN_VERB,
    Auth,
    AuthResponse,
    BodyChunk,
    BodyEnd,
    Command,
    CommandError,
    Data,
    Ehlo,
    Event,
    Mail,
    Quit,
    Rcpt,
    StartTls,
    decode_response,
    is_known_verb,
    parse_command,
)
from zajil.smtp.extensions import Offer
from zajil.smtp.lines import BodyReader
from zajil.smtp.reply import Reply
from zajil.smtp.state import ACCEPTED, REFUSED, State

MAX_REFUSALS = 50
"""Refusals kept for the events of a session; protects memory."""
_SHOWN_COMMAND = 200
"""Characters of a refused command that are kept."""


class Wait(Enum):
    """Why there is no event."""

    DATA = auto()
    """Call ``receive_data`` first."""
    REPLY = auto()
    """A reply is owed: call ``reply``. Pipelined commands stay buffered."""
    TLS = auto()
    """STARTTLS was accepted, and nothing came behind it: stop reading, send what is to send,
    shake hands, call ``tls_established``."""
    CLOSED = auto()
    """Send what is to send, then close; ``close_reason`` says why."""


class ServerConnection:
    """Turns bytes into events and replies into bytes, and keeps their order.

    The caller moves the bytes and decides what to answer::

        receive_data(b"...") -> next_event() -> reply(Reply(...)) -> data_to_send()
    """

    __slots__ = (
        "_at",
        "_body",
        "_ended",
        "_max_errors",
        "_offer",
        "_owed",
        "_received",
        "_smtputf8",
        "_to_send",
        "close_reason",
        "encrypted",
        "errors",
        "is_authenticated",
        "refusals",
        "state",
    )

    def __init__(
        self, offer: Offer, greeting: Reply, *, encrypted: bool = False, max_errors: int = 10
    ) -> None:
        self.state = State.START
        self.encrypted = encrypted
        self.errors = 0
        """Commands and recipients refused for good (5yz), by us or by the session."""
        self.is_authenticated = False
        self.refusals: list[tuple[str, Reply]] = []
        """What was refused here without asking the session: command and reply. The session takes
        them for its events and may clear the list."""
        self.close_reason = ""
        """Why the state is CLOSED: ``quit``, ``too many errors``, ``line too long`` ..."""
        self._offer = offer
        self._max_errors = max_errors
        self._received = b""
        self._at = 0  # everything before this offset of _received is used up
        self._to_send: list[bytes] = [greeting.to_bytes()]
        self._owed: Event | None = None  # the event whose reply is still owed
        self._body: BodyReader | None = None
        self._ended: BodyEnd | None = None  # to be given out after the last chunk
        self._smtputf8 = False  # MAIL of this transaction said SMTPUTF8

    def receive_data(self, data: bytes) -> None:
        """Buffer bytes from the network; ``next_event`` parses them."""
        if self._at == len(self._received):
            self._received = data
        else:
            self._received = self._received[self._at :] + data
        self._at = 0

    def data_to_send(self) -> bytes:
        """Return and forget the bytes that must now go to the network."""
        parts = self._to_send
        if not parts:
            return b""
        self._to_send = []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def pending_size(self) -> int:
        """Give the bytes that wait to be parsed; the caller stops reading above its limit."""
        return len(self._received) - self._at

    def has_pending_input(self) -> bool:
        """Tell whether bytes wait: after STARTTLS was accepted, somebody injected them.

        Security: commands put in plain text behind STARTTLS must not be taken for part of the
        encrypted session: CVE-2011-0411.
        """
        return self._at < len(self._received)

    def next_event(self) -> Event | Wait:
        """Return the next event, or why there is none.

        Never raises on what the peer sent: a refused line is answered here and the next one is
        looked at.
        """
        while True:
            if self._owed is not None:
                return Wait.REPLY
            state = self.state
            if state is State.BODY:
                return self._next_body_event()
            if state is State.CLOSED:
                return Wait.CLOSED
            if state is State.TLS:
                return self._wait_for_tls()
            line = self._take_line()
            if line is None:
                return self._wait_for_line()
            event = self._command_event(line)
            if event is not None:
                self._owed = event
                return event

    def reply(self, reply: Reply) -> None:
        """Answer the event that ``next_event`` returned last.

        A reply that accepts EHLO becomes the one that announces our extensions.

        Raises:
            RuntimeError: no reply is owed; the caller has lost step.
        """
        event, self._owed = self._owed, None
        if event is None:
            raise RuntimeError("no reply is owed")
        if type(event) is Ehlo and reply.code == Code.OK:
            reply = self._offer.ehlo_reply(self.encrypted)
        self._to_send.append(reply.to_bytes())
        code = reply.code
        if code < 400:
            self._accept(event, code)
            return
        if code == Code.NOT_AVAILABLE:  # RFC 5321 section 3.8
            self._end("closed by us")
            return
        self.state = REFUSED.get((self.state, type(event)), self.state)
        if code >= 500:
            self._count_error()

    def tls_established(self) -> None:
        """Begin anew, encrypted: nothing learned before counts (RFC 3207 section 4.2).

        Raises:
            RuntimeError: there is pending input; the connection should have been closed.
        """
        if self.has_pending_input():
            raise RuntimeError("bytes after STARTTLS")
        self.state = State.START
        self.encrypted = True
        self.is_authenticated = False
        self._smtputf8 = False

    def authenticated(self) -> None:
        """Refuse AUTH from now on (RFC 4954 section 4)."""
        self.is_authenticated = True

    def close(self, reply: Reply, reason: str = "closed by us") -> None:
        """Say 421 of our own accord and be CLOSED: time is up, or we shut down."""
        if self.state is not State.CLOSED:
            self._owed = None
            self._to_send.append(reply.to_bytes())
            self._end(reason)

    def in_transaction(self) -> bool:
        """Tell whether a mail is on its way in: between MAIL and the answer to its end."""
        return self.state in (State.MAIL, State.RCPT, State.BODY)

    # ---- lines ------------------------------------------------------------------------------

    def _take_line(self) -> bytes | None:
        received, at = self._received, self._at
        if at == len(received):
            return None
        end = received.find(b"\r\n", at)
        # Without an end, a CR may be its first half: -1.
        seen = (end if end >= 0 else len(received) - 1) - at
        if seen > self._offer.max_line and seen > self._line_limit(received[at : at + 5]):
            self._refuse(
                "(a line too long)",
                refusals.AUTH_TOO_LONG if self._in_auth() else refusals.TOO_LONG,
            )
            self._end("line too long")
            return None
        if end < 0:
            return None
        self._at = end + 2
        return received[at:end]

    def _wait_for_tls(self) -> Wait:
        if not self.has_pending_input():
            return Wait.TLS
        self._end("bytes after STARTTLS")
        return Wait.CLOSED

    def _wait_for_line(self) -> Wait:
        return Wait.CLOSED if self.state is State.CLOSED else Wait.DATA

    def _in_auth(self) -> bool:
        return self.state is State.AUTH

    def _line_limit(self, start: bytes) -> int:
        if self._in_auth() or start.upper() == b"AUTH ":
            return self._offer.max_auth_line
        return self._offer.max_line

    def _command_event(self, line: bytes) -> Command | None:
        """Parse and judge a line; ``None``: it was refused here."""
        try:
            if self.state is State.AUTH:
                return AuthResponse(None if line == b"*" else decode_response(line))
            command = parse_command(line)
        except CommandError as error:
            self._refuse_line(line, error.reply)
            return None
        kind = type(command)
        reply = None
        if kind in _JUDGED:
            reply = self._judge(command)
        if reply is None and (self.state, kind) not in ACCEPTED:
            reply = _BAD_SEQUENCE.get((self.state, kind), refusals.OUT_OF_ORDER)
        if reply is None:
            return command
        self._refuse_line(line, reply)
        return None

    def _judge(self, command: Command) -> Reply | None:
        """Say what our offer forbids; ``None``: nothing."""
        offer = self._offer
        if isinstance(command, Mail):
            if command.smtputf8 and not offer.smtputf8:
                return refusals.UNKNOWN_PARAMETER
            if (command.declared_size or 0) > offer.max_message_size:
                return refusals.TOO_BIG
        elif isinstance(command, Rcpt):
            if command.needs_smtputf8 and not self._smtputf8 and self.state in _TRANSACTION:
                return refusals.NEEDS_SMTPUTF8
        elif isinstance(command, StartTls):
            if self.encrypted:
                return refusals.ALREADY_ENCRYPTED
            if not offer.starttls:
                return refusals.NOT_DONE
        elif isinstance(command, Auth):
            return self._judge_auth(command)
        return None

    def _judge_auth(self, command: Auth) -> Reply | None:
        if not self._offer.auth_mechanisms:
            return refusals.NOT_DONE
        if not self.encrypted:
            return refusals.ENCRYPT_FIRST
        if self.is_authenticated:
            return refusals.ALREADY_AUTHENTICATED
        if command.mechanism not in self._offer.auth_mechanisms:
            return refusals.UNKNOWN_MECHANISM
        return None

    def _refuse_line(self, line: bytes, reply: Reply) -> None:
        if self.state is State.AUTH:
            # RFC 4954 section 4: what is not base64 ends the exchange.
            self.state = State.READY
            self._refuse("AUTH response", reply)
        elif FOREIGN_VERB.match(line):
            self._refuse("(not SMTP)", reply)
            self._end("not SMTP")
        else:
            self._refuse(_describe(line), reply)

    def _refuse(self, command: str, reply: Reply) -> None:
        if len(self.refusals) < MAX_REFUSALS:
            self.refusals.append((command, reply))
        self._to_send.append(reply.to_bytes())
        self._count_error()

    def _count_error(self) -> None:
        self.errors += 1
        if self.errors >= self._max_errors and self.state is not State.CLOSED:
            self._to_send.append(refusals.TOO_MANY_ERRORS.to_bytes())
            self._end("too many errors")

    def _end(self, reason: str) -> None:
        if self.state is not State.CLOSED:
            self.state = State.CLOSED
            self.close_reason = reason

    # ---- replies and the message -------------------------------------------------------------

    def _accept(self, event: Event, code: int) -> None:
        kind = type(event)
        if code == Code.AUTH_CHALLENGE:
            self.state = State.AUTH
            return
        if kind is Quit:
            self._end("quit")
            return
        self.state = ACCEPTED[self.state, kind]
        if self.state is State.BODY:
            self._body = BodyReader(self._offer.max_message_size)
        elif isinstance(event, Mail):
            self._smtputf8 = event.smtputf8

    def _next_body_event(self) -> Event | Wait:
        if self._ended is not None:
            self._owed, self._ended, self._body = self._ended, None, None
            return self._owed
        if self._body is None or self._at == len(self._received):
            return Wait.DATA
        data = self._received[self._at :] if self._at else self._received
        chunk, rest = self._body.read(data)
        self._received, self._at = rest or b"", 0
        if rest is not None:
            self._ended = BodyEnd(self._body.size, self._body.defect)
        if chunk:
            return BodyChunk(chunk)
        return self._next_body_event()


def _describe(line: bytes) -> str:
    """Give what may be shown of a refused line.

    Security: a line that is no command may be a password that lost its way, so only verbs we know
    are shown, and of AUTH nothing else.
    """
    verb = line[:9].partition(b" ")[0].decode("ascii", "replace").upper()
    if not is_known_verb(verb):
        return f"(unknown command of {len(line)} bytes)"
    if verb == "AUTH":
        return "AUTH"
    text = line[:_SHOWN_COMMAND].decode("utf-8", "replace")
    return "".join([char if char.isprintable() else "?" for char in text])


_JUDGED = frozenset((Mail, Rcpt, StartTls, Auth))
_TRANSACTION = (State.MAIL, State.RCPT)

_BAD_SEQUENCE: dict[tuple[State, type[Event]], Reply] = {
    **{(State.START, kind): refusals.EHLO_FIRST for kind in (Mail, Rcpt, Data, Auth, StartTls)},
    **{(State.READY, kind): refusals.MAIL_FIRST for kind in (Rcpt, Data)},
    (State.MAIL, Mail): refusals.NESTED_MAIL,
    (State.RCPT, Mail): refusals.NESTED_MAIL,
    (State.MAIL, Data): refusals.NO_RECIPIENTS,
}
