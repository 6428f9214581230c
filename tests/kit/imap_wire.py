"""Wire scripts for IMAP (``tests/wire/imap/*.wire``), run against the engine.

The form is that of ``kit.wire_script``, with the facts ``TLS``, ``COMPRESSION`` and ``CLOSED
reason``; ``@ state STATE`` and ``@ clear`` say how it begins, ``@ patient`` that many errors are
tolerated. The answers come from
``ExampleSession``, which sends back what the engine understood::

    C: a1 SELECT INBOX
    S: * Select(mailbox='INBOX', read_only=False)
    S: a1 OK done
"""

from __future__ import annotations

from dataclasses import replace

from kit.wire_script import Chop, Player, Script
from zajil.core.line_engine import Wait
from zajil.imap import command as c
from zajil.imap.append_command import AppendCommand, AppendEnd, AppendMore, UrlPart
from zajil.imap.literal import Limits
from zajil.imap.response import Completion, untagged, untagged_status
from zajil.imap.server import ImapServerConnection
from zajil.imap.state import ImapState

LIMITS = Limits(
    max_message=1000,
    max_command=4000,
    max_command_before_login=200,
    max_errors=5,
    max_errors_before_login=3,
)
"""Small, so that a script can reach them."""


def new_engine(*, encrypted: bool = True) -> ImapServerConnection:
    """Make a connection as scripts have it."""
    return ImapServerConnection(b"* OK ready\r\n", LIMITS, encrypted=encrypted)


class ExampleSession:
    """Answers as a session would to which everything succeeds but what names ``refused``."""

    def __init__(self, engine: ImapServerConnection) -> None:
        self.engine = engine
        self.body = b""
        self.events: list[str] = []

    def answer_all(self) -> Wait:
        """Answer all events there are; give why there are no more."""
        while not isinstance(event := self.engine.next_event(), Wait) or (
            event is Wait.COMPRESSION
        ):
            if isinstance(event, Wait):
                continue  # the driver compresses from here on, and the engine sees nothing of it
            if not isinstance(event, c.LiteralChunk):
                self.events.append(repr(event))
            self._answer(event)
        return event

    def _answer(self, event: c.Event) -> None:
        engine = self.engine
        match event:
            case c.LiteralChunk(data):
                self.body += data
            case AppendCommand(mailbox="refused"):
                engine.reply(Completion("NO", "no such mailbox", "TRYCREATE"))
            case AppendMore(steps) if UrlPart("refused") in steps:
                self.body = b""
                engine.reply(Completion("NO", "no such part", "BADURL refused"))
            case AppendCommand() | AppendMore() | c.Idle() | c.Authenticate(initial=None):
                self._show_body()
                engine.untagged(_show(event))
                engine.go_ahead()
            case AppendEnd(refusal=refusal) if refusal is not None:
                self.body = b""
                engine.reply(refusal)
            case c.IdleDone(clean) if not clean:
                engine.reply(Completion("BAD", "unclean"))
            case AppendEnd(steps):
                self._show_body()
                if steps:
                    engine.untagged(_show(event))
                self._end_append(Completion("OK", "done"))
            case c.LoginCommand(login="refused") | c.Select(mailbox="refused"):
                engine.reply(Completion("NO", "refused"))
            case c.Logout():
                engine.untagged(untagged_status("BYE", "bye"))
                engine.reply(Completion("OK", "done"))
            case _:
                engine.untagged(_show(event))
                engine.reply(Completion("OK", "done"))

    def _end_append(self, completion: Completion) -> None:
        """Postpone the answer where a session may; here nothing comes between."""
        if self.engine.is_append_next():
            self.engine.complete(self.engine.postpone(), completion)
        else:
            self.engine.reply(completion)

    def _show_body(self) -> None:
        """Send back the literal that came last, if there is one."""
        if self.body:
            self.engine.untagged(untagged(ascii(self.body).encode()))
            self.body = b""


def _show(event: c.Event) -> bytes:
    return untagged(ascii(event).encode("ascii"))


class ImapPlayer(Player):
    """Plays a script against a new connection."""

    def __init__(self, script: Script, chop: Chop) -> None:
        super().__init__(script, chop)
        self.engine = new_engine(encrypted="clear" not in script.options)
        self._session = ExampleSession(self.engine)
        self._greeting = b"* OK ready\r\n"
        for option in script.options:
            if option.startswith("state "):
                self.engine.state = ImapState(option.removeprefix("state "))
            elif option == "patient":
                self.engine.limits = replace(LIMITS, max_errors=1000)
            elif option != "clear":
                raise ValueError(f"{script.path.name}: unknown option {option!r}")

    def receive(self, data: bytes) -> bytes:
        """Give the engine what arrived, and return what it sends, without the greeting."""
        self.engine.receive_data(data)
        self._session.answer_all()
        sent, greeting = self.engine.data_to_send(), self._greeting
        self._greeting = b""
        return sent.removeprefix(greeting)

    def check(self, fact: str) -> None:
        """Check ``TLS``, ``COMPRESSION``, ``CLOSED reason``."""
        if fact == "TLS":
            self.engine.tls_established()
        elif fact == "COMPRESSION":
            if not self.engine.compressed:
                self.fail(fact, "not compressed")
        elif self.engine.next_event() is not Wait.CLOSED or self.engine.close_reason != fact[7:]:
            self.fail(fact, self.engine.close_reason or "open")
