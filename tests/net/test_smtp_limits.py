"""The driver over real sockets: time, numbers, and an orderly end."""

from __future__ import annotations

import asyncio
import os
import resource
import socket

import pytest

from kit.certificates import TestAuthority
from kit.smtp_service import ENVELOPE, SECONDS, Run, Server
from zajil.net.admission import Admission
from zajil.net.limits import SessionLimits, SessionTable
from zajil.net.peer import Networks
from zajil.net.smtp_service import SmtpLimits
from zajil.net.stream import connect


def test_reading_stops_while_an_answer_is_awaited(run: Run) -> None:
    """A peer that pipelines without end must not fill the memory."""

    async def main() -> None:
        async with Server() as server:
            server.gate.clear()
            client = await server.client()
            await client.line()
            await client.say(b"VRFY slow\r\n")
            await asyncio.wait_for(server.waiting.wait(), SECONDS)
            connection = next(iter(server.service._table.open))
            assert connection.engine is not None
            many = b"NOOP\r\n" * 2_000_000
            with pytest.raises(TimeoutError):
                await client.stream.write(many, 0.3)
            assert connection.engine.pending_size() < 600_000
            client.stream._transport.abort()

    run(main())


def test_replies_that_nobody_reads_are_not_heaped_up(run: Run) -> None:
    """Attack: EHLO is answered by many times its bytes; a packet full of it is not, at once."""
    count = 30_000

    async def main() -> None:
        async with Server() as server:
            client = await server.client()
            await client.line()
            client.stream._transport.pause_reading()
            (connection,) = server.service._table.open
            connection.data_received(b"EHLO c\r\n" * count)
            assert connection._transport is not None
            assert connection._transport.get_write_buffer_size() < 200_000
            client.stream._transport.resume_reading()
            for _ in range(count):
                assert (await client.line()).startswith("250 ")
            await client.stream.close()

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
            assert server.service.count() == 0

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
        async with Server(admission=Admission(SessionTable().caps(0, limits))) as server:
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


@pytest.mark.parametrize(
    ("begin", "replies", "rest"),
    [
        (b"DATA\r\n", ["354"], b"text\r\n.\r\n"),
        (b"BDAT 6 LAST\r\nte", [], b"xt\r\n"),
        (b"BDAT 2\r\nte", ["250"], b"BDAT 4 LAST\r\nxt\r\n"),
    ],
    ids=["data", "in a chunk", "between chunks"],
)
def test_drain_lets_a_mail_in_flight_end(
    run: Run, begin: bytes, replies: list[str], rest: bytes
) -> None:
    async def main() -> None:
        server = Server(chunking=True)
        await server.service.serve(server.sock)
        idle = await server.client()
        await idle.line()
        client = await server.client()
        await client.line()
        await client.say(ENVELOPE.removesuffix(b"DATA\r\n") + begin)
        wanted = ["250", "250", "250", *replies]
        assert [(await client.line())[:3] for _ in wanted] == wanted
        draining = asyncio.ensure_future(server.service.drain(SECONDS))
        assert (await idle.line()).startswith("421 4.3.2 ")
        assert await server.reason() == "shutdown"
        await client.say(rest)
        assert (await client.line())[:3] == "250"
        assert server.bodies == [b"text\r\n"]
        assert (await client.line()).startswith("421 4.3.2 ")
        await draining
        assert await server.reason() == "shutdown"
        assert server.service.count() == 0
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


@pytest.mark.parametrize("kind", ["plain", "tls", "proxied"])
def test_a_full_table_of_files_is_survived(run: Run, authority: TestAuthority, kind: str) -> None:
    """EMFILE: no spinning, no dead listener; it serves again when there are files."""

    async def main() -> None:
        implicit_tls = kind == "tls"
        tls = authority.keeper("mx.example.org") if implicit_tls else None
        # With proxies we accept ourselves.
        admission = Admission(proxies=Networks(["192.0.2.1"] if kind == "proxied" else []))
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)  # asyncio reports EMFILE
        async with Server(implicit_tls=implicit_tls, tls=tls, admission=admission) as server:
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
            (connection,) = server.service._table.open
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
            assert await server.reason() == "command before the greeting"
            assert (await polite.line()).startswith("220 ")
            assert (await polite.ask(b"NOOP")).startswith("250")
            await early.stream.close()
            await polite.stream.close()

    run(main())


def test_last_words_are_not_lost_by_a_reset(run: Run) -> None:
    """A peer that goes on sending still reads why it was refused."""

    async def main() -> None:
        admission = Admission(SessionTable().caps(0, SessionLimits(1, 0)))
        async with Server(admission=admission) as server:
            first = await server.client()
            await first.line()
            second = await server.client()
            await second.say(b"EHLO c.example\r\n" * 1000)
            assert (await second.line()).startswith("421 4.7.0 ")
            assert await second.line() == ""
            await second.stream.close()
            await first.stream.close()

    run(main())
