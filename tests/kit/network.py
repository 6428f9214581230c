"""An SMTP server for tests on a real socket: it answers, cuts, and stays silent as it is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import cast

from zajil.core.line_engine import Wait
from zajil.smtp.command import (
    BodyChunk,
    BodyEnd,
    Command,
    Data,
    Ehlo,
    Event,
    Mail,
    Quit,
    Rcpt,
    StartTls,
)
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection


class Deed(Enum):
    """What a bad peer does in the place of a reply."""

    CUT = auto()
    """Close the connection at once."""
    SILENCE = auto()
    """Never answer, keep the connection."""
    DRIBBLE = auto()
    """Begin a reply and never end it: a byte every few milliseconds."""


Answer = Callable[[Command | BodyEnd, "SinkSession"], Reply | Deed | None]
"""What to do; ``None``: what a good server does."""


@dataclass(slots=True)
class SunkMail:
    """What one transaction brought."""

    session: int
    """Number of the connection, from 1."""
    mail: Mail
    recipients: list[str] = field(default_factory=list)
    """Those that were accepted, in wire form."""
    message: bytes = b""
    encrypted: bool = False
    complete: bool = False
    """The final dot came."""


class SmtpSink:
    """Takes mail and keeps it."""

    def __init__(
        self, *, answer: Answer | None = None, greeting: Reply | Deed | None = None
    ) -> None:
        self.answer: Answer = answer or (lambda event, session: None)
        self.greeting = greeting or Reply(220, ("sink.test ESMTP",))
        self.offer = Capabilities(hostname="sink.test", max_message_size=10_000_000)
        self.tls: ssl.SSLContext | None = None
        """Set before the first connection, STARTTLS is offered."""
        self.implicit_tls = False
        """TLS begins with the first byte."""
        self.mails: list[SunkMail] = []
        self.events: list[Event] = []
        self.sessions: list[SinkSession] = []
        self.arrived = asyncio.Event()
        """Set whenever a final dot comes."""
        self.port = 0

    @property
    def open_sessions(self) -> int:
        """How many connections are open now."""
        return sum(session.is_open for session in self.sessions)


@asynccontextmanager
async def smtp_sink(
    *,
    answer: Answer | None = None,
    greeting: Reply | Deed | None = None,
    tls: ssl.SSLContext | None = None,
    smtputf8: bool = True,
    max_size: int = 10_000_000,
    auth: Sequence[str] = (),
    implicit_tls: bool = False,
) -> AsyncIterator[SmtpSink]:
    """Run a sink on a free port of 127.0.0.1; its connections end with it."""
    sink = SmtpSink(answer=answer, greeting=greeting)
    sink.tls = tls
    sink.implicit_tls = implicit_tls
    sink.offer = Capabilities(
        hostname="sink.test",
        max_message_size=max_size,
        smtputf8=smtputf8,
        starttls=tls is not None and not implicit_tls,
        auth_mechanisms=tuple(auth),
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SinkSession(sink), "127.0.0.1", 0, ssl=tls if implicit_tls else None
    )
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        for session in sink.sessions:
            session.cut()
        await asyncio.gather(*(session.closed.wait() for session in sink.sessions))


class SinkSession(asyncio.Protocol):
    """One connection to a sink."""

    def __init__(self, sink: SmtpSink) -> None:
        self.sink = sink
        self.number = 0
        self.is_open = False
        self.closed = asyncio.Event()
        self.conn: ServerConnection | None = None
        self.current: SunkMail | None = None
        self._transport: asyncio.Transport | None = None
        self._work: asyncio.Task[None] | None = None
        self._early: list[bytes] = []
        self._silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast(asyncio.Transport, transport)
        self.sink.sessions.append(self)
        self.number = len(self.sink.sessions)
        self.is_open = True
        greeting = self.sink.greeting
        if isinstance(greeting, Deed):
            self.conn = ServerConnection(self.sink.offer, Reply(220, ("never said",)))
            self.conn.data_to_send()
            self._do(greeting)
        else:
            self.conn = ServerConnection(
                self.sink.offer, greeting, encrypted=self.sink.implicit_tls
            )
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.is_open = False
        self.closed.set()
        if self._work is not None:
            self._work.cancel()

    def data_received(self, data: bytes) -> None:
        """Feed the engine."""
        if self._silent:
            return
        if self._work is not None:
            self._early.append(data)
            return
        assert self.conn is not None
        self.conn.receive_data(data)
        self._advance()

    def cut(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        conn = self.conn
        assert conn is not None
        while not isinstance(event := conn.next_event(), Wait):
            self.sink.events.append(event)
            if isinstance(event, BodyChunk):
                assert self.current is not None
                self.current.message += event.data
                continue
            if isinstance(event, BodyEnd):
                self._note_end()
            answer = self.sink.answer(event, self) or self._good_answer(event)
            if isinstance(answer, Deed):
                self._flush()
                self._do(answer)
                return
            if answer.accepts:
                self._note(event)
            conn.reply(answer)
        self._flush()
        if event is Wait.TLS:
            self._work = asyncio.create_task(self._start_tls())
        elif event is Wait.CLOSED and self._transport is not None:
            self._transport.close()

    def _good_answer(self, event: Command | BodyEnd) -> Reply:
        assert self.conn is not None
        match event:
            case Ehlo():
                return self.sink.offer.ehlo_reply(self.conn.encrypted)
            case Data():
                return Reply(354, ("go ahead",))
            case BodyEnd():
                return Reply(250, (f"2.0.0 queued as sink-{len(self.sink.mails)}",))
            case StartTls():
                return Reply(220, ("2.0.0 ready to start TLS",))
            case Quit():
                return Reply(221, ("2.0.0 bye",))
        return Reply(250, ("2.0.0 ok",))

    def _note(self, event: Command | BodyEnd) -> None:
        if isinstance(event, Mail):
            assert self.conn is not None
            self.current = SunkMail(self.number, event, encrypted=self.conn.encrypted)
        elif isinstance(event, Rcpt) and self.current is not None:
            self.current.recipients.append(str(event.forward_path))

    def _note_end(self) -> None:
        assert self.current is not None
        self.current.complete = True
        self.sink.mails.append(self.current)
        self.sink.arrived.set()

    def _do(self, deed: Deed) -> None:
        self._silent = True
        if deed is Deed.CUT:
            self.cut()
        elif deed is Deed.DRIBBLE:
            self._work = asyncio.create_task(self._dribble())

    async def _dribble(self) -> None:
        assert self._transport is not None
        self._transport.write(b"250-")
        while True:
            await asyncio.sleep(0.005)
            self._transport.write(b"x")

    async def _start_tls(self) -> None:
        assert self._transport is not None
        assert self.conn is not None
        assert self.sink.tls is not None
        try:
            self._transport = await asyncio.get_running_loop().start_tls(
                self._transport, self, self.sink.tls, server_side=True
            )
        except OSError:
            self.cut()
            return
        self._work = None
        if self._transport is None:
            return
        self.conn.tls_established()
        for data in self._early:
            self.conn.receive_data(data)
        self._advance()

    def _flush(self) -> None:
        assert self.conn is not None
        data = self.conn.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)
