"""Clients that read and change mail over IMAP on nodes that fail."""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field

from kit.fault_ledger import KeptMessage, Ledger, Outcome
from kit.fault_world import FaultWorld
from kit.imap import PASSWORD, ImapClient, ImapPlace
from kit.imap_cache import CachingClient, Law

_SECONDS = 60.0
_FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "work", "later")
_LOSSES = (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError)
_GIVEN = re.compile(rb"\[(?:APPENDUID \d+|COPYUID \d+ \d+) (\d+)\]")
_STATUS = re.compile(rb"UIDNEXT (\d+) UIDVALIDITY (\d+) HIGHESTMODSEQ (\d+)")


class Refused(Exception):
    """The server said NO or BYE where a client needs OK."""


@dataclass(slots=True)
class AnyNode(ImapPlace):
    """A place whose connections go to any node, and log in as one account."""

    world: FaultWorld = field(kw_only=True)
    login: str = field(kw_only=True)
    chance: random.Random = field(kw_only=True)

    async def connect(self, *, tls: bool = True) -> ImapClient:
        """Connect to a node.

        Raises:
            OSError, EOFError, TimeoutError: it does not answer.
        """
        node = self.chance.choice(self.world.nodes)
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_connection(
                *node.services["imaps"], ssl=self.world.tls, limit=1 << 24
            )
            client = _PatientClient(reader, writer)
            client.login = self.login
            try:
                client.greeting = await client.read_response()
            except BaseException:
                writer.transport.abort()
                raise
            return client


class _PatientClient(ImapClient):
    """A client that tells a refusal from a fault, and waits for no answer for ever."""

    login: str

    async def log_in(self, login: str = "") -> None:
        line = (await self.command(b'LOGIN %b "%b"' % (self.login.encode(), PASSWORD.encode())))[-1]
        _require_ok(line, "LOGIN")

    async def command(self, text: bytes | str) -> list[bytes]:
        async with asyncio.timeout(_SECONDS):
            lines = await ImapClient.command(self, text)
        word = text.split()[0] if isinstance(text, bytes) else text.split()[0].encode()
        if word not in (b"LOGIN", b"UID", b"APPEND"):
            _require_ok(lines[-1], word.decode())
        return lines

    async def read_response(self) -> bytes:
        line = await ImapClient.read_response(self)
        if line.startswith(b"* BYE"):
            raise EOFError(line)
        return line

    async def close(self) -> None:
        self.writer.transport.abort()


def _require_ok(line: bytes, word: str) -> None:
    if b" OK " not in line:
        raise Refused(f"{word}: {line.decode().partition(' ')[2]}")


def any_node(world: FaultWorld, login: str, chance: random.Random) -> AnyNode:
    """Return the place of an account."""
    return AnyNode(0, 0, world.tls, world=world, login=login, chance=chance)


class _BusyClient(CachingClient):
    """A follower of a mailbox in which mail arrives all the time."""

    async def look_for_new(self) -> None:
        for _ in range(3):
            if len(self.uids) == len(self.cache):
                break
            await self.run(f"UID FETCH {self.complete_until + 1}:* (FLAGS)")
        assert len(self.cache) <= len(self.uids), "the client believes in messages that are gone"
        if len(self.uids) == len(self.cache):
            if None in self.uids:
                await self.run("UID FETCH 1:* (UID)")
            self.complete_until = max(self.cache, default=self.complete_until)


class Follower:
    """A mail program that follows INBOX by QRESYNC, and sets flags there.

    Args:
        world: where it reads.
        ledger: its notes.
        law: what all followers of this account are told together.
        login: of the account.
        chance: what it draws from.
    """

    def __init__(
        self, world: FaultWorld, ledger: Ledger, law: Law, login: str, chance: random.Random
    ) -> None:
        self.login = login
        self.client = _BusyClient(law, chance)
        self._ledger = ledger
        self._place = any_node(world, login, chance)
        self._chance = chance

    async def run(self, ending: asyncio.Event) -> None:
        """Follow until ``ending``; what it must not be told is in the ledger."""
        while not ending.is_set():
            try:
                await self._follow(ending)
            except AssertionError as error:
                self._ledger.faults.append(f"follower of {self.login}: {error}")
                self.client = _BusyClient(Law(), self._chance)
            except Refused as error:
                self._ledger.note(f"imap: {error}")
            except _LOSSES:
                self._ledger.note("imap: connection lost")
            await self.client.drop()
            await asyncio.sleep(0.3)

    async def finish(self) -> None:
        """Follow to the end, and stay there."""
        await self.client.drop()
        await self.client.connect(self._place)

    async def fresh(self) -> CachingClient:
        """Return a client that knows nothing before, and has looked now."""
        client = _BusyClient(Law(), self._chance)
        await client.connect(self._place)
        return client

    async def _follow(self, ending: asyncio.Event) -> None:
        if self.client.client is None:
            await self.client.connect(self._place)
        for _ in range(self._chance.randint(5, 40)):
            if ending.is_set():
                return
            if self._chance.random() < 0.6 and self.client.cache:
                known = sorted(self.client.cache)
                some = self._chance.sample(known, min(len(known), self._chance.choice((1, 3))))
                sign, flag = self._chance.choice("+-"), self._chance.choice(_FLAGS)
                numbers = ",".join(map(str, sorted(some)))
                lines = await self.client.run(f"UID STORE {numbers} {sign}FLAGS ({flag})")
                _require_ok(lines[-1], "STORE")
            else:
                await self.client.run("NOOP")
            await self.client.look_for_new()
            await asyncio.sleep(self._chance.uniform(0, 0.4))


