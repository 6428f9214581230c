"""The engine: bytes of a client to typed commands, and our answers to bytes. (RFC 3501 section 2.2)

Laws:
- One command is answered at a time; what the client pipelines stays buffered until ``reply``,
  or ``postpone``.
- Never raises on what the client sent; a refused command is answered here.
- Only CRLF ends a line. A literal is counted, never looked into.
- The messages of APPEND pass through in chunks and are never collected here.
"""

from __future__ import annotations

from zajil.core.line_engine import LineBuffer, LineTooLong, Wait
from zajil.imap.append_command import AppendCommand, AppendEnd, AppendMore
from zajil.imap.append_parse import AppendReader, begins_append, has_whole_append
from zajil.imap.command import (
    Authenticate,
    AuthenticateResponse,
    Command,
    Compress,
    Event,
    Idle,
    IdleDone,
    LiteralChunk,
    StartTlsCommand,
)
from zajil.imap.feature import UTF8_FEATURES, Feature
from zajil.imap.grammar import BadSyntax, Scanner
from zajil.imap.literal import Limits, Literal, find_literal
from zajil.imap.parse import decode_base64, parse_command, parse_tag
from zajil.imap.response import CRLF, Completion
from zajil.imap.response_queue import ResponseQueue
from zajil.imap.state import AFTER_NO, AFTER_OK, ALLOWED, ImapState, Reading

CHUNK = 65536
"""Most bytes of one ``LiteralChunk``."""


