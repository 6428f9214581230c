"""The server's side of an SMTP connection, without I/O (RFC 5321).

Laws:
- Nothing a peer sends makes this raise, and the events do not depend on how its bytes were cut.
- One reply for each event, in order; a pipelined command waits until the reply before it is known
  (RFC 2920 section 3.2).
- The state changes by the tables of ``state`` alone.
- Anything that follows STARTTLS before the handshake is an attack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zajil.core.line_engine import LineBuffer, LineTooLong, Wait
from zajil.smtp import refusals
from zajil.smtp.body import MAX_SWALLOWED, BodyReader, ChunkReader
from zajil.smtp.codes import Code
from zajil.smtp.command import (
    AuthResponse,
    Bdat,
    BodyChunk,
    BodyEnd,
    Command,
    Data,
    Ehlo,
    Event,
    Lhlo,
    Mail,
    Quit,
    Rcpt,
    Xclient,
)
from zajil.smtp.command_line import decode_response, describe, parse_command, reason_to_end
from zajil.smtp.extensions import Capabilities
from zajil.smtp.preconditions import PRECONDITIONS, wrong_order
from zajil.smtp.refusals import CommandError
from zajil.smtp.reply import Reply, ReplyEach
from zajil.smtp.reply_queue import ReplyQueue
from zajil.smtp.state import ACCEPTED, IN_BODY, IN_TRANSACTION, REFUSED, SmtpState

# Python 3.11 looks a member of an enumeration up in 130 ns, a name in 30.
_START, _READY, _AUTH = SmtpState.START, SmtpState.READY, SmtpState.AUTH
_TLS, _CLOSED = SmtpState.TLS, SmtpState.CLOSED
_NO_LINES = IN_BODY | {_TLS, _CLOSED}
_AUTH_CHALLENGE, _NOT_AVAILABLE = int(Code.AUTH_CHALLENGE), int(Code.NOT_AVAILABLE)
_DATA, _REPLY = Wait.DATA, Wait.REPLY


class ServerConnection(ReplyQueue):
    """Turns bytes into events and replies into bytes, and keeps their order.

    The caller moves the bytes and decides what to answer::

        receive_data(b"...") -> next_event() -> reply(Reply(...)) -> data_to_send()
    """

    __slots__ = (
        "_body",
        "_input",
        "_last_command",
        "_permitted",
        "commands",
        "encrypted",
        "is_authenticated",
        "mails",
        "offer",
        "recipients",
        "smtputf8",
    )

    def __init__(
        self,
        offer: Capabilities,
        greeting: Reply,
        *,
        encrypted: bool = False,
        max_errors: int = 10,
        max_commands: int = 0,
    ) -> None:
        super().__init__(greeting, max_errors)
        self.offer = offer
        self.encrypted = encrypted
        self.commands = 0
        """Lines so far; above ``max_commands`` (0: no limit) the connection ends."""
        self.mails = 0
        """MAIL accepted in this session."""
        self.recipients = 0
        """RCPT accepted in this transaction, the same address twice counted twice."""
        self.smtputf8 = False
        """MAIL of this transaction said SMTPUTF8."""
        self.is_authenticated = False
        """Set by the session after a log-in: AUTH is refused from then on (RFC 4954 section 4)."""
        self._last_command = max_commands and max_commands + 1  # 0 is never reached
        self._permitted = offer.permitted(encrypted)
        self._input = LineBuffer()
        self._body: BodyReader | ChunkReader | None = None  # from DATA or the first BDAT on

    def receive_data(self, data: bytes) -> None:
        """Buffer bytes from the network for ``next_event``; once CLOSED they are dropped."""
        if self.state is not _CLOSED or not self._input:
            self._input.add(data)

    def pending_size(self) -> int:
        """Return the number of octets that wait to be parsed; above a limit the caller stops
        reading. After STARTTLS was accepted, somebody injected them.

        Security: commands put in plain text behind STARTTLS must not be taken for part of the
        encrypted session: CVE-2011-0411.
        """
        return len(self._input)

    def next_event(self) -> Event | Wait:
        """Return the next event, or why there is none. Refused lines are answered here."""
        while True:
            if self._owed is not None:
                return _REPLY
            if self.state in _NO_LINES:
                return self._without_line()
            line = self._take_line()
            if line is None:
                return Wait.CLOSED if self.state is _CLOSED else _DATA
            event = self._command_event(line)
            if event is not None:
                self._owed = event
                return event

    def reply(self, reply: Reply | ReplyEach) -> None:
        """Answer the event that ``next_event`` returned last.

        A reply that accepts EHLO becomes the one that announces our extensions. LMTP: the answer
        to a ``BodyEnd`` is sent once for each recipient.

        Raises:
            RuntimeError: no reply is owed; the caller has lost step.
        """
        if isinstance(reply, ReplyEach):
            self.reply_each(reply.replies)
            return
        event, self._owed = self._owed, None
        if event is None:
            raise RuntimeError("no reply is owed")
        kind, code = type(event), reply.code
        if code == _NOT_AVAILABLE:  # RFC 5321 section 3.8
            self.close(reply)
            return
        if (kind is Ehlo or kind is Lhlo) and code < 400:
            reply = self.offer.ehlo_reply(self.encrypted)
        if kind is BodyEnd and self.offer.lmtp:
            self._to_send += [reply.to_bytes()] * self.recipients
        else:
            self._to_send.append(reply.to_bytes())
        if code < 400:
            self._accept(event, kind, code)
            return
        self.state = REFUSED.get((self.state, kind), self.state)
        if code >= 500:
            self._count_error()

    def reply_each(self, replies: Sequence[Reply]) -> None:
        """Answer a ``BodyEnd``, in LMTP with a reply for each recipient (RFC 2033 section 4.2).

        Args:
            replies: as many as ``recipients``, in the order of the accepted RCPTs; whoever was
                accepted twice is answered twice. One where LMTP is not spoken.

        Raises:
            RuntimeError: another event is to be answered, or the count is wrong.
        """
        event, self._owed = self._owed, None
        count = self.recipients if self.offer.lmtp else 1
        if type(event) is not BodyEnd or len(replies) != count:
            raise RuntimeError("a reply for each accepted recipient of a message is owed")
        self._to_send += [reply.to_bytes() for reply in replies]
        self.state = ACCEPTED[self.state, BodyEnd]
        if all(reply.code >= 500 for reply in replies):
            self._count_error()
        elif any([reply.accepts for reply in replies]):
            self.errors = 0

    def tls_established(self) -> None:
        """Begin anew, encrypted: nothing learned before counts (RFC 3207 section 4.2).

        Raises:
            RuntimeError: there is pending input; the connection should have been closed.
        """
        if self._input:
            raise RuntimeError("bytes after STARTTLS")
        self.encrypted = True
        self.restart(self.offer)

    def restart(self, offer: Capabilities) -> None:
        """Begin anew, as 220 to XCLIENT does by itself; errors and commands stay counted."""
        self.state = _START
        self.offer = offer
        self._permitted = offer.permitted(self.encrypted)
        self.is_authenticated = False
        self.smtputf8 = False

    def in_transaction(self) -> bool:
        """Whether a mail is on its way in: between MAIL and the reply to its end."""
        return self.state in IN_TRANSACTION

    # ---- lines ------------------------------------------------------------------------------

    def _take_line(self) -> bytes | None:
        if self._input.to_skip and not self._skip_chunk():
            return None
        try:
            line = self._input.take_line(self.offer.max_line)
        except LineTooLong as error:
            line = self._take_long_line(error.start)
        if line is None:
            return None
        self.commands += 1
        if self.commands == self._last_command:
            self.close(refusals.TOO_MANY_COMMANDS, "too many commands")
            return None
        return line

    def _take_long_line(self, start: bytes) -> bytes | None:
        in_auth = self.state is _AUTH
        if in_auth or start[:5].upper() == b"AUTH ":
            try:
                return self._input.take_line(self.offer.max_auth_line)
            except LineTooLong:
                pass
        self._refuse("(a line too long)", refusals.AUTH_TOO_LONG if in_auth else refusals.TOO_LONG)
        self._end("line too long")
        return None

    def _without_line(self) -> Event | Wait:
        if self._body is not None and self.state in IN_BODY:
            received = self._input
            event, received.at = self._body.next_event(received.data, received.at)
            if event is None:
                return _DATA
            if type(event) is not BodyChunk:
                self._owed = event
            return event
        if self.state is _TLS and not self._input:
            return Wait.TLS
        self._end("bytes after STARTTLS")  # unless it has ended before
        return Wait.CLOSED

    def _command_event(self, line: bytes) -> Command | None:
        """Parse a line and check its preconditions; ``None``: refused here, or a chunk begins."""
        try:
            if self.state is _AUTH:
                return AuthResponse(None if line == b"*" else decode_response(line))
            command = parse_command(line, self._permitted)
        except CommandError as error:
            self._refuse_line(line, error.reply)
            return None
        kind = type(command)
        check = PRECONDITIONS.get(kind)
        reply = check(self, command) if check is not None else None
        if reply is None and (self.state, kind) not in ACCEPTED:
            reply = wrong_order(self.state, kind)
        if reply is not None:
            self._refuse_line(line, reply)
            if isinstance(command, Bdat):
                self._input.to_skip = command.size
        elif isinstance(command, Bdat):
            self._begin_chunk(command)
        else:
            return command
        return None

    def _refuse_line(self, line: bytes, reply: Reply) -> None:
        if self.state is _AUTH:
            # RFC 4954 section 4: what is not base64 ends the exchange.
            self.state = _READY
            self._refuse("AUTH response", reply)
            return
        self._refuse(describe(line), reply)
        if reason := reason_to_end(line, reply):
            self._end(reason)

    # ---- replies and the message -------------------------------------------------------------

    def _accept(self, event: Event, kind: type[Event], code: int) -> None:
        if code == _AUTH_CHALLENGE:
            self.state = _AUTH
            return
        if kind is Quit:
            self._end("quit")
            return
        self.state = ACCEPTED[self.state, kind]
        if kind is Rcpt:
            self.recipients += 1
        elif kind is BodyEnd:
            self.errors = 0
        elif isinstance(event, Mail):
            self.smtputf8 = event.smtputf8
            self.mails += 1
            self.recipients = 0
            self._body = None
        elif kind is Data:
            self._body = BodyReader(self.offer.max_message_size, self.offer.bare_line_ends)
        elif isinstance(event, Xclient):
            # Security: a proxy may pass on whatever its client says (nginx does), and the client
            # must not speak for somebody else in its turn.
            is_told = event.address is not None or event.login is not None
            self.restart(replace(self.offer, xclient=False) if is_told else self.offer)

    def _begin_chunk(self, command: Bdat) -> None:
        if not isinstance(self._body, ChunkReader):
            self._body = ChunkReader(self.offer.max_message_size, self.offer.bare_line_ends)
        self._input.to_skip = self._body.begin(command)
        self.state = ACCEPTED[self.state, Bdat]

    def _skip_chunk(self) -> bool:
        if self._input.to_skip > self.offer.max_message_size * MAX_SWALLOWED:
            self._end("refused chunk too big")
            return False
        return self._input.skip()
