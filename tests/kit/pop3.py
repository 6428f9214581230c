"""A POP3 server for tests, and a client that shows every byte."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import Connection

from kit.certificates import TestAuthority
from kit.imap import PASSWORD
from kit.store import make_intake
from zajil.core.directory import AccountEntry
from zajil.core.service import Service
from zajil.login.service import LoginService
from zajil.net.admission import Admission
from zajil.net.limits import SessionLimits, SessionTable
from zajil.net.listener import bind
from zajil.net.system import SystemClock
from zajil.read.pop3.locks import MaildropLocks
from zajil.read.pop3.service import Pop3Limits, pop3_service
from zajil.read.pop3.session import Pop3Services
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.mailboxes import INBOX, find_mailbox
from zajil.store.mail.message_changes import PutMessage, put_messages

PREFIX = b"Delivered-To: amal@north.test\r\n"
"""What stands before each message that was delivered."""


def deliver(store: Store, account: AccountEntry, *messages: bytes) -> None:
    """Deliver messages to INBOX."""
    for message in messages:
        store.write_now(write_intakes, make_intake(store.blobs.stage([message]), local=[account]))


def put(store: Store, account: AccountEntry, *messages: bytes) -> None:
    """Put messages into INBOX as a client does, byte for byte; large ones into files."""
    box = store.read_now(lambda conn: find_mailbox(conn, account.account_id, INBOX))
    assert box is not None
    items = []
    for message in messages:
        staged = store.blobs.stage([message])
        if len(message) > 262_144:
            staged = store.blobs.stage_now([message])
        items.append(PutMessage(account.account_id, box.mailbox_id, staged, frozenset(), 1))

    def put_all(tx: Connection, _: Sequence[None]) -> list[None]:
        put_messages(tx, items)
        return [None]

    store.write_now(put_all, None)


@dataclass(slots=True)
class Pop3Place:
    """A running service: one port with STLS, one with TLS from the first byte."""

    port: int
    tls_port: int
    client_tls: ssl.SSLContext

    async def connect(self, *, tls: bool = True) -> Pop3Client:
        """Connect; the greeting is in ``client.greeting``. The test closes it."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.tls_port if tls else self.port,
            ssl=self.client_tls if tls else None,
            limit=1 << 24,
        )
        client = Pop3Client(reader, writer)
        client.greeting = await client.line()
        return client

    @asynccontextmanager
    async def session(self, login: str = "amal") -> AsyncIterator[Pop3Client]:
        """Connect over TLS and log in; hang up without QUIT."""
        client = await self.connect()
        try:
            assert (await client.log_in(login)).startswith("+OK")
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def pop3_place(
    store: Store,
    folder: Path,
    *,
    times: Pop3Limits | None = None,
    worker: int = 0,
    locks: MaildropLocks | None = None,
) -> AsyncIterator[Pop3Place]:
    """Serve a started store as one worker does."""
    authority = TestAuthority(folder)
    tls = authority.keeper("127.0.0.1")
    clock = SystemClock()
    login = LoginService(store, clock, os.urandom, free_failures=0)
    locks = locks or MaildropLocks(store, worker, clock)
    await locks.begin()
    renewing = asyncio.create_task(locks.run())
    services, ports = [], []
    for name in (Service.POP3, Service.POP3S):
        service = pop3_service(
            Pop3Services(store, login, locks, clock, name),
            "mx.north.test",
            tls=tls,
            implicit_tls=name.has_implicit_tls,
            limits=times,
            admission=Admission(SessionTable().caps(0, SessionLimits(0, 0))),
        )
        sock = bind("127.0.0.1:0")
        ports.append(sock.getsockname()[1])
        await service.serve(sock)
        services.append(service)
    try:
        yield Pop3Place(ports[0], ports[1], authority.client_context())
    finally:
        for service in services:
            await service.drain(1.0)
        renewing.cancel()


@dataclass(slots=True)
class Pop3Client:
    """Sends what it is told, and gives back lines byte for byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeting: str = ""

    async def log_in(self, login: str = "amal", password: str = PASSWORD) -> str:
        """Log in with USER and PASS; gives the answer to PASS."""
        await self.send(f"USER {login}\r\nPASS {password}\r\n")
        await self.line()
        return await self.line()

    async def ask(self, command: str) -> str:
        """Send one command; give the status line."""
        await self.send(command + "\r\n")
        return await self.line()

    async def ask_for(self, command: str) -> bytes:
        """Send one command; give the lines behind its status line, dots unstuffed."""
        status = await self.ask(command)
        if not status.startswith("+OK"):
            raise AssertionError(status)
        return await self.lines()

    async def send(self, data: bytes | str) -> None:
        """Send bytes as they are."""
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def line(self) -> str:
        """Return one line without its CRLF; ``""``: the server closed."""
        line = await self.reader.readline()
        assert not line or line.endswith(b"\r\n")
        return line[:-2].decode()

    async def lines(self) -> bytes:
        """Return all lines up to ``.``, dots unstuffed.

        Raises:
            EOFError: the server closed before.
        """
        got: list[bytes] = []
        while True:
            line = await self.reader.readuntil(b"\r\n")
            if line == b".\r\n":
                return b"".join(got)
            got.append(line.removeprefix(b"."))

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Send STLS and do the handshake."""
        assert (await self.ask("STLS")).startswith("+OK")
        await self.writer.start_tls(context, server_hostname="127.0.0.1")

    async def is_closed(self) -> bool:
        """Wait for the server to close; what it sends until then is dropped."""
        with suppress(ConnectionError, ssl.SSLError):
            await self.reader.read(-1)
        return True

    async def close(self) -> None:
        """Hang up without QUIT."""
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()