class ImapServerConnection(ResponseQueue):
    """Turns bytes into events and answers into bytes, and keeps their order.

    The caller moves the bytes and decides what to answer::

        receive_data(b"...") -> next_event() -> untagged(b"* ...") -> reply(Completion(...))
    """

    __slots__ = (
        "_append",
        "_command",
        "_input",
        "_literal",
        "_owed",
        "_pending",
        "_reading",
        "_remaining",
        "compressed",
        "enabled",
        "encrypted",
        "limits",
        "tag",
    )

    def __init__(self, greeting: bytes, limits: Limits, *, encrypted: bool = False) -> None:
        super().__init__(greeting)
        self.encrypted = encrypted
        self.compressed = False
        """Both sides compress, as agreed on with ``Wait.COMPRESSION``."""
        self.enabled: set[Feature] = set()
        """What the client has enabled; the caller adds to it."""
        self.limits = limits
        self._input = LineBuffer()
        self._reading = Reading.LINE
        self._remaining = 0  # of the literal that is being read
        self._command = bytearray()  # lines and literals of the command so far
        self.tag = b""
        """Of the command that is being answered; it has no quote and no backslash."""
        self._pending: Command | None = None  # whose completion is owed
        self._append: AppendReader | None = None  # of the APPEND that has begun
        self._literal: Literal | None = None  # its literal, which waits for go_ahead
        self._owed = False

    # ---- the caller's side ------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Buffer bytes from the network; ``next_event`` parses them."""
        if self.state is not ImapState.LOGOUT or not self._input:
            self._input.add(data)

    def pending_size(self) -> int:
        """Return the number of octets received and not yet parsed; above a limit the caller stops
        reading."""
        return len(self._input)

    def tls_established(self) -> None:
        """Begin to read again; the connection is encrypted from here on.

        Raises:
            RuntimeError: there is pending input; the connection should have been closed.
        """
        if self._input:
            raise RuntimeError("bytes after STARTTLS")
        self.encrypted = True
        self._reading = Reading.LINE

    def go_ahead(self, text: bytes = b"go ahead") -> None:
        """Ask for what the command announced: a literal, the end of IDLE, an answer to ``text``.

        Raises:
            RuntimeError: the command has nothing to wait for; the caller has lost step.
        """
        command = self._pending
        if not self._owed or not isinstance(command, AppendCommand | Authenticate | Idle):
            raise RuntimeError("nothing waits for a continuation")
        self._owed = False
        if isinstance(command, AppendCommand):
            literal, self._literal = self._literal, None
            if literal is None:
                self._reading = Reading.APPEND_END
                return
            self._reading, self._remaining = Reading.BODY, literal.size
            if not literal.waits:
                return
        else:
            challenged = isinstance(command, Authenticate)
            self._reading = Reading.CHALLENGED if challenged else Reading.IDLING
        self._to_send.append(b"+ " + text + CRLF)

    def reply(self, completion: Completion) -> None:
        """Answer the command that ``next_event`` returned last.

        Raises:
            RuntimeError: no answer is owed; the caller has lost step.
        """
        command = self._pending
        if command is None:
            raise RuntimeError("no answer is owed")
        refused = self._literal
        self._finish(completion)
        if refused is not None and not refused.waits:
            self._skip_literal(refused.size)  # refused unread, and it comes all the same
        if completion.status == "OK":
            self.state = AFTER_OK.get(type(command), self.state)
            if isinstance(command, StartTlsCommand):
                self._reading = Reading.TLS
            elif isinstance(command, Compress):
                self._reading = Reading.COMPRESSION
            elif self.state is ImapState.LOGOUT:
                self.close_reason = self.close_reason or "logout"
        elif completion.status == "NO" and self.state is not ImapState.NOT_AUTHENTICATED:
            self.state = AFTER_NO.get(type(command), self.state)

    def is_append_next(self) -> bool:
        """Return whether an APPEND of a small message has come whole behind this command."""
        return has_whole_append(self._input.data, self._input.at)

    def postpone(self) -> bytes:
        """Have the next command before this one is answered; return the tag for ``complete``.

        Raises:
            RuntimeError: no answer is owed; the caller has lost step.
        """
        if self._pending is None or not self._owed:
            raise RuntimeError("no answer is owed")
        self._forget_command()
        return self.tag

    @property
    def utf8(self) -> bool:
        """Whether mailbox names are in UTF-8, and quoted strings may be, on both sides."""
        return not self.enabled.isdisjoint(UTF8_FEATURES)

    # ---- reading ----------------------------------------------------------------------------

    def next_event(self) -> Event | Wait:
        """Return the next event, or why there is none."""
        while True:
            if self.state is ImapState.LOGOUT:
                return Wait.CLOSED
            if self._owed:
                return Wait.REPLY
            event = self._read()
            if event is not None:
                return event

    def _read(self) -> Event | Wait | None:
        """Take one step; ``None``: look again."""
        if self._input.to_skip and not self._input.skip():
            return Wait.DATA
        match self._reading:
            case Reading.BODY:
                return self._read_body()
            case Reading.LITERAL:
                return self._read_literal()
            case Reading.APPEND_END:
                self._reading, self._owed = Reading.LINE, True
                return AppendEnd()
            case Reading.TLS:
                if not self._input:
                    return Wait.TLS
                self.close("bytes after STARTTLS", "bytes after STARTTLS")
                return None
            case Reading.COMPRESSION:
                self._reading, self.compressed = Reading.LINE, True
                if not self._input:
                    return Wait.COMPRESSION
                self.close("bytes after COMPRESS", "bytes after COMPRESS")
                return None
        try:
            line = self._input.take_line(_max_command(self.state, self.limits) - len(self._command))
        except LineTooLong:
            self.close("line is too long", "line too long")
            return None
        return Wait.DATA if line is None else self._read_line(line)

    def _read_line(self, line: bytes) -> Event | None:
        match self._reading:
            case Reading.LINE:
                return self._read_command(line)
            case Reading.CHALLENGED:
                return self._read_auth_response(line)
            case Reading.IDLING:
                self._reading = Reading.LINE
                self._owed = True
                return IdleDone(clean=line.upper() == b"DONE")
            case _:  # the line behind a literal that was skipped
                literal = find_literal(line)
                if literal is None or literal.waits:
                    self._reading = Reading.LINE
                else:
                    self._skip_literal(literal.size)
                return None

    def _read_command(self, line: bytes) -> Event | None:
        if not self._command and self._append is None:
            tag = parse_tag(line)
            self.tag = tag or b"*"
        self._command += line
        literal = find_literal(line)
        try:
            if self.tag == b"*":
                raise BadSyntax(Completion("BAD", "a command begins with a tag"))
            return self._parse(literal)
        except BadSyntax as error:
            if self._append is not None:  # its caller has messages to forget
                self._errors += 1
                self._owed, self._literal = True, literal
                return AppendEnd(refusal=error.completion)
            self._refuse(error.completion)
            if literal is not None and not literal.waits:
                self._skip_literal(literal.size)
            return None

    def _parse(self, literal: Literal | None) -> Event | None:
        """Parse what has come of the command; ``None``: more has to come."""
        data, name = bytes(self._command), len(self.tag) + 1
        if self._append is not None or begins_append(data, name):
            return self._read_append(data, name, literal)
        if literal is not None:
            self._collect(literal)
            return None
        command = parse_command(data, name, utf8=self.utf8)
        if self.state not in ALLOWED[type(command)]:
            raise _not_now(self.state)
        if isinstance(command, StartTlsCommand):
            return self._start_tls(command)
        return self._start(command)

    def _read_append(self, data: bytes, name: int, literal: Literal | None) -> Event | None:
        reader, event = self._append, None
        if reader is None:
            if self.state not in ALLOWED[AppendCommand]:
                raise _not_now(self.state)
            reader = AppendReader()
            event = reader.read_head(Scanner(data, name, utf8=self.utf8), literal)
            if event and event.replaced and self.state is not ImapState.SELECTED:
                raise _not_now(self.state)
            steps = None if event is None else event.steps
        else:
            steps = reader.read_on(Scanner(data), literal)
        if steps is None:
            self._collect(literal)
            return None
        if literal is not None and literal.size > self.limits.max_message:
            raise BadSyntax(Completion("NO", "message is too large", "TOOBIG"))
        self._append, self._literal = reader, literal
        if event is not None:
            return self._start(event)
        self._owed = True
        self._command.clear()
        return AppendEnd(steps) if literal is None else AppendMore(steps)

    def _collect(self, literal: Literal | None) -> None:
        """Have the literal at the end of what came, as a part of the command."""
        if literal is None:
            raise RuntimeError("there is no literal")
        # Security: before log-in nobody may make us keep more than its largest command takes; a
        # literal nobody waits for can only be ended with the connection.
        if len(self._command) + literal.size > _max_command(self.state, self.limits):
            if literal.waits:
                raise BadSyntax(Completion("BAD", "literal is too large", "TOOBIG"))
            self.close("literal is too large", "literal too large")
            return
        self._command += CRLF
        self._remaining = literal.size
        self._reading = Reading.LITERAL
        if literal.waits:
            self._to_send.append(b"+ go ahead\r\n")

    def _read_literal(self) -> Wait | None:
        taken = self._input.take(self._remaining)
        self._command += taken
        self._remaining -= len(taken)
        if self._remaining:
            return Wait.DATA
        self._reading = Reading.LINE
        return None

    def _read_body(self) -> Event | Wait | None:
        if not self._remaining:
            self._reading = Reading.LINE
            return None
        taken = self._input.take(min(self._remaining, CHUNK))
        if not taken:
            return Wait.DATA
        self._remaining -= len(taken)
        return LiteralChunk(taken)

    def _read_auth_response(self, line: bytes) -> Event | None:
        self._reading = Reading.LINE
        try:
            data = None if line == b"*" else decode_base64(line)
        except BadSyntax as error:
            self._refuse(error.completion)
            return None
        self._owed = True
        return AuthenticateResponse(data)

    def _start_tls(self, command: StartTlsCommand) -> Event | None:
        if self.encrypted:
            raise BadSyntax(Completion("BAD", "already encrypted"))
        # Security: bytes sent behind STARTTLS in the clear would be taken for bytes from within
        # TLS (CVE-2021-33515); nobody honest sends them.
        if self._input:
            self.close("bytes after STARTTLS", "bytes after STARTTLS")
            return None
        return self._start(command)

    def _start(self, command: Command) -> Command:
        self._pending = command
        self._owed = True
        self._command.clear()
        return command

    # ---- answering --------------------------------------------------------------------------

    def _finish(self, completion: Completion) -> None:
        self.complete(self.tag, completion)
        self._forget_command()

    def _forget_command(self) -> None:
        self._pending, self._append, self._literal, self._owed = None, None, None, False
        self._command.clear()

    def _refuse(self, completion: Completion) -> None:
        self._finish(completion)
        self._errors += 1
        known = self.state is not ImapState.NOT_AUTHENTICATED
        limits = self.limits
        if self._errors >= (limits.max_errors if known else limits.max_errors_before_login):
            self.close("too many errors", "too many errors")

    def _skip_literal(self, size: int) -> None:
        # Security: a stranger's bytes are not read for nothing.
        is_stranger = self.state is ImapState.NOT_AUTHENTICATED
        limits = self.limits
        if size > (limits.max_command_before_login if is_stranger else limits.max_skipped):
            self.close("literal is too large", "literal too large")
            return
        self._reading, self._input.to_skip = Reading.SKIPPED_LINE, size


def _not_now(state: ImapState) -> BadSyntax:
    return BadSyntax(Completion("BAD", f'not allowed in state "{state.value}"'))


def _max_command(state: ImapState, limits: Limits) -> int:
    is_stranger = state is ImapState.NOT_AUTHENTICATED
    return limits.max_command_before_login if is_stranger else limits.max_command
