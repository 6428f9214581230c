"""An IMAP server for tests with accounts in it, and a client that shows every byte."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from argon2 import PasswordHasher

from kit.certificates import TestAuthority
from kit.store import NOW_MS
from zajil.config.options import LimitOptions
from zajil.core.address import parse_address
from zajil.core.clock import Clock
from zajil.core.directory import AccountEntry
from zajil.core.errors import AlreadyExists
from zajil.core.service import Service
from zajil.imap.literal import find_literal
from zajil.login.service import LoginService
from zajil.net.admission import Admission
from zajil.net.limits import SessionLimits, SessionTable
from zajil.net.listener import bind
from zajil.net.system import SystemClock
from zajil.read.imap.service import ImapLimits, ImapServices, imap_service
from zajil.store.engine.open import Store
from zajil.store.people.accounts import NewAccount, create_account
from zajil.store.people.directory import look_up
from zajil.store.people.domains import DomainRow, create_domain

PASSWORD = "كلمة السر 1"
"""Of every account here: not ASCII, with a space."""

# Cheap on purpose: a test logs in often.
_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def make_reader(store: Store, address: str = "amal@north.test") -> AccountEntry:
    """Make an account that can log in with ``PASSWORD``; its login is its local part."""
    who = parse_address(address)
    with suppress(AlreadyExists):
        store.write_now(create_domain, DomainRow(who.domain, NOW_MS))
    hash_ = _HASH.hash(PASSWORD)
    new = NewAccount(who.local_part, who, "", hash_, admin=False, created_ms=NOW_MS)
    store.write_now(create_account, new)
    entry = store.read_now(lambda conn: look_up(conn, who)).entry
    if not isinstance(entry, AccountEntry):
        raise TypeError(f"{address} is no account")
    return entry


@dataclass(slots=True)
class ImapPlace:
    """A running service: one port with STARTTLS, one with TLS from the first byte."""

    port: int
    tls_port: int
    client_tls: ssl.SSLContext

    async def connect(self, *, tls: bool = True) -> ImapClient:
        """Connect; the greeting is in ``client.greeting``. The test closes it."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.tls_port if tls else self.port,
            ssl=self.client_tls if tls else None,
            limit=1 << 24,
        )
        client = ImapClient(reader, writer)
        client.greeting = await client.read_response()
        return client

    @asynccontextmanager
    async def session(self, login: str = "amal") -> AsyncIterator[ImapClient]:
        """Connect over TLS and log in."""
        client = await self.connect()
        try:
            await client.log_in(login)
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def imap_place(
    store: Store,
    folder: Path,
    *,
    times: ImapLimits | None = None,
    clock: Clock | None = None,
    **limits: int,
) -> AsyncIterator[ImapPlace]:
    """Serve a started store; ``limits`` are fields of ``LimitOptions``."""
    authority = TestAuthority(folder)
    tls = authority.keeper("127.0.0.1")
    clock = clock or SystemClock()
    unlimited = {"sessions_per_address": 0, "sessions_per_account": 0}
    options = LimitOptions().model_copy(update={**unlimited, **limits})
    of_account = SessionTable().caps(0, SessionLimits(0, options.sessions_per_account))
    login = LoginService(store, clock, os.urandom, free_failures=0, sessions=of_account)
    most = SessionLimits(options.sessions, options.sessions_per_address)
    services, ports = [], []
    for implicit in (False, True):
        name = Service.IMAPS if implicit else Service.IMAP
        service = imap_service(
            ImapServices(store, login, clock, not implicit, name),
            "mx.north.test",
            options,
            tls=tls,
            implicit_tls=implicit,
            limits=times,
            admission=Admission(SessionTable().caps(0, most)),
        )
        sock = bind("127.0.0.1:0")
        ports.append(sock.getsockname()[1])
        await service.serve(sock)
        services.append(service)
    try:
        yield ImapPlace(ports[0], ports[1], authority.client_context())
    finally:
        for service in services:
            await service.drain(1.0)


@dataclass(slots=True)
class ImapClient:
    """Sends what it is told, and gives back responses byte for byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeting: bytes = b""
    _count: int = field(default=0)

    async def log_in(self, login: str = "amal") -> None:
        """Log in with ``PASSWORD``."""
        password = PASSWORD.encode()
        lines = await self.command(b'LOGIN %b "%b"' % (login.encode(), password))
        if b" OK " not in lines[-1]:
            raise AssertionError(lines)

    async def command(self, text: bytes | str) -> list[bytes]:
        """Send one command without literals; give all responses up to its tagged one."""
        data = text.encode() if isinstance(text, str) else text
        self._count += 1
        tag = b"T%d" % self._count
        await self.send(tag + b" " + data + b"\r\n")
        return await self.read_until(tag)

    async def ok(self, text: bytes | str) -> list[bytes]:
        """The same; it must end in OK. Gives the untagged responses, then the tagged one."""
        lines = await self.command(text)
        if b" OK " not in lines[-1]:
            raise AssertionError(lines)
        return lines

    async def append(self, mailbox: str, message: bytes, arguments: str = "") -> bytes:
        """APPEND with LITERAL+; gives the tagged response."""
        head = f"APPEND {mailbox} {arguments + ' ' if arguments else ''}"
        lines = await self.command(head.encode() + b"{%d+}\r\n%b" % (len(message), message))
        return lines[-1]

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def read_until(self, tag: bytes) -> list[bytes]:
        """Return responses up to the one with this tag."""
        responses: list[bytes] = []
        while not responses or not responses[-1].startswith(tag + b" "):
            responses.append(await self.read_response())
        return responses

    async def read_response(self) -> bytes:
        """Return one response, its literals inside, without the last CRLF.

        Raises:
            EOFError: the server closed.
        """
        whole = b""
        while True:
            line = await self.reader.readline()
            if not line.endswith(b"\r\n"):
                raise EOFError(whole + line)
            whole += line[:-2]
            literal = find_literal(line[:-2])
            if literal is None:
                return whole
            whole += b"\r\n" + await self.reader.readexactly(literal.size)

    async def is_closed(self) -> bool:
        """Wait for the server to close; what it sends until then is dropped."""
        with suppress(ConnectionError, ssl.SSLError):
            await self.reader.read(-1)
        return True

    async def close(self) -> None:
        """Hang up without LOGOUT."""
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


def literals(response: bytes) -> Iterable[bytes]:
    """Yield the literals of one response, in order."""
    position = 0
    while (end := response.find(b"}\r\n", position)) >= 0:
        start = response.rfind(b"{", 0, end)
        size = int(response[start + 1 : end])
        yield response[end + 3 : end + 3 + size]
        position = end + 3 + size
