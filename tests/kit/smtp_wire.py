"""Wire scripts for SMTP (``tests/wire/smtp/*.wire``), run against the server engine.

The form is that of ``kit.wire_script``; here::

    @ option value       an option of the Offer, or of the connection: see ``_OPTIONS``
    ! TLS                the handshake happens here
    ! CLOSED reason      the server closes, and for this reason
    ! BODY text\\r\\n      the message the session got last, with escapes
    ! TOLERATED          ... in which bare LF were taken for line ends
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kit.clock import FakeClock
from kit.wire_script import Chop, Player, Script, unescape
from zajil.core.line_engine import Wait
from zajil.smtp.command import (
    Auth,
    AuthResponse,
    Bdat,
    BodyChunk,
    BodyEnd,
    Data,
    Event,
    Help,
    Mail,
    Quit,
    Rcpt,
    StartTls,
    Vrfy,
    Xclient,
)
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection

GREETING = Reply(220, ("mx.example.org ESMTP",))
Policy = Callable[[Event], Reply]


def _ascii_words(value: str) -> tuple[str, ...]:
    return tuple(value.split())


_NUMBERS = (
    "max_auth_line",
    "max_commands",
    "max_errors",
    "max_hold_seconds",
    "max_line",
    "max_mails",
    "max_message_size",
    "max_recipients",
)
_SWITCHES = (
    "bare_line_ends",
    "chunking",
    "dsn",
    "encrypted",
    "lmtp",
    "require_tls",
    "smtputf8",
    "starttls",
    "xclient",
)
_OPTIONS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(_NUMBERS, int),
    **dict.fromkeys(_SWITCHES, lambda value: value == "yes"),
    "auth_mechanisms": _ascii_words,
}


def example_policy(event: Event) -> Reply:
    """Answer as a session would that takes everything except what names an ``unknown`` user.

    In LMTP a user ``full`` is accepted, and gets no message.
    """
    match event:
        case Mail():
            return Reply(250, ("2.1.0 sender ok",))
        case Rcpt() if event.forward_path.local_part == "unknown":
            return Reply(550, ("5.1.1 no such mailbox",))
        case Rcpt():
            return Reply(250, ("2.1.5 recipient ok",))
        case Data():
            return Reply(354, ("go ahead",))
        case BodyEnd() | Bdat() if event.defect == "size":
            return Reply(552, ("5.3.4 message too big",))
        case BodyEnd() | Bdat() if event.defect:
            return Reply(550, (f"5.6.0 {event.defect} in the message",))
        case Bdat():
            return Reply(250, (f"2.0.0 {event.size} bytes",))
        case Xclient():
            return GREETING
        case Vrfy():
            return Reply(252, ("2.5.0 send some mail, I will try",))
        case Help():
            return Reply(214, ("2.0.0 see RFC 5321",))
        case StartTls():
            return Reply(220, ("2.0.0 ready to start TLS",))
        case Quit():
            return Reply(221, ("2.0.0 bye",))
        case Auth(mechanism="PLAIN") if event.initial is None:
            return Reply(334, ("",))
        case Auth() if event.initial is None:
            return Reply(334, ("VXNlcm5hbWU6",))
        case Auth() | AuthResponse():
            good = (event.initial if isinstance(event, Auth) else event.data) == b"\0amal\0secret"
            if good:
                return Reply(235, ("2.7.0 authentication succeeded",))
            return Reply(535, ("5.7.8 invalid login or password",))
        case _:
            return Reply(250, ("2.0.0 ok",))


def _reply_to(local_part: str) -> Reply:
    if local_part == "full":
        return Reply(452, ("4.2.2 mailbox full",))
    return Reply(250, (f"2.0.0 kept for {local_part}",))


class SmtpPlayer(Player):
    """Plays a script against a new connection."""

    def __init__(self, script: Script, chop: Chop, policy: Policy = example_policy) -> None:
        super().__init__(script, chop)
        options = {}
        for line in script.options:
            name, _, value = line.partition(" ")
            options[name] = _OPTIONS[name](value.strip())
        encrypted = options.pop("encrypted", False)
        max_errors = options.pop("max_errors", 10)
        options.setdefault("max_message_size", 100_000)
        max_commands = options.pop("max_commands", 0)
        offer = Capabilities(hostname="mx.example.org", clock=FakeClock(), **options)
        self.conn = ServerConnection(
            offer,
            GREETING,
            encrypted=encrypted,
            max_errors=max_errors,
            max_commands=max_commands,
        )
        self._policy = policy
        self._body = b""
        self._last_body = b""
        self._tolerated = False
        self._recipients: list[str] = []

    def receive(self, data: bytes) -> bytes:
        """Give the connection what arrived, and return what it sends."""
        if data:
            self.conn.receive_data(data)
        while not isinstance(event := self.conn.next_event(), Wait):
            if isinstance(event, BodyChunk):
                self._body += event.data
                continue
            if isinstance(event, BodyEnd):
                self._last_body, self._body = self._body, b""
                self._tolerated = event.tolerated
            if isinstance(event, BodyEnd) and self.conn.offer.lmtp and not event.defect:
                self.conn.reply_each([_reply_to(name) for name in self._recipients])
            else:
                self._answer(event)
        return self.conn.data_to_send()

    def _answer(self, event: Event) -> None:
        reply = self._policy(event)
        if isinstance(event, Mail):
            self._recipients, self._body = [], b""
        elif isinstance(event, Rcpt) and reply.code == 250:
            self._recipients.append(event.forward_path.local_part)
        elif isinstance(event, Auth | AuthResponse) and reply.code == 235:
            self.conn.is_authenticated = True
        self.conn.reply(reply)

    def check(self, fact: str) -> None:
        """Check a fact of the table above."""
        word, _, rest = fact.partition(" ")
        if word == "TLS":
            if self.conn.next_event() is not Wait.TLS:
                self.fail(fact, self.conn.state.name)
            self.conn.tls_established()
        elif word == "CLOSED":
            if self.conn.next_event() is not Wait.CLOSED or self.conn.close_reason != rest:
                self.fail(fact, self.conn.close_reason or "open")
        elif word == "BODY":
            if self._last_body != unescape(rest):
                self.fail(unescape(rest), self._last_body)
        elif word != "TOLERATED":
            raise ValueError(f"{self.script.path.name}: unknown fact {word!r}")
        elif not self._tolerated:
            self.fail(fact, "nothing was tolerated")
