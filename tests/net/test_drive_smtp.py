"""The driver over real sockets, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import os
import resource
import smtplib
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from zajil.net.drive_smtp import SmtpService
from zajil.net.entrance import Entrance
from zajil.net.limits import SessionLimits, SessionTable
from zajil.net.listener import bind
from zajil.net.peer import Networks, Peer
from zajil.net.smtp_contract import SmtpLimits
from zajil.net.stream import BytesBeforeTls, Stream, connect
from zajil.smtp.command import BodyEnd, Command, Noop, Vrfy
from zajil.smtp.extensions import Offer
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection
from zajil.testing.certificates import TestAuthority
from zajil.testing.wire import example_policy

SECONDS = 10.0
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run_in_loop(coroutine: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(coroutine)

    return run_in_loop


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


class FakeSession:
    """Takes everything; ``VRFY slow`` waits for ``gate``, ``VRFY fault`` is a fault of ours."""

    def __init__(self, server: Server, conn: ServerConnection) -> None:
        self.server = server
        self.conn = conn
        self.body = b""

    def answer(self, event: Command | BodyEnd) -> Reply | Awaitable[Reply]:
        if isinstance(event, BodyEnd):
            self.server.bodies.append(self.body)
            self.body = b""
            return self._later(event)
        if isinstance(event, Vrfy) and event.argument == "slow":
            return self._later(event)
        if isinstance(event, Vrfy) and event.argument == "fault":
            raise ZeroDivisionError("a fault of ours")
        if isinstance(event, Vrfy) and event.argument == "fault later":
            return self._fail()
        return example_policy(event)

    async def _later(self, event: Command | BodyEnd) -> Reply:
        self.server.waiting.set()
        await self.server.gate.wait()
        return example_policy(event)

    async def _fail(self) -> Reply:
        raise ZeroDivisionError("a fault of ours")

    def take_body(self, chunk: bytes) -> Awaitable[None] | None:
        self.body += chunk
        return None

    def tls_started(self, version: str, cipher: str) -> None:
        self.server.tls_versions.append(version)

    def closed(self, reason: str) -> None:
        self.server.reasons.put_nowait(reason)


class Server:
    """A service on a free port, and what its sessions saw."""

    def __init__(self, *, starttls: bool = False, **options: Any) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self.bodies: list[bytes] = []
        self.tls_versions: list[str] = []
        self.reasons: asyncio.Queue[str] = asyncio.Queue()
        self.peers: list[Peer] = []
        offer = Offer("mx.example.org", 1_000_000, starttls=starttls)
        self.service = SmtpService(self._make_session, offer, **options)
        self.sock = bind("127.0.0.1:0")
        self.port = self.sock.getsockname()[1]

    def _make_session(self, peer: Peer, conn: ServerConnection) -> FakeSession:
        self.peers.append(peer)
        return FakeSession(self, conn)

    async def __aenter__(self) -> Server:
        await self.service.serve(self.sock)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await self.service.drain(0)

    async def reason(self) -> str:
        return await asyncio.wait_for(self.reasons.get(), SECONDS)

    async def client(self) -> Client:
        return Client(await connect("127.0.0.1", self.port, timeout=SECONDS))


class Client:
    """Speaks lines."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._unread = b""

    async def say(self, data: bytes) -> None:
        await self.stream.write(data, SECONDS)

    async def line(self) -> str:
        """Give the last line of the next reply; ``""``: closed."""
        while True:
            while b"\r\n" not in self._unread:
                data = await self.stream.read(SECONDS)
                if not data:
                    return ""
                self._unread += data
            line, _, self._unread = self._unread.partition(b"\r\n")
            if line[3:4] != b"-":
                return line.decode()

    async def ask(self, command: bytes) -> str:
        await self.say(command + b"\r\n")
        return await self.line()


ENVELOPE = b"EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n"


def test_a_mail_and_its_session(run: Run) -> None:
    async def main() -> None:
        async with Server() as server:
            client = await server.client()
            assert (await client.line()).startswith("220 mx.example.org")
            await client.say(ENVELOPE + b"text\r\n.\r\nQUIT\r\n")
            codes = [(await client.line())[:3] for _ in range(6)]
            assert codes == ["250", "250", "250", "354", "250", "221"]
            assert await client.line() == ""
            assert await server.reason() == "quit"
            assert server.bodies == [b"text\r\n"]
            assert str(server.peers[0].address) == "127.0.0.1"
            assert server.peers[0].local == f"127.0.0.1:{server.port}"
            await client.stream.close()
            assert server.reasons.empty()

    run(main())


