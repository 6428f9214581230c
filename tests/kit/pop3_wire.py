"""Wire scripts for POP3 (``tests/wire/pop3/*.wire``), run against the engine.

The form is that of ``kit.wire_script``, with the facts ``TLS`` and ``CLOSED reason``; ``@ state
STATE``, ``@ clear`` and ``@ no stls`` say how it begins. The answers come from ``ExampleSession``,
which sends back what the engine understood::

    C: RETR 1
    S: +OK Retr(number=1)
"""

from __future__ import annotations

from kit.wire_script import Chop, Player, Script
from zajil.core.line_engine import Wait
from zajil.pop3 import command as c
from zajil.pop3.reply import AnswerLines, Continuation, StatusLine, error
from zajil.pop3.server import Offer, Pop3InputLimits, Pop3ServerConnection, Pop3State
from zajil.pop3.texts import Text

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


class Pop3Player(Player):
    """Plays a script against a new connection."""

    def __init__(self, script: Script, chop: Chop) -> None:
        super().__init__(script, chop)
        offer = Offer(OFFER.hostname, "no stls" not in script.options, OFFER.mechanisms)
        self.engine = new_engine(encrypted="clear" not in script.options, offer=offer)
        self._session = ExampleSession(self.engine)
        if (greeting := self.engine.data_to_send()) != b"+OK mx.north.test Zajil ready\r\n":
            self.fail("the greeting", greeting)
        for option in script.options:
            if option.startswith("state "):
                self.engine.state = Pop3State(option.removeprefix("state "))
            elif option not in ("clear", "no stls"):
                raise ValueError(f"{script.path.name}: unknown option {option!r}")

    def receive(self, data: bytes) -> bytes:
        """Give the engine what arrived, and return what it sends."""
        if data:
            self.engine.receive_data(data)
            self._session.answer_all()
        return self.engine.data_to_send()

    def check(self, fact: str) -> None:
        """Check ``TLS``, ``CLOSED reason``."""
        if fact == "TLS":
            if self.engine.next_event() is not Wait.TLS:
                self.fail(fact, "no handshake is expected")
            self.engine.tls_established()
        elif self.engine.next_event() is not Wait.CLOSED or self.engine.close_reason != fact[7:]:
            self.fail(fact, self.engine.close_reason or "open")
