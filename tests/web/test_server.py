"""Connections of browsers have caps and limits of time, as those of mail programs have."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kit.certificates import TestAuthority
from kit.clock import FakeClock
from kit.store import NOW_MS
from zajil.net.admission import Admission
from zajil.net.floods import FloodCounter
from zajil.net.limits import SessionLimits, SessionTable
from zajil.net.peer import Networks
from zajil.tls.context import server_context
from zajil.tracking.events import ConnectionsRefused
from zajil.web.body_limit import SMALL_FORM, BodyLimit
from zajil.web.server import ConnectionRules, WebServer
from zajil.web.streams import event_stream

GET = b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n"
LARGE = bytes(range(256)) * 40_000
POST = b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 10\r\n\r\nhalf="


class Connection:
    """A browser's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def line(self) -> bytes:
        """Give the next line; nothing: the connection has ended."""
        try:
            return await self._reader.readline()
        except ConnectionResetError:
            return b""

    async def some(self) -> bytes:
        """Give what has come, or comes next."""
        return await self._reader.read(65536)

    async def exactly(self, count: int) -> bytes:
        """Give so many bytes."""
        return await self._reader.readexactly(count)

    async def rest(self) -> bytes:
        """Give everything up to the end of the connection."""
        try:
            return await self._reader.read()
        except ConnectionResetError:
            return b""


