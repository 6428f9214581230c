"""The driver over real sockets: TLS, and proxies in front of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress

import pytest

from kit.certificates import TestAuthority
from kit.clock import FakeClock
from kit.smtp_service import ENVELOPE, SECONDS, FakeSession, Run, Server
from zajil.net.admission import Admission
from zajil.net.floods import FloodCounter
from zajil.net.limits import SessionLimits, SessionTable
from zajil.net.line_protocol import Connection
from zajil.net.peer import Networks, Peer
from zajil.net.smtp_service import SmtpLimits
from zajil.net.stream import BytesBeforeTls, connect
from zajil.smtp.server import ServerConnection


def test_starttls(run: Run, authority: TestAuthority) -> None:
    async def main() -> None:
        tls = authority.keeper("mx.example.org")
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
        tls = authority.keeper("mx.example.org")
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
        tls = authority.keeper("mx.example.org")
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
        tls = authority.keeper("mx.example.org")
        async with Server(starttls=True, tls=tls) as server:
            client = await server.client()
            await client.line()
            await client.ask(b"EHLO c")
            await client.ask(b"STARTTLS")
            with pytest.raises(ssl.SSLError):
                await client.stream.start_tls(ssl.create_default_context(), "x.test", SECONDS)
            await server.reason()
            assert server.service.count() == 0
            assert server.reasons.empty()

    run(main())


def test_a_peer_that_never_shakes_hands(run: Run, authority: TestAuthority) -> None:
    async def main() -> None:
        tls = authority.keeper("mx.example.org")
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


class Noting(FloodCounter):
    """Tells at once."""

    def __init__(self) -> None:
        super().__init__("smtp", FakeClock(), lambda _events: None)
        self.noted: asyncio.Queue[str] = asyncio.Queue()

    def note(self, host: str, reason: str) -> None:
        self.noted.put_nowait(reason)


def test_failed_handshakes_are_counted_and_a_shutdown_is_none(
    run: Run, authority: TestAuthority
) -> None:
    """TLS from the first byte: there is no session whose events could tell of it."""

    async def main() -> None:
        tls = authority.keeper("mx.example.org")
        caps = SessionTable().caps(0, SessionLimits())
        floods = Noting()
        async with Server(implicit_tls=True, tls=tls, admission=Admission(caps, floods)) as server:
            silent, wrong, gone = [await server.client() for _ in range(3)]
            await wrong.say(b"EHLO c.example\r\n")
            await gone.stream.close()
            for _ in range(2):
                reason = await asyncio.wait_for(floods.noted.get(), SECONDS)
                assert reason == "TLS handshake failed"
            await wrong.stream.close()
        assert caps.count == 0
        assert floods.noted.empty()
        assert server.reasons.empty()
        await silent.stream.close()

    run(main())


@pytest.mark.parametrize("goodbye", [True, False], ids=["close_notify", "end of the bytes"])
def test_a_half_closed_peer_gets_its_answer_encrypted(
    run: Run, authority: TestAuthority, goodbye: bool
) -> None:
    """Only with close_notify; without it the connection was cut, and nobody waits for an answer."""

    def send(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
            sock.recv(1000)
            sock.sendall(b"EHLO c\r\nSTARTTLS\r\n")
            answer = b""
            while b"220 2.0.0" not in answer or not answer.endswith(b"\r\n"):
                answer += sock.recv(1000)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = authority.client_context().wrap_bio(incoming, outgoing, False, "mx.example.org")
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
            tls.write(b"EHLO c\r\nVRFY slow\r\nNOOP\r\n")
            with suppress(ssl.SSLWantReadError):
                if goodbye:
                    tls.unwrap()
            sock.sendall(outgoing.read())
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65536):
                incoming.write(data)
            got = b""
            with suppress(ssl.SSLError):
                while part := tls.read(65536):
                    got += part
            return got

    async def main() -> None:
        tls = authority.keeper("mx.example.org")
        async with Server(starttls=True, tls=tls) as server:
            server.gate.clear()
            sending = asyncio.ensure_future(asyncio.to_thread(send, server.port))
            await asyncio.wait_for(server.waiting.wait(), SECONDS)
            if not goodbye:
                assert b"252 " not in await sending
                server.gate.set()
                assert await server.reason() == "peer closed"
                return
            server.gate.set()
            answers = (await sending).split(b"\r\n")
            assert [line[:4] for line in answers[-3:]] == [b"252 ", b"250 ", b""]
            assert await server.reason() == "peer closed"

    run(main())


def test_a_connection_with_tls_has_no_task(run: Run, authority: TestAuthority) -> None:
    async def main() -> None:
        tls = authority.keeper("mx.example.org")
        async with Server(starttls=True, tls=tls) as server:
            client = await server.client()
            await client.line()
            await client.ask(b"EHLO c")
            await client.ask(b"STARTTLS")
            before = len(asyncio.all_tasks())
            await client.stream.start_tls(authority.client_context(), "mx.example.org", SECONDS)
            await client.ask(b"EHLO c")
            assert len(asyncio.all_tasks()) == before
            await client.stream.close()

    run(main())


class Fading(Server):
    """Begins to end as soon as a handshake is done, before whoever waits for it knows."""

    def _make_session(
        self, peer: Peer, conn: ServerConnection, connection: Connection
    ) -> FakeSession:
        self.end = asyncio.get_running_loop().create_task(self.service.drain(0))
        return super()._make_session(peer, conn, connection)


def test_an_end_in_the_middle_of_a_handshake_counts_a_session_down_once(
    run: Run, authority: TestAuthority
) -> None:
    async def main() -> None:
        tls = authority.keeper("mx.example.org")
        caps = SessionTable().caps(0, SessionLimits())
        server = Fading(implicit_tls=True, tls=tls, admission=Admission(caps))
        async with server:
            client = await server.client()
            with suppress(OSError):
                await client.stream.start_tls(authority.client_context(), "mx.example.org", SECONDS)
                await client.line()
            await server.reason()
            await server.end
            assert caps.count == 0
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


def test_a_named_proxy_says_whose_connection_it_is(run: Run, authority: TestAuthority) -> None:
    async def main() -> None:
        tls = authority.keeper("mx.example.org")
        header = b"PROXY TCP4 192.0.2.1 192.0.2.25 4711 25\r\n"
        async with Server(admission=Admission(proxies=Networks(["127.0.0.1"]))) as server:
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
        admission = Admission(proxies=Networks(["127.0.0.1"]))
        async with Server(implicit_tls=True, tls=tls, admission=admission) as server:
            client = await server.client()
            await client.say(header)
            await client.stream.start_tls(authority.client_context(), "mx.example.org", SECONDS)
            assert (await client.line()).startswith("220 ")
            assert str(server.peers[0]) == "192.0.2.1:4711"
            await client.stream.close()

    run(main())
