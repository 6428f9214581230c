"""Hosts that break off, talk too much, or not at all, at each stage of a delivery.

Answers that are merely unkind: ``test_delivery``; certificates: ``test_security``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kit.certificates import TestAuthority
from kit.courier import Courier, courier
from kit.network import Deed, SinkSession, smtp_sink
from kit.zone import Zone
from zajil.deliver import attempt as attempts
from zajil.smtp.command import BodyEnd, Command, Ehlo, Rcpt, StartTls
from zajil.smtp.reply import Reply
from zajil.store.engine.open import Store
from zajil.tracking.events import AttemptMade

ZONE: Zone = {"south.test": {"A": ["127.0.0.1"]}}
SHORT: dict[str, Any] = {
    "reply_timeout": "200ms",
    "data_timeout": "300ms",
    "connect_timeout": "200ms",
}

Host = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def store_url() -> str:
    """Which database it is plays no part here."""
    return "sqlite"


@asynccontextmanager
async def raw_host(*hosts: Host) -> AsyncIterator[int]:
    """Serve the first connection with the first of these, and so on; gives the port."""
    left = list(hosts)
    talks: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks[writer] = task
        host = left.pop(0) if len(left) > 1 else left[0]
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await host(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in talks:
            writer.transport.abort()
        await asyncio.gather(*talks.values())


def says(*steps: bytes, greeting: bytes = b"220 mx ESMTP\r\n") -> Host:
    """Make a host that says these, one after the other, each when a line or a message came."""

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        for step in steps:
            in_message = step.endswith(DOT)
            await reader.readuntil(b"\r\n.\r\n" if in_message else b"\r\n")
            writer.write(step.removesuffix(DOT))
        await reader.read()

    return host


DOT = b"(after the message)"
OK = b"250 2.0.0 ok\r\n"
GO = b"354 go\r\n"
ONE_MAIL = (OK, OK, OK, GO, OK + DOT)
"""EHLO without PIPELINING, MAIL, RCPT, DATA, the message."""


async def state_of(setup: Courier, *, number: int = 1) -> list[tuple[str, str]]:
    states = []
    for _ in range(number):
        mail_id = await setup.put("a@south.test", sender=None)
        await setup.deliverer.run_due()
        states += await setup.states(mail_id)
    return states


# ---- answers that nobody asked for --------------------------------------------------------------


def test_an_answer_too_many_is_not_that_to_the_next_mail(store: Store) -> None:
    """Shifted by one, "no such user" would hit the wrong recipient: the connection is not used."""
    first = says(*ONE_MAIL[:4], OK + OK + DOT)
    second = says(OK, OK, b"550 5.1.1 who is that?\r\n", OK)

    async def run() -> None:
        async with raw_host(first, second) as port, courier(store, ZONE, port=port) as setup:
            assert await state_of(setup, number=2) == [
                ("delivered", "250 2.0.0 ok"),
                ("bounced", "550 5.1.1 who is that?"),
            ]

    asyncio.run(run())


def test_words_on_an_idle_connection_are_no_answers(store: Store) -> None:
    spoken = asyncio.Event()

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        for step in ONE_MAIL:
            await reader.readuntil(b"\r\n.\r\n" if step.endswith(DOT) else b"\r\n")
            writer.write(step.removesuffix(DOT))
        await asyncio.sleep(0)
        writer.write(b"250 2.0.0 surprise\r\n")
        await writer.drain()
        spoken.set()
        await reader.read()

    async def run() -> None:
        async with (
            raw_host(host, says(*ONE_MAIL)) as port,
            courier(store, ZONE, port=port) as setup,
        ):
            assert await state_of(setup) == [("delivered", "250 2.0.0 ok")]
            await spoken.wait()
            mail_id = await setup.put("a@south.test", sender=None)
            await setup.deliverer.run_due()
            (attempt,) = await setup.events(mail_id, AttemptMade)
            assert attempt.dialogue[0] == "S: 220 mx ESMTP"
            assert not any("surprise" in line for line in attempt.dialogue)

    asyncio.run(run())


def test_an_answer_to_a_message_before_the_message_is_not_believed(store: Store) -> None:
    """354 and 250 in one breath: nobody has read what it says to have taken."""
    host = says(OK, OK, OK, GO + OK)

    async def run() -> None:
        async with raw_host(host) as port, courier(store, ZONE, port=port) as setup:
            assert await state_of(setup) == [
                ("waiting", "invalid reply: more answers than questions")
            ]

    asyncio.run(run())


# ---- silence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", [Deed.SILENCE, Deed.DRIBBLE])
@pytest.mark.parametrize("stage", ["greeting", "EHLO", "RCPT"])
def test_silence_at_any_stage_is_later(store: Store, stage: str, deed: Deed) -> None:
    kinds: dict[str, type[Command | BodyEnd]] = {"EHLO": Ehlo, "RCPT": Rcpt}

    def answer(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        return deed if type(event) is kinds.get(stage) else None

    async def run() -> None:
        async with (
            smtp_sink(answer=answer, greeting=deed if stage == "greeting" else None) as sink,
            courier(store, ZONE, port=sink.port, **SHORT) as setup,
        ):
            assert await state_of(setup) == [("waiting", "no reply within 0.2 seconds")]

    asyncio.run(run())


def test_a_host_that_reads_nothing_of_a_message(store: Store) -> None:
    """354, and then no byte is taken: the time for a piece runs out."""

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        for step in (OK, OK, OK, GO):
            await reader.readuntil(b"\r\n")
            writer.write(step)
        await writer.wait_closed()

    async def run() -> None:
        async with raw_host(host) as port, courier(store, ZONE, port=port, **SHORT) as setup:
            content = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * 300_000
            mail_id = await setup.put("a@south.test", sender=None, content=content)
            await setup.deliverer.run_due()
            assert await setup.states(mail_id) == [
                ("waiting", "the peer did not read data for 0.2 seconds")
            ]

    asyncio.run(run())


def test_a_report_does_not_wait_as_long_as_a_letter(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: slow hosts of forged senders would keep all attempts busy."""
    monkeypatch.setattr(attempts, "MAX_REPORT_SECONDS", 0.2)

    async def run() -> None:
        async with (
            smtp_sink(greeting=Deed.SILENCE) as sink,
            courier(store, ZONE, port=sink.port, reply_timeout="500ms") as setup,
        ):
            assert await state_of(setup) == [("waiting", "no completion after 0.2 seconds")]
            letter = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert await setup.states(letter) == [("waiting", "no reply within 0.5 seconds")]

    asyncio.run(run())