class Ours:
    """A server on a free port of 127.0.0.1."""

    def __init__(
        self,
        sessions: int,
        header_seconds: float,
        body_seconds: float,
        tls: ssl.SSLContext | None = None,
        reading_seconds: float = 60,
    ) -> None:
        self.refused: list[ConnectionsRefused] = []
        self.floods = FloodCounter("web", FakeClock(NOW_MS), self._report)
        caps = SessionTable().caps(0, SessionLimits(sessions, 0, 0))
        entrance = Admission(caps, self.floods)
        admission = ConnectionRules(
            entrance, entrance, Networks(), header_seconds, 1, reading_seconds
        )
        self.socket = socket.create_server(("127.0.0.1", 0))
        limit = Middleware(BodyLimit, most=1 << 20, seconds=body_seconds)
        routes = [
            Route("/", answer, methods=["GET", "POST"]),
            Route("/login", answer, methods=["POST"]),
            Route("/stream", stream),
            Route("/large", large),
            Route("/medium", medium),
        ]
        self.made = 0

        def make_pages() -> Starlette:
            self.made += 1
            return Starlette(routes=routes, middleware=[limit])

        self.hellos: list[bytes] = []

        def choose(hello: bytes) -> ssl.SSLContext:
            assert tls is not None
            self.hellos.append(hello)
            return tls

        chooser = None if tls is None else choose
        self.server = WebServer(make_pages, [self.socket], admission, chooser)

    def _report(self, events: Sequence[ConnectionsRefused]) -> None:
        self.refused += events

    @asynccontextmanager
    async def connected(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Connection]:
        reader, writer = await asyncio.open_connection(*self.socket.getsockname(), ssl=tls)
        try:
            yield Connection(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def answer(request: Request) -> Response:
    await request.body()
    return PlainTextResponse("here")


async def large(request: Request) -> Response:
    return Response(LARGE)


async def medium(request: Request) -> Response:
    return Response(LARGE[:50_000])


async def stream(request: Request) -> Response:
    async def events() -> AsyncIterator[str]:
        yield "event: one\ndata: -\n\n"
        await asyncio.Event().wait()

    return event_stream(request, events())


@asynccontextmanager
async def serving(
    sessions: int = 10,
    header_seconds: float = 60,
    body_seconds: float = 60,
    tls: ssl.SSLContext | None = None,
    reading_seconds: float = 60,
) -> AsyncIterator[Ours]:
    ours = Ours(sessions, header_seconds, body_seconds, tls, reading_seconds)
    run = asyncio.create_task(ours.server.run())
    try:
        yield ours
    finally:
        await ours.server.drain(0)
        await run
        ours.floods.close()


def test_the_pages_are_made_once_at_the_first_connection() -> None:
    async def run() -> list[int]:
        async with serving() as ours:
            await asyncio.sleep(0)
            made = [ours.made]
            for _ in range(2):
                async with ours.connected() as one:
                    one.send(GET)
                    assert b"200 OK" in await one.line()
                made.append(ours.made)
        return made

    assert asyncio.run(run()) == [0, 1, 1]


def test_a_server_that_nobody_visits_ends_and_closes_its_socket() -> None:
    async def run() -> Ours:
        async with serving() as ours:
            await asyncio.sleep(0)
        return ours

    ours = asyncio.run(run())
    assert (ours.made, ours.socket.fileno()) == (0, -1)


def test_connections_above_the_cap_are_closed() -> None:
    async def run() -> list[ConnectionsRefused]:
        async with serving(sessions=2) as ours, ours.connected() as one:
            async with ours.connected() as two, ours.connected() as three:
                for connection in (one, two):
                    connection.send(GET)
                    assert b"200 OK" in await connection.line()
                three.send(GET)
                assert await three.rest() == b""
            # A place that becomes free is given away.
            line = b""
            while not line:
                async with ours.connected() as four:
                    four.send(GET)
                    line = await four.line()
            assert b"200 OK" in line
        return ours.refused

    event = asyncio.run(run())[0]
    assert event.service == "web"
    assert event.reason == "too many sessions in all"


@pytest.mark.parametrize(
    "start", [b"", b"GET / HTTP/1.1\r\nHost: x", GET + b"GET / HT"], ids=["none", "half", "second"]
)
def test_a_header_section_that_does_not_end_ends_the_connection(start: bytes) -> None:
    """Slow header sections hold no connection for long."""

    async def run() -> list[ConnectionsRefused]:
        async with serving(header_seconds=1) as ours, ours.connected() as browser:
            browser.send(start)
            assert (await browser.rest()).count(b"200 OK") == start.count(GET)
        return ours.refused

    events = asyncio.run(run())
    # Behind a whole request it is uvicorn that ends it.
    assert [event.reason for event in events] == ["no request in time"] * (not start.count(GET))


def test_a_body_that_does_not_come_is_answered_with_408() -> None:
    async def run() -> None:
        async with (
            serving(header_seconds=1, body_seconds=2) as ours,
            ours.connected() as browser,
        ):
            browser.send(POST)
            assert b"408" in await browser.line()
            await browser.rest()

    asyncio.run(run())


def test_a_request_that_lasts_is_not_cut_by_the_time_for_headers() -> None:
    async def run() -> None:
        async with (
            serving(header_seconds=1) as ours,
            ours.connected() as browser,
            ours.connected() as silent,
        ):
            browser.send(POST)
            assert await silent.rest() == b""  # that time is over
            browser.send(b"there")
            assert b"200 OK" in await browser.line()

    asyncio.run(run())


def test_a_stream_does_not_hold_the_end_of_the_server_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is closed at once; uvicorn would end it by force, with a traceback in the log."""

    async def run() -> None:
        async with serving() as ours, ours.connected() as browser:
            browser.send(GET.replace(b"GET /", b"GET /stream"))
            assert b"200 OK" in await browser.line()
            await ours.server.drain(0)
            await browser.rest()

    asyncio.run(run())
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []


def test_what_is_no_request_is_counted_and_answered_once(caplog: pytest.LogCaptureFixture) -> None:
    """Attack: strangers fill the log with lines and tracebacks, or leave HTTP/1.1.

    Behind a request, what is no HTTP comes while its page is made, or while it is sent.
    """
    late = GET.replace(b"GET / HTTP/1.1", b"POST /login HTTP/1.1\r\nTransfer-Encoding: chunked")
    fields = b"x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    upgrade = GET.replace(b"x.test\r\n", fields)
    stream = GET.replace(b"GET /", b"GET /stream")
    broken = [b"GET /\r\n\r\n", b"\x16\x03\x01" * 9, late + b"junk\r\n", GET + b"junk\r\n\r\n"]

    async def run() -> list[ConnectionsRefused]:
        async with serving() as ours:
            for data in broken:
                async with ours.connected() as one:
                    one.send(data)
                    assert (await one.rest()).count(b"400 Bad Request") == 1
            async with ours.connected() as one, ours.connected() as two:
                one.send(upgrade)
                assert b"200 OK" in await one.line()
                async with ours.connected() as gone:
                    gone.send(POST)
                    await asyncio.sleep(0.1)
                two.send(stream.replace(b"GET", b"POST") + b"junk\r\n\r\n")
                await two.line()
            async with ours.connected() as three:
                three.send(stream.replace(b"\r\n", b"\r\nTransfer-Encoding: chunked\r\n", 1))
                assert b"200 OK" in await three.line()
                three.send(b"junk\r\n")
                await three.rest()
        return ours.refused

    events = asyncio.run(run())
    assert {(event.reason, event.count) for event in events} == {("not a request of HTTP", 6)}
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []


def test_the_form_of_a_log_in_is_small() -> None:
    """Whoever has not logged in may not make us take large forms apart."""

    async def run() -> None:
        async with serving() as ours:
            for size, status in ((SMALL_FORM, b"200"), (SMALL_FORM + 1, b"413")):
                head = f"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
                async with ours.connected() as browser:
                    browser.send(head.encode() + b"&" * size)
                    assert status in await browser.line()

    asyncio.run(run())


# ---- HTTPS ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Give the context of a server, and that of a browser."""
    authority = TestAuthority(tmp_path_factory.mktemp("authority"))
    ours = server_context(*authority.issue("127.0.0.1"))
    return ours, ssl.create_default_context(cafile=str(authority.ca_file))


Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


def test_a_large_answer_reaches_a_slow_browser_whole(tls: Contexts) -> None:
    async def run() -> bytes:
        async with serving(tls=tls[0]) as ours, ours.connected(tls[1]) as browser:
            browser.send(GET.replace(b"/ ", b"/large ", 1) + GET)
            assert b"200 OK" in await browser.line()
            await asyncio.sleep(0.2)  # the server meanwhile fills all buffers, and waits
            while await browser.line() != b"\r\n":
                pass
            body = await browser.exactly(len(LARGE))
            assert b"200 OK" in await browser.line()  # the second request on the connection
            return body

    assert asyncio.run(run()) == LARGE


@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("path", [b"/large", b"/medium"])
def test_a_browser_that_does_not_read_loses_its_connection(
    tls: Contexts, is_tls: bool, path: bytes
) -> None:
    """Attack: connections whose answers nobody reads are held for ever."""

    async def run() -> list[ConnectionsRefused]:
        async with (
            serving(tls=tls[0] if is_tls else None, reading_seconds=1) as ours,
            ours.connected(tls[1] if is_tls else None) as browser,
        ):
            browser.send(GET.replace(b"/", path, 1) * 1000)
            await browser.line()  # the pages were made
            for _ in range(600):
                await asyncio.sleep(0.1)
                if not ours.server.count():
                    return ours.refused
            pytest.fail("the connection is still open")

    reasons = {event.reason for event in asyncio.run(run())}
    assert reasons == {"answer not read in time"}


def test_a_browser_that_reads_slowly_keeps_its_connection(tls: Contexts) -> None:
    async def run() -> int:
        async with (
            serving(tls=tls[0], reading_seconds=0.5) as ours,
            ours.connected(tls[1]) as browser,
        ):
            browser.send(GET.replace(b"/ ", b"/large ", 1))
            for _ in range(4):
                await asyncio.sleep(0.4)
                await browser.exactly(2_000_000)
            return len(await browser.exactly(2_000_000))

    assert asyncio.run(run()) == 2_000_000


def test_connections_count_before_their_handshake(tls: Contexts) -> None:
    """Attack: connections that never begin TLS would be counted nowhere."""

    async def run() -> list[ConnectionsRefused]:
        async with serving(sessions=2, tls=tls[0]) as ours:
            async with ours.connected() as one, ours.connected() as two:
                async with ours.connected() as three:
                    three.send(b"\x16")
                    assert await three.rest() == b""
                assert await one.rest() == b""  # the time for the handshake is over
                assert await two.rest() == b""
            async with ours.connected(tls[1]) as browser:
                browser.send(GET)
                assert b"200 OK" in await browser.line()
        return ours.refused

    reasons = {event.reason for event in asyncio.run(run())}
    assert reasons == {"too many sessions in all", "TLS handshake failed"}


def test_a_slow_request_over_tls_ends(tls: Contexts) -> None:
    async def run() -> list[ConnectionsRefused]:
        async with (
            serving(header_seconds=1, tls=tls[0]) as ours,
            ours.connected(tls[1]) as browser,
        ):
            browser.send(b"GET / HTTP/1.1\r\nHost: x")
            assert await browser.rest() == b""
        return ours.refused

    assert [event.reason for event in asyncio.run(run())] == ["no request in time"]


def test_a_stream_over_tls_ends_with_the_server_and_with_the_browser(tls: Contexts) -> None:
    async def run() -> None:
        async with serving(tls=tls[0]) as ours, ours.connected(tls[1]) as stays:
            async with ours.connected(tls[1]) as leaves:
                for browser in (stays, leaves):
                    browser.send(GET.replace(b"/ ", b"/stream ", 1))
                    assert b"200 OK" in await browser.line()
            async with ours.connected() as waits:  # no handshake: nothing to wait for
                await ours.server.drain(0)
                assert await waits.rest() == b""
            assert b"event: one" in await stays.rest()

    asyncio.run(run())


def test_a_handshake_may_come_in_pieces(tls: Contexts) -> None:
    """What chooses the certificate sees the whole ClientHello, which has no room in one packet."""

    async def run() -> list[bytes]:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = tls[1].wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        async with serving(tls=tls[0]) as ours, ours.connected() as browser:
            is_done = False
            while not is_done:
                with suppress(ssl.SSLWantReadError):
                    client.do_handshake()
                    is_done = True
                for octet in outgoing.read():
                    browser.send(bytes([octet]))
                    await asyncio.sleep(0)
                if not is_done:
                    incoming.write(await browser.some())
            client.write(GET)
            browser.send(outgoing.read())
            answer = b""
            while b"200 OK" not in answer:
                incoming.write(await browser.some())
                with suppress(ssl.SSLWantReadError):
                    answer += client.read(1000)
            return ours.hellos

    (hello,) = asyncio.run(run())
    assert len(hello) == 5 + int.from_bytes(hello[3:5], "big")
