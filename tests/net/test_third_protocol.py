"""A protocol that nobody has written for the driver: greeting, lines, STARTTLS, a slow answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from kit.certificates import TestAuthority
from kit.smtp_service import SECONDS, Client, Run
from zajil.core.line_engine import End, LineBuffer, Wait
from zajil.net.admission import Admission
from zajil.net.limits import SessionLimits, SessionTable
from zajil.net.line_protocol import Connection, ConnectionStage
from zajil.net.line_service import LineService
from zajil.net.listener import bind
from zajil.net.peer import Peer
from zajil.net.stream import connect


class EchoEngine:
    """Lines to upper case; STARTTLS, QUIT."""

    def __init__(self, *, encrypted: bool) -> None:
        self.encrypted, self.close_reason = encrypted, ""
        self.input, self.out, self.tls, self.owed = LineBuffer(), [b"hello\r\n"], False, False

    def receive_data(self, data: bytes) -> None:
        self.input.add(data)

    def pending_size(self) -> int:
        return len(self.input)

    def next_event(self) -> bytes | Wait:
        if self.close_reason or self.owed:
            return Wait.CLOSED if self.close_reason else Wait.REPLY
        if self.tls and not self.input:
            return Wait.TLS
        line = self.input.take_line(80) if not self.tls else b"QUIT"
        self.owed = line is not None
        return Wait.DATA if line is None else line

    def reply(self, answer: bytes) -> None:
        self.owed, self.tls = False, answer == b"TLS"
        self.close_reason = "quit" if answer == b"BYE" else ""
        self.out.append(answer + b"\r\n")

    def data_to_send(self) -> bytes:
        data, self.out = b"".join(self.out), []
        return data

    def tls_established(self) -> None:
        self.encrypted, self.tls = True, False

    def end(self, end: End, reason: str = "") -> None:
        if not self.close_reason:
            self.close_reason = reason or end.value
            self.out.append(f"BYE {end.value}\r\n".encode())


class EchoSession:
    """Answers at once, but for ``slow``; ``news`` says that there is some."""

    def __init__(self, place: Place, engine: EchoEngine, connection: Connection) -> None:
        self.place, self.engine, self.connection = place, engine, connection

    def answer(self, event: bytes) -> bytes | Awaitable[bytes]:
        if event == b"slow":
            return self._later()
        if event == b"fault":
            raise ZeroDivisionError
        return {b"STARTTLS": b"TLS", b"QUIT": b"BYE"}.get(event, event.upper())

    async def _later(self) -> bytes:
        self.connection.wake()
        await self.place.gate.wait()
        await self.connection.flush()
        return b"SLOW"

    def news(self) -> None:
        self.engine.out.append(b"NEWS\r\n")

    def tls_started(self, version: str, cipher: str) -> None:
        self.place.reasons.append(version)

    def closed(self, reason: str) -> None:
        self.place.reasons.append(reason)


class Place:
    """The protocol, its service, and what its sessions saw."""

    goodbye = "quit"

    def __init__(self, idle_seconds: float = 60, **options: Any) -> None:
        self.shortest_seconds = idle_seconds
        self.gate = asyncio.Event()
        self.reasons: list[str] = []
        self.service = LineService(self, **options)
        self.sock = bind("127.0.0.1:0")
        self.port = self.sock.getsockname()[1]

    def make_engine(self, peer: Peer, *, encrypted: bool) -> EchoEngine:
        return EchoEngine(encrypted=encrypted)

    def make_session(self, peer: Peer, engine: EchoEngine, connection: Connection) -> EchoSession:
        return EchoSession(self, engine, connection)

    def last_words(self, end: End) -> bytes:
        return f"BYE {end.value}\r\n".encode()

    def stage(self, engine: EchoEngine) -> tuple[int, ConnectionStage]:
        return 0, ConnectionStage(self.shortest_seconds)

    async def client(self) -> Client:
        return Client(await connect("127.0.0.1", self.port, timeout=SECONDS))


def test_starttls_a_slow_answer_and_news(run: Run, authority: TestAuthority) -> None:
    async def main() -> None:
        place = Place(tls=authority.keeper("mx.example.org"))
        await place.service.serve(place.sock)
        client = await place.client()
        assert await client.line() == "hello"
        assert await client.ask(b"STARTTLS") == "TLS"
        await client.stream.start_tls(authority.client_context(), "mx.example.org", SECONDS)
        await client.say(b"slow\r\nnext\r\n")
        place.gate.set()
        assert [await client.line() for _ in range(3)] == ["SLOW", "NEXT", "NEWS"]
        assert await client.ask(b"QUIT") == "BYE"
        assert await client.line() == ""
        await place.service.drain(1.0)
        assert place.reasons == ["TLSv1.3", "quit"]

    run(main())


@pytest.mark.parametrize(
    ("sent", "words"),
    [(b"fault\r\n", "BYE fault"), (b"", "BYE timeout"), (b"STARTTLS\r\nx\r\n", "TLS")],
)
def test_it_ends_in_its_own_words(
    run: Run, authority: TestAuthority, sent: bytes, words: str
) -> None:
    """Also where bytes were injected after STARTTLS: the engine gives no ``Wait.TLS``."""

    async def main() -> None:
        place = Place(0.1, tls=authority.keeper("mx.example.org"))
        await place.service.serve(place.sock)
        client = await place.client()
        assert await client.line() == "hello"
        await client.say(sent)
        assert await client.line() == words
        assert await client.line() in ("", "BYE")
        await place.service.drain(1.0)
        assert len(place.reasons) == 1

    run(main())


def test_one_too_many_and_the_end_of_the_server(run: Run) -> None:
    async def main() -> None:
        admission = Admission(SessionTable().caps(0, SessionLimits(1, 0)))
        place = Place(admission=admission)
        await place.service.serve(place.sock)
        client = await place.client()
        assert await client.line() == "hello"
        other = await place.client()
        assert await other.line() == "BYE too many connections"
        await place.service.drain(1.0)
        assert await client.line() == "BYE shutdown"
        assert place.reasons == ["shutdown"]

    run(main())