def test_pipelined_commands_wait_for_an_answer(run: Run) -> None:
    async def main() -> None:
        async with Server() as server:
            server.gate.clear()
            client = await server.client()
            await client.line()
            await client.say(b"VRFY slow\r\n")
            await asyncio.wait_for(server.waiting.wait(), SECONDS)
            await client.say(b"NOOP\r\nQUIT\r\n")
            server.gate.set()
            assert [(await client.line())[:3] for _ in range(3)] == ["252", "250", "221"]
            await client.stream.close()

    run(main())


def test_reading_stops_while_an_answer_is_awaited(run: Run) -> None:
    """A peer that pipelines without end must not fill the memory."""

    async def main() -> None:
        async with Server() as server:
            server.gate.clear()
            client = await server.client()
            await client.line()
            await client.say(b"VRFY slow\r\n")
            await asyncio.wait_for(server.waiting.wait(), SECONDS)
            session = next(iter(server.service._connections))
            many = b"NOOP\r\n" * 2_000_000
            with pytest.raises(TimeoutError):
                await client.stream.write(many, 0.3)
            assert session.conn.pending_size() < 600_000
            client.stream._transport.abort()

    run(main())


def test_a_peer_that_goes_away_while_its_mail_is_committed(run: Run) -> None:
    """The commit goes on; the session hears of the end once, and last."""

    async def main() -> None:
        async with Server() as server:
            server.gate.clear()
            client = await server.client()
            await client.say(ENVELOPE + b"text\r\n.\r\n")
            await asyncio.wait_for(server.waiting.wait(), SECONDS)
            client.stream._transport.abort()
            await client.stream.close()
            assert server.reasons.empty()
            server.gate.set()
            assert await server.reason() != "quit"
            assert server.reasons.empty()
            assert server.service.session_count == 0

    run(main())


def test_a_half_closed_peer_gets_its_answer(run: Run) -> None:
    async def main() -> None:
        async with Server() as server:
            server.gate.clear()
            client = await server.client()
            await client.say(ENVELOPE + b"text\r\n.\r\n")
            client.stream._transport.write_eof()
            await asyncio.wait_for(server.waiting.wait(), SECONDS)
            server.gate.set()
            codes = [(await client.line())[:3] for _ in range(6)]
            assert codes == ["220", "250", "250", "250", "354", "250"]
            assert await client.line() == ""
            assert await server.reason() == "peer closed"

    run(main())


@pytest.mark.parametrize("command", [b"VRFY fault", b"VRFY fault later"])
def test_a_fault_of_ours_is_421_and_ends_that_session_alone(run: Run, command: bytes) -> None:
    async def main() -> None:
        async with Server() as server:
            other = await server.client()
            await other.line()
            client = await server.client()
            await client.line()
            assert (await client.ask(command)).startswith("421 4.3.0 ")
            assert await client.line() == ""
            assert await server.reason() == "fault ZeroDivisionError: a fault of ours"
            assert (await other.ask(b"NOOP")).startswith("250")
            await other.stream.close()

    run(main())


def test_silence_ends_in_421(run: Run) -> None:
    async def main() -> None:
        async with Server(limits=SmtpLimits(idle_seconds=0.05)) as server:
            client = await server.client()
            await client.line()
            assert (await client.line()).startswith("421 4.4.2 ")
            assert await server.reason() == "timeout"

    run(main())


@pytest.mark.parametrize(
    "limits",
    [SessionLimits(2, 0), SessionLimits(9, 2), SessionLimits(9, 0, 2)],
    ids=["all", "address", "network"],
)
def test_one_connection_too_many(run: Run, limits: SessionLimits) -> None:
    async def main() -> None:
        async with Server(entrance=Entrance(SessionTable().caps(0, limits))) as server:
            first, second = await server.client(), await server.client()
            await first.line()
            await second.line()
            third = await server.client()
            assert (await third.line()).startswith("421 4.7.0 ")
            assert await third.line() == ""
            await first.ask(b"QUIT")
            assert await server.reason() == "quit"
            fourth = await server.client()
            assert (await fourth.line()).startswith("220")
            for client in (first, second, third, fourth):
                await client.stream.close()

    run(main())


def test_too_many_errors(run: Run) -> None:
    async def main() -> None:
        async with Server(limits=SmtpLimits(errors=2)) as server:
            client = await server.client()
            await client.say(b"A\r\nB\r\nC\r\n")
            lines = [await client.line() for _ in range(5)]
            assert [line[:3] for line in lines] == ["220", "500", "500", "421", ""]
            assert await server.reason() == "too many errors"

    run(main())


