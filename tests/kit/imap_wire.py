"""Wire scripts for IMAP (``tests/wire/imap/*.wire``), run against the engine.

The form is that of ``testing.wire``; here the answers come from ``example_answer``, which sends
back what the engine understood::

    C: a1 SELECT INBOX
    S: * Select(mailbox='INBOX', read_only=False)
    S: a1 OK done
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.wire import WireMismatch, unescape
from zajil.core.line_engine import Wait
from zajil.imap import command as c
from zajil.imap.append_command import AppendCommand, AppendEnd, AppendMore, UrlPart
from zajil.imap.literal import Limits
from zajil.imap.response import Completion, untagged, untagged_status
from zajil.imap.server import ImapServerConnection
from zajil.imap.state import ImapState

Chop = Callable[[bytes], Sequence[bytes]]

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
                engine.reply(Completion("OK", "done"))
            case c.LoginCommand(login="refused") | c.Select(mailbox="refused"):
                engine.reply(Completion("NO", "refused"))
            case c.Logout():
                engine.untagged(untagged_status("BYE", "bye"))
                engine.reply(Completion("OK", "done"))
            case _:
                engine.untagged(_show(event))
                engine.reply(Completion("OK", "done"))

    def _show_body(self) -> None:
        """Send back the literal that came last, if there is one."""
        if self.body:
            self.engine.untagged(untagged(ascii(self.body).encode()))
            self.body = b""


def _show(event: c.Event) -> bytes:
    return untagged(ascii(event).encode("ascii"))


@dataclass(frozen=True, slots=True)
class ImapScript:
    """A dialogue."""

    path: Path
    state: ImapState
    encrypted: bool
    steps: tuple[tuple[int, str, str], ...]
    """Line number, kind (``S`` ``C`` ``!``), text; for ``C`` the bytes as Latin-1."""


def load_imap_script(path: Path) -> ImapScript:
    """Read a wire script; ``@ state STATE`` and ``@ clear`` say how it begins.

    Raises:
        ValueError: a line that is no step.
    """
    state, encrypted = ImapState.NOT_AUTHENTICATED, True
    steps: list[tuple[int, str, str]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        kind, text = line[:2], line[3:]
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("@ state "):
            state = ImapState(line.removeprefix("@ state "))
        elif line == "@ clear":
            encrypted = False
        elif kind == "C:":
            steps.append((number, "C", (text.encode() + b"\r\n").decode("latin-1")))
        elif kind == "C|":
            steps.append((number, "C", unescape(text).decode("latin-1")))
        elif kind in ("S:", "! "):
            steps.append((number, kind[0], text if kind == "S:" else line[2:]))
        else:
            raise ValueError(f"{path.name}:{number}: not a step of a wire script: {line!r}")
    return ImapScript(path, state, encrypted, tuple(steps))


def run_imap_script(script: ImapScript, chop: Chop) -> None:
    """Play a script.

    Raises:
        WireMismatch: with script, line, wanted, got.
    """
    engine = new_engine(encrypted=script.encrypted)
    engine.state = script.state
    session = ExampleSession(engine)
    got, waiting = engine.data_to_send().removeprefix(b"* OK ready\r\n"), b""

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
        elif text == "COMPRESSION":
            if not engine.compressed:
                raise WireMismatch(f"{script.path.name}:{number}: not compressed")
        elif text == "TLS":
            engine.tls_established()
        elif engine.next_event() is not Wait.CLOSED or engine.close_reason != text[7:]:
            raise WireMismatch(f"{script.path.name}:{number}: open, or {engine.close_reason!r}")
    send()
    if got:
        raise WireMismatch(f"{script.path.name}: nothing more wanted, got {got!r}")
