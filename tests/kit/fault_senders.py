"""Clients that send mail to nodes that fail, and note what they were promised."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from contextlib import suppress

from kit.fault_ledger import Ledger, Outcome, SentMail
from kit.fault_world import ACCOUNTS, REMOTE, FaultNode, FaultWorld
from kit.imap import PASSWORD

ANSWER_SECONDS = 60.0
SIZES = (500, 500, 3000, 30_000, 150_000, 600_000)
"""Above 64 KiB they are in S3."""


class Lost(Exception):
    """The connection was lost, or the answer did not come in time."""


class Sender:
    """One client.

    Args:
        world: where it sends.
        ledger: its notes.
        name: begins its tokens.
        chance: what it draws from.
        submits: whether it logs in, and so may send to others.
        node: it sends to this one alone; ``None``: it goes from node to node.
    """

    def __init__(
        self,
        world: FaultWorld,
        ledger: Ledger,
        name: str,
        chance: random.Random,
        *,
        submits: bool,
        node: FaultNode | None = None,
    ) -> None:
        self._world = world
        self._ledger = ledger
        self._name = name
        self._chance = chance
        self._submits = submits
        self._node = node
        self._count = 0
        self._pause = 0.1

    async def run(self, ending: asyncio.Event) -> None:
        """Send until ``ending``."""
        while not ending.is_set():
            node = self._node or self._chance.choice(self._world.nodes)
            service = "submissions" if self._submits else "smtp"
            try:
                connection = await _connect(node, service, self._world)
            except (OSError, TimeoutError, Lost):
                self._ledger.note(f"{service}: no connection")
                await asyncio.sleep(self._pause)
                continue
            try:
                await self._talk(connection, node, ending)
            except Lost:
                self._ledger.note(f"{service}: connection lost")
            finally:
                connection.close()

    async def send_one(self, node: FaultNode) -> bool:
        """Send one mail to one node; return whether it was accepted."""
        try:
            connection = await _connect(node, "smtp", self._world)
        except (OSError, TimeoutError, Lost):
            return False
        try:
            await connection.say(b"EHLO client.test")
            return await self._send(connection, node)
        except Lost:
            return False
        finally:
            connection.close()

    async def _talk(self, talk: _Connection, node: FaultNode, ending: asyncio.Event) -> None:
        await talk.say(b"EHLO client.test")
        if self._submits:
            words = b"\0%b\0%b" % (ACCOUNTS[0].encode(), PASSWORD.encode())
            answer = await talk.say(b"AUTH PLAIN " + base64.b64encode(words))
            if not answer.startswith("2"):
                self._ledger.note(f"AUTH: {answer}")
                await asyncio.sleep(self._pause)
                return
        for _ in range(self._chance.randint(1, 8)):
            if ending.is_set():
                return
            await self._send(talk, node)
            await asyncio.sleep(self._pause)
        with suppress(Lost):
            await talk.say(b"QUIT")

    async def _send(self, talk: _Connection, node: FaultNode) -> bool:
        self._count += 1
        token = f"{self._name}-{self._count}"
        sender = f"{ACCOUNTS[0]}@y.test" if self._submits else "someone@elsewhere.test"
        wanted = [
            f"{one}@y.test" for one in self._chance.sample(ACCOUNTS, self._chance.randint(1, 2))
        ]
        if self._submits:
            wanted += self._chance.sample(REMOTE, self._chance.randint(1, 2))
        answer = await talk.say(b"MAIL FROM:<%b>" % sender.encode())
        if not answer.startswith("2"):
            return await self._reset(talk, answer)
        accepted = []
        for recipient in wanted:
            answer = await talk.say(b"RCPT TO:<%b>" % recipient.encode())
            if answer.startswith("2"):
                accepted.append(recipient)
        if not accepted:
            return await self._reset(talk, answer)
        answer = await talk.say(b"DATA")
        if not answer.startswith("3"):
            return await self._reset(talk, answer)
        mail = SentMail(
            token=token,
            node=node.name,
            local=tuple(one for one in accepted if one.endswith("@y.test")),
            remote=tuple(one for one in accepted if not one.endswith("@y.test")),
            begun=time.monotonic(),
        )
        self._ledger.mails.append(mail)
        try:
            mail.answer = await talk.say(self._message(token, sender) + b".")
            mail.outcome = Outcome.DONE if mail.answer.startswith("2") else Outcome.REFUSED
        finally:
            mail.ended = time.monotonic()
        if mail.outcome is Outcome.REFUSED:
            self._ledger.note(f"data: {mail.answer}")
            if not mail.answer.startswith("4"):
                self._ledger.faults.append(f"{token} was refused for good: {mail.answer}")
        return mail.outcome is Outcome.DONE

    async def _reset(self, talk: _Connection, answer: str) -> bool:
        self._ledger.note(f"envelope: {answer}")
        if not answer.startswith("4"):
            self._ledger.faults.append(f"a mail was refused for good: {answer}")
        await talk.say(b"RSET")
        return False

    def _message(self, token: str, sender: str) -> bytes:
        size = self._chance.choice(SIZES)
        body = base64.encodebytes(self._chance.randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
        head = (
            f"From: <{sender}>\r\nTo: <{ACCOUNTS[0]}@y.test>\r\nSubject: {token}\r\n"
            f"Message-ID: <{token}@elsewhere.test>\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n\r\n"
        )
        return head.encode() + body


class _Connection:
    """One conversation in SMTP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, line: bytes) -> str:
        """Send a line, and return the answer.

        Raises:
            Lost: there is none.
        """
        try:
            self._writer.write(line + b"\r\n")
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._writer.drain()
                return await self.answer()
        except (OSError, TimeoutError) as error:
            raise Lost from error

    async def answer(self) -> str:
        """Read an answer."""
        while True:
            line = await self._reader.readline()
            if not line.endswith(b"\r\n"):
                raise Lost
            if line[3:4] != b"-":
                return line.decode("ascii").strip()

    def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()


async def _connect(node: FaultNode, service: str, world: FaultWorld) -> _Connection:
    async with asyncio.timeout(ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection(
            *node.services[service], ssl=world.tls if service == "submissions" else None
        )
        connection = _Connection(reader, writer)
        try:
            answer = await connection.answer()
        except BaseException:
            connection.close()
            raise
    if not answer.startswith("2"):
        connection.close()
        raise Lost
    return connection
