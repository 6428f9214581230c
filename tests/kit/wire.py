"""Wire scripts: SMTP dialogues as the RFC prints them, run against the server engine.

A script (``tests/wire/smtp/*.wire``)::

    # A comment: what the script guards.
    @ option value       an option of the Offer, or of the connection: see ``_OPTIONS``
    S: 250 text          a line the server must send; "..." at the end: whatever follows
    C: EHLO example.com  a line we send, CRLF is added
    C| first\\r\\n         bytes we send, with escapes, nothing added
    ! TLS                the handshake happens here
    ! CLOSED reason      the server closes, and for this reason
    ! BODY text\\r\\n      the message the session got last, with escapes
    ! TOLERATED          ... in which bare LF were taken for line ends

Client lines that stand together are sent together, so a script also tests pipelining.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.clock import FakeClock
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
Chop = Callable[[bytes], Sequence[bytes]]
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


@dataclass(frozen=True, slots=True)
class Script:
    """A dialogue and the options it runs with."""

    path: Path
    options: dict[str, Any]
    steps: tuple[tuple[int, str, str], ...]
    """Line number, kind (``S`` ``C`` ``!``), text; for ``C`` the bytes as Latin-1."""


def load_script(path: Path) -> Script:
    """Read a wire script.

    Raises:
        ValueError: a line that is none of the forms above.
    """
    options: dict[str, Any] = {}
    steps: list[tuple[int, str, str]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        kind, text = line[:2], line[3:]
        if not line.strip() or line.startswith("#"):
            continue
        if kind == "@ ":
            name, _, value = line[2:].partition(" ")
            options[name] = _OPTIONS[name](value.strip())
        elif kind == "C:":
            steps.append((number, "C", (text.encode() + b"\r\n").decode("latin-1")))
        elif kind == "C|":
            steps.append((number, "C", unescape(text).decode("latin-1")))
        elif kind == "S:":
            steps.append((number, "S", text))
        elif kind == "! ":
            steps.append((number, "!", line[2:]))
        else:
            raise ValueError(f"{path.name}:{number}: not a step of a wire script: {line!r}")
    return Script(path, options, tuple(steps))


def unescape(text: str) -> bytes:
    """Return the bytes of ``first\\r\\n``; what is not ASCII stands for its UTF-8."""
    ascii_text = text.encode().decode("latin-1")
    return ascii_text.encode("latin-1").decode("unicode_escape").encode("latin-1")


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


class WireMismatch(AssertionError):
    """The server did something else than the script says."""


class _Player:
    """Plays one script against a new connection."""

    def __init__(self, script: Script, policy: Policy, chop: Chop) -> None:
        options = dict(script.options)
        encrypted = options.pop("encrypted", False)
        max_errors = options.pop("max_errors", 10)
        options.setdefault("max_message_size", 100_000)
        max_commands = options.pop("max_commands", 0)
        offer = Capabilities(hostname="mx.example.org", clock=FakeClock(), **options)
        self.script = script
        self.conn = ServerConnection(
            offer,
            GREETING,
            encrypted=encrypted,
            max_errors=max_errors,
            max_commands=max_commands,
        )
        self._policy = policy
        self._chop = chop
        self._body = b""
        self._last_body = b""
        self._tolerated = False
        self._recipients: list[str] = []
        self._to_send = b""
        self._got = b""

    def play(self) -> None:
        for number, kind, text in self.script.steps:
            if kind == "C":
                self._to_send += text.encode("latin-1")
                continue
            self._send()
            if kind == "S":
                self._expect_line(number, text)
            else:
                self._expect_fact(number, text)
        self._send()
        if self._got:
            raise self._mismatch(0, "nothing more", self._got.decode())

    def _send(self) -> None:
        data, self._to_send = self._to_send, b""
        self._answer_all()
        for piece in self._chop(data) if data else ():
            self.conn.receive_data(piece)
            self._answer_all()

    def _answer_all(self) -> None:
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
        self._got += self.conn.data_to_send()

    def _answer(self, event: Event) -> None:
        reply = self._policy(event)
        if isinstance(event, Mail):
            self._recipients, self._body = [], b""
        elif isinstance(event, Rcpt) and reply.code == 250:
            self._recipients.append(event.forward_path.local_part)
        elif isinstance(event, Auth | AuthResponse) and reply.code == 235:
            self.conn.is_authenticated = True
        self.conn.reply(reply)

    def _expect_line(self, number: int, want: str) -> None:
        line, found, self._got = self._got.partition(b"\r\n")
        got = line.decode()
        good = got.startswith(want[:-3]) if want.endswith("...") else got == want
        if not (good and found):
            raise self._mismatch(number, want, got)

    def _expect_fact(self, number: int, text: str) -> None:
        word, _, rest = text.partition(" ")
        if word == "TLS":
            if self.conn.next_event() is not Wait.TLS:
                raise self._mismatch(number, text, self.conn.state.name)
            self.conn.tls_established()
        elif word == "CLOSED":
            if self.conn.next_event() is not Wait.CLOSED or self.conn.close_reason != rest:
                raise self._mismatch(number, text, self.conn.close_reason or "open")
        elif word == "BODY":
            if self._last_body != unescape(rest):
                raise self._mismatch(number, rest, repr(self._last_body))
        elif word == "TOLERATED":
            if not self._tolerated:
                raise self._mismatch(number, text, "nothing was tolerated")
        else:
            raise ValueError(f"{self.script.path.name}:{number}: unknown fact {word!r}")

    def _mismatch(self, number: int, want: str, got: str) -> WireMismatch:
        return WireMismatch(f"{self.script.path.name}:{number}: wanted {want!r}, got {got!r}")


def run_script(script: Script, policy: Policy, chop: Chop) -> ServerConnection:
    """Play a script; gives the connection as it was left.

    Raises:
        WireMismatch: with script, line, wanted, got.
    """
    player = _Player(script, policy, chop)
    player.play()
    return player.conn
