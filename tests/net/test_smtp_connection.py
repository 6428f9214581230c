"""The driver over real sockets: events, answers, faults."""

from __future__ import annotations

import asyncio
import smtplib
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.smtp_service import ENVELOPE, SECONDS, Run, Server
from kit.smtp_wire import example_policy
from zajil.smtp.command import Noop
from zajil.smtp.reply import Reply


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


def test_smtplib_agrees(run: Run, authority: TestAuthority, tmp_path: Path) -> None:
    def send(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as client:
            context = authority.client_context()
            context.check_hostname = False
            client.starttls(context=context)
            client.sendmail("a@x.example", ["b@y.example"], b"Subject: x\r\n\r\n.dot\r\n" * 400)

    async def main() -> None:
        tls = authority.keeper("mx.example.org")
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
