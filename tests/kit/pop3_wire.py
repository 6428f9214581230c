"""Wire scripts for POP3 (``tests/wire/pop3/*.wire``), run against the engine.

The form is that of ``kit.wire``; here the answers come from ``ExampleSession``, which sends back
what the engine understood::

    C: RETR 1
    S: +OK Retr(number=1)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.wire import WireMismatch, unescape
from zajil.core.line_engine import Wait
from zajil.pop3 import command as c
from zajil.pop3.reply import AnswerLines, Continuation, StatusLine, error
from zajil.pop3.server import Offer, Pop3InputLimits, Pop3ServerConnection, Pop3State
from zajil.pop3.texts import Text

Chop = Callable[[bytes], Sequence[bytes]]

OFFER = Offer("mx.north.test", True, ("PLAIN", "LOGIN"))
LIMITS = Pop3InputLimits(max_line=80, max_auth_line=200, max_errors=5, max_errors_before_login=3)
"""Small, so that a script can reach them."""


def new_engine(*, encrypted: bool = True, offer: Offer = OFFER) -> Pop3ServerConnection:
    """Make a connection as scripts have it."""
    return Pop3ServerConnection(offer, LIMITS, encrypted=encrypted)


class ExampleSession:
    """Answers as a session would to which everything succeeds but what names ``refused``."""

    def __init__(self, engine: Pop3ServerConnection) -> None:
        self.engine = engine
        self.events: list[str] = []

    def answer_all(self) -> Wait:
        """Answer all events there are; give why there are no more."""
        while not isinstance(event := self.engine.next_event(), Wait):
            self.events.append(repr(event))
            self._answer(event)
        return event

    def _answer(self, event: c.Event) -> None:
        engine = self.engine
        match event:
            case c.AuthCommand(initial=None):
                engine.reply(Continuation(b"say more"))
            case c.PasswordLogin("refused") | c.ChallengeResponse(b"refused"):
                engine.reply(error(Text.WRONG_PASSWORD, "AUTH"))
            case c.ChallengeResponse(None):
                engine.reply(error(Text.CANCELLED))
            case c.PasswordLogin() | c.AuthCommand() | c.ChallengeResponse():
                engine.reply(StatusLine(True, Text.LOGGED_IN, start=ascii(event)))
            case c.QuitCommand():
                engine.reply(StatusLine(True, Text.GOODBYE))
            case c.ScanListing(None):
                engine.send(b"+OK messages\r\n1 120\r\n")
                engine.reply(AnswerLines(b".\r\n"))
            case _:
                engine.reply(AnswerLines(f"+OK {event!a}\r\n".encode()))


@dataclass(frozen=True, slots=True)
class Pop3Script:
    """A dialogue."""

    path: Path
    state: Pop3State
    encrypted: bool
    stls: bool
    steps: tuple[tuple[int, str, str], ...]
    """Line number, kind (``S`` ``C`` ``!``), text; for ``C`` the bytes as Latin-1."""


def load_pop3_script(path: Path) -> Pop3Script:
    """Read a wire script; ``@ state STATE``, ``@ clear`` and ``@ no stls`` say how it begins.

    Raises:
        ValueError: a line that is no step.
    """
    state, encrypted, stls = Pop3State.AUTHORIZATION, True, True
    steps: list[tuple[int, str, str]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        kind, text = line[:2], line[3:]
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("@ state "):
            state = Pop3State(line.removeprefix("@ state "))
        elif line == "@ clear":
            encrypted = False
        elif line == "@ no stls":
            stls = False
        elif kind == "C:":
            steps.append((number, "C", (text.encode() + b"\r\n").decode("latin-1")))
        elif kind == "C|":
            steps.append((number, "C", unescape(text).decode("latin-1")))
        elif kind in ("S:", "! "):
            steps.append((number, kind[0], text if kind == "S:" else line[2:]))
        else:
            raise ValueError(f"{path.name}:{number}: not a step of a wire script: {line!r}")
    return Pop3Script(path, state, encrypted, stls, tuple(steps))


def run_pop3_script(script: Pop3Script, chop: Chop) -> None:
    """Play a script.

    Raises:
        WireMismatch: with script, line, wanted, got.
    """
    offer = Offer(OFFER.hostname, script.stls, OFFER.mechanisms)
    engine = new_engine(encrypted=script.encrypted, offer=offer)
    greeting = engine.data_to_send()
    if greeting != b"+OK mx.north.test Zajil ready\r\n":
        raise WireMismatch(f"{script.path.name}: greeting {greeting!r}")
    engine.state = script.state
    session = ExampleSession(engine)
    got, waiting = b"", b""

    def send() -> None:
        nonlocal got, waiting
        data, waiting = waiting, b""
        for piece in chop(data) if data else ():
            engine.receive_data(piece)
            session.answer_all()
            got += engine.data_to_send()

    for number, kind, text in script.steps:
        if kind == "C":
            waiting += text.encode("latin-1")
            continue
        send()
        if kind == "S":
            line, _, got = got.partition(b"\r\n")
            shown = line.decode("utf-8", "replace")
            if not (shown.startswith(text[:-3]) if text.endswith("...") else shown == text):
                raise WireMismatch(f"{script.path.name}:{number}: wanted {text!r}, got {shown!r}")
        elif text == "TLS":
            if engine.next_event() is not Wait.TLS:
                raise WireMismatch(f"{script.path.name}:{number}: no handshake is expected")
            engine.tls_established()
        elif engine.next_event() is not Wait.CLOSED or engine.close_reason != text[7:]:
            raise WireMismatch(f"{script.path.name}:{number}: open, or {engine.close_reason!r}")
    send()
    if got:
        raise WireMismatch(f"{script.path.name}: nothing more wanted, got {got!r}")