# ---- floods -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flood", "reason"),
    [
        (b"250-more\r\n", "invalid reply: a reply has too many lines"),
        (b"x" * 1000, "invalid reply: a reply line is too long"),
        (b"\0" * 1000, "invalid reply: a reply line is too long"),
        (b"250 ok\r\n", "invalid reply: more answers than questions"),
        (b"220-", "invalid reply: a reply line is too long"),
    ],
    ids=["lines", "a line", "NUL", "replies", "beginnings"],
)
@pytest.mark.parametrize("stage", ["greeting", "EHLO"])
def test_a_flood_ends_at_its_limit(store: Store, flood: bytes, reason: str, stage: str) -> None:
    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if stage == "EHLO":
            writer.write(b"220 mx\r\n")
            await reader.readuntil(b"\r\n")
        while True:
            writer.write(flood * 100)
            await writer.drain()

    async def run() -> None:
        async with raw_host(host) as port, courier(store, ZONE, port=port) as setup:
            assert await state_of(setup) == [("waiting", reason)]

    asyncio.run(run())


def test_a_long_answer_is_not_kept_whole(store: Store) -> None:
    """It would stand in the row of each recipient, in the journey of each try, and in the DSN."""
    long = Reply(451, tuple(["4.7.1 " + "no " * 1000] * 100))

    def answer(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        return long if isinstance(event, Rcpt) else None

    async def run() -> None:
        async with (
            smtp_sink(answer=answer) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            ((state, reason),) = await state_of(setup)
            assert state == "waiting"
            assert reason.startswith("451 4.7.1 no no")
            assert len(reason) == 2000

    asyncio.run(run())


# ---- TLS ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["opportunistic", "verify"])
def test_a_host_that_gives_up_behind_its_handshake(
    store: Store, authority: TestAuthority, mode: str
) -> None:
    """It refuses our side when we think that all is well: the same as a handshake that failed."""

    def refuse(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        encrypted = session.conn is not None and session.conn.encrypted
        return Deed.CUT if encrypted else None

    async def run() -> None:
        async with (
            smtp_sink(tls=authority.server_context("south.test"), answer=refuse) as sink,
            courier(
                store,
                ZONE,
                port=sink.port,
                tls=authority.client_context(),
                tls_mode=mode,  # type: ignore[arg-type]
            ) as setup,
        ):
            ((state, _),) = await state_of(setup)
            assert state == ("delivered" if mode == "opportunistic" else "waiting")
            assert [mail.encrypted for mail in sink.mails] == [False] * len(sink.mails)

    asyncio.run(run())


def test_a_handshake_that_never_comes(store: Store, authority: TestAuthority) -> None:
    """220 to STARTTLS, and silence: the next connection does without."""

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(b"250-mx\r\n250 STARTTLS\r\n", b"220 go\r\n")(reader, writer)

    async def run() -> None:
        async with (
            raw_host(host, says(*ONE_MAIL)) as port,
            courier(store, ZONE, port=port, tls=authority.client_context(), **SHORT) as setup,
        ):
            assert await state_of(setup) == [("delivered", "250 2.0.0 ok")]

    asyncio.run(run())


def test_421_where_tls_should_begin_is_no_reason_to_go_plain(
    store: Store, authority: TestAuthority
) -> None:
    def closing(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        return Reply(421, ("4.3.2 going down",)) if isinstance(event, StartTls) else None

    async def run() -> None:
        async with (
            smtp_sink(tls=authority.server_context("south.test"), answer=closing) as sink,
            courier(store, ZONE, port=sink.port, tls=authority.client_context()) as setup,
        ):
            assert await state_of(setup) == [("waiting", "421 4.3.2 going down")]
            assert len(sink.sessions) == 1

    asyncio.run(run())


def test_nobody_is_left_waiting(store: Store, authority: TestAuthority) -> None:
    """A client's context of ours and a host that speaks TLS from the first byte: no SMTP."""

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x15\x03\x01\x00\x02\x02\x0a\r\n")
        await reader.read()

    async def run() -> None:
        tls: ssl.SSLContext = authority.client_context()
        async with (
            raw_host(host) as port,
            courier(store, ZONE, port=port, tls=tls, **SHORT) as setup,
        ):
            assert await state_of(setup) == [
                ("waiting", "invalid reply: the peer does not speak SMTP")
            ]

    asyncio.run(run())
