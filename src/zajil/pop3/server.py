"""The engine: bytes of a client to typed commands, and our answers to bytes. (RFC 1939)

Laws:
- One command is answered at a time; what the client pipelines stays buffered until ``reply``.
- Never raises on what the client sent; a refused command is answered here, and so is each that
  needs no mailbox.
- Only CRLF ends a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from zajil.core.line_engine import End, LineBuffer, LineTooLong, Wait
from zajil.core.value_class import value_class
from zajil.pop3 import command as c
from zajil.pop3.reply import Answer, Continuation, StatusLine, error, lines
from zajil.pop3.texts import DEFAULT_LANGUAGE, LANGUAGES, Text, find_language

LAST_WORDS: Mapping[End, StatusLine] = {
    End.TOO_MANY: error(Text.TOO_MANY, "SYS/TEMP"),
    End.SHUTDOWN: error(Text.SHUTDOWN, "SYS/TEMP"),
    End.IDLE: error(Text.IDLE),
    End.EARLY: error(Text.EARLY),
    End.FAULT: error(Text.FAULT, "SYS/TEMP"),
    End.CREDENTIALS: error(Text.CREDENTIALS),
}
"""What is sent before a connection is closed."""


class Pop3State(Enum):
    """Where a session is. UPDATE is the time until QUIT is answered."""

    AUTHORIZATION = "authorization"
    TRANSACTION = "transaction"
    CLOSED = "closed"


@value_class(frozen=True, slots=True)
class Pop3InputLimits:
    """What one client may cost us."""

    max_line: int = 512
    """Octets of a command; RFC 2449 section 4 demands 255."""
    max_auth_line: int = 12_288
    """Of AUTH with an initial response, and of the answer to a challenge."""
    max_errors: int = 50
    """Refused commands before the connection is closed; one that succeeds starts the count anew."""
    max_errors_before_login: int = 25
    """In all, whatever succeeds between them."""


@value_class(frozen=True, slots=True)
class Offer:
    """What a listener offers."""

    hostname: str
    stls: bool
    """While the connection is in the clear."""
    mechanisms: tuple[str, ...]
    """Of SASL, once it is encrypted."""


class _Reading(Enum):
    """What the next bytes of the client are."""

    LINE = auto()
    CHALLENGED = auto()
    TLS = auto()  # nothing may come in the clear


_LOG_IN = (c.PasswordLogin, c.AuthCommand, c.ChallengeResponse)
_STRANGERS = (c.Stls, c.User, c.Pass, c.AuthCommand, c.AuthList, c.Utf8)
"""Commands of the AUTHORIZATION state alone."""
_ANYBODYS = (c.Capa, c.Lang, c.QuitCommand)
"""Commands of both states."""


class Pop3ServerConnection:
    """Turns bytes into events and answers into bytes, and keeps their order.

    The caller moves the bytes and decides what to answer::

        receive_data(b"...") -> next_event() -> send(b"...") -> reply(StatusLine(...))
    """

    __slots__ = (
        "_errors",
        "_input",
        "_is_midway",
        "_limits",
        "_offer",
        "_owed",
        "_pending",
        "_reading",
        "_to_send",
        "_user",
        "_utf8",
        "close_reason",
        "encrypted",
        "language",
        "state",
    )

    def __init__(self, offer: Offer, limits: Pop3InputLimits, *, encrypted: bool = False) -> None:
        self.encrypted = encrypted
        self.state = Pop3State.AUTHORIZATION
        self.close_reason = ""
        """Why the state is CLOSED: ``quit``, ``too many errors``, ``timeout`` ..."""
        self.language = DEFAULT_LANGUAGE
        """Of the texts (RFC 6856 section 3)."""
        self._offer = offer
        self._limits = limits
        self._input = LineBuffer()
        self._reading = _Reading.LINE
        self._pending: c.Event | None = None  # whose answer is owed
        self._owed = False
        self._errors = 0
        self._user: str | None = None  # of USER, for the PASS that follows
        self._utf8 = False
        self._is_midway = False  # part of an answer was sent
        self._to_send = [greeting(offer)]

    # ---- the caller's side ------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Buffer bytes from the network; ``next_event`` parses them."""
        if self.state is not Pop3State.CLOSED:
            self._input.add(data)

    def pending_size(self) -> int:
        """Return the number of octets received and not yet parsed; above a limit the caller stops
        reading."""
        return len(self._input)

    def data_to_send(self) -> bytes:
        """Return and forget the bytes that must now go to the network."""
        parts, self._to_send = self._to_send, []
        return b"".join(parts)

    def unsent_size(self) -> int:
        """Return the number of octets that wait for ``data_to_send``."""
        return sum(map(len, self._to_send))

    def send(self, data: bytes) -> None:
        """Send a piece of an answer with several lines."""
        self._is_midway = True
        self._to_send.append(data)

    def tls_established(self) -> None:
        """Begin to read again; the connection is encrypted from here on.

        Raises:
            RuntimeError: there is pending input; the connection should have been closed.
        """
        if self._input:
            raise RuntimeError("bytes after STLS")
        self.encrypted = True
        self._reading = _Reading.LINE
        # RFC 2595 section 4: what was learned in the clear is forgotten.
        self._user, self.language = None, DEFAULT_LANGUAGE

    def reply(self, answer: Answer) -> None:
        """Answer the event that ``next_event`` returned last.

        Raises:
            RuntimeError: no answer is owed; the caller has lost step.
        """
        event = self._pending
        if event is None or not self._owed:
            raise RuntimeError("no answer is owed")
        self._owed = self._is_midway = False
        if isinstance(answer, Continuation):
            self._reading = _Reading.CHALLENGED
            self._to_send.append(answer.to_bytes())
            return
        self._pending = None
        if not isinstance(answer, StatusLine):
            self._to_send.append(answer.data)
            return
        self._say(answer)
        if isinstance(event, _LOG_IN) and answer.ok:
            self.state = Pop3State.TRANSACTION
        elif isinstance(event, c.QuitCommand):
            # Whether the messages could be deleted or not (RFC 1939 section 6).
            self._shut("quit")

    def end(self, end: End, reason: str = "") -> None:
        """Close for a reason that every protocol has: idle for too long, shutdown ...

        Args:
            reason: for the log, where it says more than ``end``.
        """
        self._close(LAST_WORDS[end], reason or end.value)

    # ---- reading ----------------------------------------------------------------------------

    def next_event(self) -> c.Event | Wait:
        """Return the next event, or why there is none."""
        while True:
            if self.state is Pop3State.CLOSED:
                return Wait.CLOSED
            if self._owed:
                return Wait.REPLY
            if self._reading is _Reading.TLS:
                if not self._input:
                    return Wait.TLS
                self._close(error(Text.BYTES_AFTER_STLS), "bytes after STLS")
                continue
            line = self._take_line()
            if line is None:
                return Wait.CLOSED if self.close_reason else Wait.DATA
            event = self._read(line)
            if event is not None:
                self._pending, self._owed = event, True
                return event

    def _take_line(self) -> bytes | None:
        buffer, limit = self._input, self._limits.max_line
        if (
            self._reading is _Reading.CHALLENGED
            or buffer.data[buffer.at : buffer.at + 5].upper() == b"AUTH "
        ):
            limit = self._limits.max_auth_line
        try:
            return buffer.take_line(limit)
        except LineTooLong:
            self._close(error(Text.LINE_TOO_LONG), "line too long")
            return None

    def _read(self, line: bytes) -> c.Event | None:
        """Answer a line here, or return what it asks for."""
        try:
            if self._reading is _Reading.CHALLENGED:
                return self._read_response(line)
            return self._read_command(line)
        except c.BadCommand as bad:
            self._refuse(bad.text)
            return None

    def _read_response(self, line: bytes) -> c.Event:
        self._reading = _Reading.LINE
        return c.ChallengeResponse(None if line == b"*" else c.decode_base64(line))

    def _read_command(self, line: bytes) -> c.Event | None:
        command = c.parse_command(line)
        is_known = self.state is Pop3State.TRANSACTION
        if not isinstance(command, _ANYBODYS) and isinstance(command, _STRANGERS) == is_known:
            raise c.BadCommand(Text.NOT_NOW)
        match command:
            case c.Capa():
                self._say(StatusLine(True, Text.CAPABILITIES), lines(self._capabilities()))
            case c.NoOperation():
                self._say(StatusLine(True, Text.DONE))
            case c.Lang(wanted):
                self._answer_language(wanted)
            case c.QuitCommand() if not is_known:
                self._say(StatusLine(True, Text.GOODBYE))
                self._shut("quit")
            case c.Stls() | c.User() | c.Pass() | c.AuthCommand() | c.AuthList() | c.Utf8():
                return self._answer_stranger(command)
            case _:
                return command
        return None

    def _answer_stranger(
        self, command: c.Stls | c.User | c.Pass | c.AuthCommand | c.AuthList | c.Utf8
    ) -> c.Event | None:
        user, self._user = self._user, None
        match command:
            case c.Stls():
                self._start_tls()
                return None
            case c.Utf8():
                self._utf8, self._user = True, user
                self._say(StatusLine(True, Text.UTF8_ON))
                return None
        # Security: no password in the clear (RFC 8314 section 4.1), and none is looked at.
        if not self.encrypted:
            raise c.BadCommand(Text.TLS_REQUIRED)
        match command:
            case c.User(name):
                self._user = name
                self._say(StatusLine(True, Text.SEND_PASSWORD))
            case c.Pass(password):
                if user is None:
                    raise c.BadCommand(Text.USER_FIRST)
                return c.PasswordLogin(user, password)
            case c.AuthList():
                self._say(StatusLine(True, Text.MECHANISMS), lines(self._offer.mechanisms))
            case c.AuthCommand():
                return command
        return None

    def _start_tls(self) -> None:
        if self.encrypted:
            raise c.BadCommand(Text.ALREADY_ENCRYPTED)
        if not self._offer.stls:
            raise c.BadCommand(Text.TLS_UNAVAILABLE)
        if self._utf8:  # RFC 6856 section 2.1
            raise c.BadCommand(Text.STLS_AFTER_UTF8)
        # Security: bytes sent behind STLS in the clear would be taken for bytes from within TLS
        # (CVE-2021-33515); nobody honest sends them.
        if self._input:
            self._close(error(Text.BYTES_AFTER_STLS), "bytes after STLS")
            return
        self._say(StatusLine(True, Text.BEGIN_TLS))
        self._reading = _Reading.TLS

    def _answer_language(self, wanted: str | None) -> None:
        if wanted is None:
            known = [f"{tag} {name}" for tag, name in LANGUAGES.items()]
            self._say(StatusLine(True, Text.LANGUAGE_LIST), lines(known))
            return
        found = find_language(wanted)
        if found is None:
            raise c.BadCommand(Text.UNKNOWN_LANGUAGE)
        self.language = found
        self._say(StatusLine(True, Text.LANGUAGE_CHANGED, start=found))

    def _capabilities(self) -> list[str]:
        """Name what works. (RFC 2449 section 5)"""
        words = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"]
        words += ["UTF8 USER", "LANG"]
        if self.encrypted:
            words += ["USER", " ".join(["SASL", *self._offer.mechanisms])]
        elif self._offer.stls:
            words += ["STLS"]
        return [*words, "IMPLEMENTATION Zajil"]

    # ---- answering --------------------------------------------------------------------------

    def _say(self, reply: StatusLine, more: bytes = b"") -> None:
        self._to_send.append(reply.to_bytes(self.language) + more)
        if reply.ok and self.state is Pop3State.TRANSACTION:
            self._errors = 0

    def _refuse(self, text: Text) -> None:
        self._say(error(text))
        self._errors += 1
        is_known, limits = self.state is Pop3State.TRANSACTION, self._limits
        if self._errors >= (limits.max_errors if is_known else limits.max_errors_before_login):
            self._close(error(Text.TOO_MANY_ERRORS), "too many errors")

    def _close(self, reply: StatusLine, reason: str) -> None:
        """Say why and read no more. Later calls do nothing.

        In the middle of a message nothing is said: it would be taken for a line of it.
        """
        if self.state is not Pop3State.CLOSED:
            if not self._is_midway:
                self._say(reply)
            self._shut(reason)

    def _shut(self, reason: str) -> None:
        self.state = Pop3State.CLOSED
        self.close_reason = reason


def greeting(offer: Offer) -> bytes:
    """Return the first line. Without ``<...>``: there is no APOP."""
    return StatusLine(True, Text.READY, start=f"{offer.hostname} Zajil").to_bytes()