# ---- TLS -----------------------------------------------------------------------------------------


def test_starttls(run: Run, authority: TestAuthority) -> None:
    async def main() -> None:
        tls = authority.server_context("mx.example.org")
        async with Server(starttls=True, tls=tls) as server:
            client = await server.client()
            await client.line()
            assert (await client.ask(b"EHLO c")).startswith("250 STARTTLS")
            assert (await client.ask(b"STARTTLS")).startswith("220")
            await client.stream.start_tls(authority.client_context(), "mx.example.org", SECONDS)
            assert client.stream.encryption is not None
            assert client.stream.encryption.verified
            assert (await client.ask(b"EHLO c")) == "250 SMTPUTF8"
            await client.say(ENVELOPE[16:] + b"x" * 70 + b"\r\n.\r\n")
            assert [(await client.line())[:3] for _ in range(4)] == ["250", "250", "354", "250"]
            await client.ask(b"QUIT")
            assert await server.reason() == "quit"
            assert server.tls_versions == ["TLSv1.3"]
            await client.stream.close()

    run(main())


def test_implicit_tls(run: Run, authority: TestAuthority) -> None:
    async def main() -> None:
        tls = authority.server_context("mx.example.org")
        async with Server(implicit_tls=True, tls=tls) as server:
            client = await server.client()
            await client.stream.start_tls(authority.client_context(), "mx.example.org", SECONDS)
            assert (await client.line()).startswith("220")
            assert server.tls_versions == ["TLSv1.3"]
            await client.ask(b"QUIT")
            assert await server.reason() == "quit"
            await client.stream.close()

    run(main())


@pytest.mark.parametrize("separately", [False, True], ids=["same packet", "next packet"])
def test_bytes_behind_starttls_are_never_commands(
    run: Run, authority: TestAuthority, separately: bool
) -> None:
    """CVE-2011-0411, over a real socket: the injected command is not answered in the clear, nor
    after the handshake."""

    async def main() -> None:
        tls = authority.server_context("mx.example.org")
        async with Server(starttls=True, tls=tls) as server:
            client = await server.client()
            await client.line()
            await client.ask(b"EHLO c")
            if separately:
                assert (await client.ask(b"STARTTLS")).startswith("220")
                await client.say(b"EHLO injected.example\r\n")
                assert (await server.reason()).startswith("TLS failed")
            else:
                await client.say(b"STARTTLS\r\nEHLO injected.example\r\n")
                assert (await client.line()).startswith("220")
                assert await client.line() == ""
                assert await server.reason() == "bytes after STARTTLS"
            assert server.tls_versions == []
            await client.stream.close()

    run(main())


def test_a_failed_handshake_ends_the_session_once(run: Run, authority: TestAuthority) -> None:
    async def main() -> None:
        tls = authority.server_context("mx.example.org")
        async with Server(starttls=True, tls=tls) as server:
            client = await server.client()
            await client.line()
            await client.ask(b"EHLO c")
            await client.ask(b"STARTTLS")
            with pytest.raises(ssl.SSLError):
                await client.stream.start_tls(ssl.create_default_context(), "x.test", SECONDS)
            await server.reason()
            assert server.service.session_count == 0
            assert server.reasons.empty()

    run(main())


def test_a_peer_that_never_shakes_hands(run: Run, authority: TestAuthority) -> None:
    async def main() -> None:
        tls = authority.server_context("mx.example.org")
        limits = SmtpLimits(handshake_seconds=0.1)
        async with Server(starttls=True, tls=tls, limits=limits) as server:
            client = await server.client()
            await client.line()
            await client.ask(b"EHLO c")
            await client.ask(b"STARTTLS")
            assert (await server.reason()).startswith("TLS failed")
            await client.stream.close()
        async with Server(implicit_tls=True, tls=tls, limits=limits) as server:
            client = await server.client()
            assert await client.line() == ""
            await client.stream.close()

    run(main())


def test_the_client_does_not_believe_bytes_before_its_handshake(run: Run) -> None:
    """Attack: response injection: a man in the middle adds replies behind the 220."""

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 go\r\n250 injected\r\n")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        stream = await connect("127.0.0.1", server.sockets[0].getsockname()[1], timeout=SECONDS)
        got = await stream.read(SECONDS)
        assert got == b"220 go\r\n250 injected\r\n"  # one read: the engine refuses it
        await stream.write(b"x", SECONDS)
        stream._protocol.data_received(b"250 injected\r\n")  # a later packet
        with pytest.raises(BytesBeforeTls):
            await stream.start_tls(ssl.create_default_context(), "x.test", SECONDS)
        await stream.close()
        server.close()

    run(main())