class Keeper:
    """A program that puts messages into mailboxes of its own, copies and moves them.

    A message is in ``work``, or in ``moved``, never in both and never in none.

    Args:
        world: where it works.
        ledger: its notes.
        login: of its account, which is nobody else's.
        chance: what it draws from.
    """

    def __init__(
        self, world: FaultWorld, ledger: Ledger, login: str, chance: random.Random
    ) -> None:
        self.login = login
        self._ledger = ledger
        self._place = any_node(world, login, chance)
        self._chance = chance
        self._kept = ledger.kept.setdefault(login, [])
        self._is_known: set[str] = set()

    async def run(self, ending: asyncio.Event) -> None:
        """Work until ``ending``."""
        while not ending.is_set():
            client: ImapClient | None = None
            try:
                client = await self._place.connect()
                await client.log_in()
                for name in ("work", "moved", "copies"):
                    if name not in self._is_known:
                        with suppress(Refused):
                            await client.command(f"CREATE {name}")
                        await client.command(f"STATUS {name} (MESSAGES)")
                        self._is_known.add(name)
                await client.command("SELECT work")
                for _ in range(self._chance.randint(3, 20)):
                    if ending.is_set():
                        break
                    await self._step(client)
                    await asyncio.sleep(self._chance.uniform(0, 0.3))
            except Refused as error:
                self._ledger.note(f"imap: {error}")
            except _LOSSES:
                self._ledger.note("imap: connection lost")
            finally:
                if client is not None:
                    await client.close()
            await asyncio.sleep(0.3)

    async def _step(self, client: ImapClient) -> None:
        here = [
            one
            for one in self._kept
            if one.outcome is Outcome.DONE and one.place == "work" and not one.may_be
        ]
        action = self._chance.random()
        if action < 0.45 or not here:
            await self._append(client)
        elif action < 0.65:
            await self._copy(client, self._chance.choice(here))
        elif action < 0.9:
            await self._move(client, self._chance.choice(here))
        else:
            await self._look(client, self._chance.choice(("INBOX", "work", "moved", "copies")))

    async def _append(self, client: ImapClient) -> None:
        message = KeptMessage(f"{self.login}-kept-{len(self._kept) + 1}")
        self._kept.append(message)
        size = self._chance.choice((100, 100, 5000, 200_000))
        text = f"Subject: {message.token}\r\n\r\n{'x' * 70}\r\n".encode() + b"y\r\n" * (size // 3)
        async with asyncio.timeout(_SECONDS):
            answer = await client.append("work", text)
        if b" OK " in answer:
            message.outcome, message.place = Outcome.DONE, "work"
            self._note_uid("work", [answer], message)
        else:
            message.outcome = Outcome.REFUSED
            _require_ok(answer, "APPEND")

    def _note_uid(self, mailbox: str, lines: list[bytes], message: KeptMessage) -> None:
        found = next((match for line in lines if (match := _GIVEN.search(line))), None)
        if found is None:
            self._ledger.faults.append(f"{mailbox} of {self.login}: no UID in {lines}")
        else:
            self._ledger.names(f"{self.login}/{mailbox}", int(found[1]), message.token)

    async def _uid(self, client: ImapClient, message: KeptMessage) -> int:
        # A session need not know yet what another one changed (RFC 3501 section 5.2).
        await client.command("NOOP")
        lines = await client.command(f"UID SEARCH SUBJECT {message.token}")
        _require_ok(lines[-1], "SEARCH")
        found = [
            int(word)
            for line in lines[:-1]
            if line.startswith(b"* SEARCH")
            for word in line.split()[2:]
        ]
        exact = []
        for uid in found:
            lines = await client.command(f"UID FETCH {uid} (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            _require_ok(lines[-1], "FETCH")
            if any(f"Subject: {message.token}\r\n".encode() in line for line in lines):
                exact.append(uid)
        if len(exact) != 1:
            self._ledger.faults.append(
                f"{message.token} is {len(exact)} times in work: {lines[-1].decode()}"
            )
            raise Refused("SEARCH")
        return exact[0]

    async def _copy(self, client: ImapClient, message: KeptMessage) -> None:
        uid = await self._uid(client, message)
        message.most_copies += 1
        lines = await client.command(f"UID COPY {uid} copies")
        _require_ok(lines[-1], "COPY")
        self._note_uid("copies", lines, message)
        message.copies += 1

    async def _move(self, client: ImapClient, message: KeptMessage) -> None:
        uid = await self._uid(client, message)
        message.may_be = "moved"
        lines = await client.command(f"UID MOVE {uid} moved")
        _require_ok(lines[-1], "MOVE")
        self._note_uid("moved", lines, message)
        message.place, message.may_be = "moved", ""

    async def _look(self, client: ImapClient, name: str) -> None:
        asked = time.monotonic()
        lines = await client.command(f"STATUS {name} (UIDNEXT UIDVALIDITY HIGHESTMODSEQ)")
        for line in lines:
            if found := _STATUS.search(line):
                for what, value in zip(
                    ("UIDNEXT", "UIDVALIDITY", "HIGHESTMODSEQ"), found.groups(), strict=True
                ):
                    self._ledger.grows(f"{self.login}/{name}", what, asked, int(value))