# ---- the end -------------------------------------------------------------------------------------


def test_drain_lets_a_mail_in_flight_end(run: Run) -> None:
    async def main() -> None:
        server = Server()
        await server.service.serve(server.sock)
        idle = await server.client()
        await idle.line()
        client = await server.client()
        await client.line()
        await client.say(ENVELOPE)
        assert [(await client.line())[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        draining = asyncio.ensure_future(server.service.drain(SECONDS))
        assert (await idle.line()).startswith("421 4.3.2 ")
        assert await server.reason() == "shutdown"
        await client.say(b"text\r\n.\r\n")
        assert (await client.line())[:3] == "250"
        assert (await client.line()).startswith("421 4.3.2 ")
        await draining
        assert await server.reason() == "shutdown"
        assert server.service.session_count == 0
        with pytest.raises(OSError, match=r"."):
            await connect("127.0.0.1", server.port, timeout=SECONDS)
        await client.stream.close()
        await idle.stream.close()

    run(main())


def test_drain_does_not_wait_for_ever(run: Run) -> None:
    async def main() -> None:
        server = Server()
        server.gate.clear()
        await server.service.serve(server.sock)
        client = await server.client()
        await client.say(ENVELOPE + b"text\r\n.\r\n")
        await asyncio.wait_for(server.waiting.wait(), SECONDS)
        await server.service.drain(0.05)
        assert await server.reason() == "shutdown"
        lines = [await client.line() for _ in range(6)]
        assert lines[-1].startswith("421 4.3.2 ")
        await client.stream.close()

    run(main())


@pytest.mark.parametrize("implicit_tls", [False, True], ids=["plain", "tls"])
def test_a_full_table_of_files_is_survived(
    run: Run, authority: TestAuthority, implicit_tls: bool
) -> None:
    """EMFILE: no spinning, no dead listener; it serves again when there are files."""

    async def main() -> None:
        tls = authority.server_context("mx.example.org") if implicit_tls else None
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)  # asyncio reports EMFILE
        async with Server(implicit_tls=implicit_tls, tls=tls) as server:
            sockets = [socket.socket() for _ in range(3)]
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            highest = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
            filler: list[int] = []
            try:
                while True:
                    try:
                        filler.append(os.dup(0))
                    except OSError:
                        break
                for sock in sockets:
                    sock.setblocking(False)
                    sock.connect_ex(("127.0.0.1", server.port))
                turned = asyncio.Event()
                loop.call_later(0.1, turned.set)
                await turned.wait()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for number in filler:
                    os.close(number)
                for sock in sockets:
                    sock.close()
            client = await server.client()
            if implicit_tls:
                await client.stream.start_tls(authority.client_context(), "mx.example.org", SECONDS)
            assert (await client.line()).startswith("220")
            await client.stream.close()

    run(main())


def test_smtplib_agrees(run: Run, authority: TestAuthority, tmp_path: Path) -> None:
    def send(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as client:
            context = authority.client_context()
            context.check_hostname = False
            client.starttls(context=context)
            client.sendmail("a@x.example", ["b@y.example"], b"Subject: x\r\n\r\n.dot\r\n" * 400)

    async def main() -> None:
        tls = authority.server_context("mx.example.org")
        async with Server(starttls=True, tls=tls) as server:
            await asyncio.to_thread(send, server.port)
            assert await server.reason() == "quit"
            assert server.bodies == [b"Subject: x\r\n\r\n.dot\r\n" * 400]

    run(main())


def test_noop_is_answered_without_a_task(run: Run) -> None:
    """A mail costs one task, not six: synchronous answers leave in the same turn."""

    async def main() -> None:
        async with Server() as server:
            client = await server.client()
            await client.line()
            before = len(asyncio.all_tasks())
            assert (await client.ask(b"NOOP")) == "250 2.0.0 ok"
            assert len(asyncio.all_tasks()) == before
            assert isinstance(example_policy(Noop()), Reply)
            await client.stream.close()

    run(main())


# ---- time, last words, early talkers, proxies ----------------------------------------------------


def test_a_command_that_trickles_in_is_silence(run: Run) -> None:
    """Attack: slow loris: part of a command is no sign of life."""

    async def main() -> None:
        async with Server(limits=SmtpLimits(idle_seconds=0.1)) as server:
            client = await server.client()
            await client.line()
            answer = asyncio.ensure_future(client.line())
            while not answer.done():
                await client.say(b"N")
                await asyncio.wait([answer], timeout=0.02)
            assert answer.result().startswith("421 4.4.2 ")
            assert await server.reason() == "timeout"
            await client.stream.close()

    run(main())


def test_a_mail_that_trickles_in_has_its_time(run: Run) -> None:
    async def main() -> None:
        async with Server(limits=SmtpLimits(mail_seconds=0.1)) as server:
            client = await server.client()
            await client.say(ENVELOPE)
            codes = [(await client.line())[:3] for _ in range(5)]
            assert codes[-1] == "354"
            answer = asyncio.ensure_future(client.line())
            while not answer.done():
                await client.say(b"x\r\n")
                await asyncio.wait([answer], timeout=0.02)
            assert answer.result().startswith("421 4.4.2 ")
            await client.stream.close()

    run(main())


def test_many_mails_one_after_the_other_are_not_one_that_trickles(run: Run) -> None:
    """Not even where every look meets a mail under way."""

    async def main() -> None:
        limits = SmtpLimits(mail_seconds=3600, idle_seconds=1e6)
        async with Server(limits=limits) as server:
            client = await server.client()
            await client.line()
            await client.ask(b"EHLO c.example")
            await client.ask(b"MAIL FROM:<a@example.org>")
            (connection,) = server.service._connections
            now = asyncio.get_running_loop().time()
            connection.check_time(now)
            await client.ask(b"RSET")
            await client.ask(b"MAIL FROM:<a@example.org>")
            connection.check_time(now + 3700)
            assert (await client.ask(b"NOOP")).startswith("250 ")
            connection.check_time(now + 3700)
            assert (await client.line()).startswith("421 4.4.2 ")
            await client.stream.close()

    run(main())


def test_who_talks_before_the_greeting_is_refused(run: Run) -> None:
    async def main() -> None:
        limits = SmtpLimits(greeting_delay_seconds=0.1)
        async with Server(limits=limits) as server:
            early, polite = await server.client(), await server.client()
            await early.say(b"EHLO c.example\r\n")
            assert (await early.line()).startswith("554 5.5.1 ")
            assert await early.line() == ""
            assert await server.reason() == "talked before the greeting"
            assert (await polite.line()).startswith("220 ")
            assert (await polite.ask(b"NOOP")).startswith("250")
            await early.stream.close()
            await polite.stream.close()

    run(main())


def test_last_words_are_not_lost_by_a_reset(run: Run) -> None:
    """A peer that goes on sending still reads why it was refused."""

    async def main() -> None:
        entrance = Entrance(SessionTable().caps(0, SessionLimits(1, 0)))
        async with Server(entrance=entrance) as server:
            first = await server.client()
            await first.line()
            second = await server.client()
            await second.say(b"EHLO c.example\r\n" * 1000)
            assert (await second.line()).startswith("421 4.7.0 ")
            assert await second.line() == ""
            await second.stream.close()
            await first.stream.close()

    run(main())


def test_a_named_proxy_says_whose_connection_it_is(run: Run, authority: TestAuthority) -> None:
    async def main() -> None:
        tls = authority.server_context("mx.example.org")
        header = b"PROXY TCP4 192.0.2.1 192.0.2.25 4711 25\r\n"
        async with Server(entrance=Entrance(proxies=Networks(["127.0.0.1"]))) as server:
            client = await server.client()
            await client.say(header + b"NOOP\r\n")
            assert (await client.line()).startswith("220 ")
            assert (await client.line()).startswith("250 ")
            assert str(server.peers[0]) == "192.0.2.1:4711"
            stranger = await server.client()
            await stranger.say(b"EHLO c.example\r\n")
            with pytest.raises(ConnectionResetError):
                await stranger.line()
            await client.stream.close()
            await stranger.stream.close()
        entrance = Entrance(proxies=Networks(["127.0.0.1"]))
        async with Server(implicit_tls=True, tls=tls, entrance=entrance) as server:
            client = await server.client()
            await client.say(header)
            await client.stream.start_tls(authority.client_context(), "mx.example.org", SECONDS)
            assert (await client.line()).startswith("220 ")
            assert str(server.peers[0]) == "192.0.2.1:4711"
            await client.stream.close()

    run(main())
