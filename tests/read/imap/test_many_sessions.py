"""Many sessions on one mailbox, all at once: what each is told stays consistent with itself.

Commands are random with a fixed seed; how they interleave is not, and the laws hold whatever
happens first. Two stores on one database are what two worker processes have.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import open_test_store, running
from zajil.store.engine.open import Store

LETTER = "Subject: x\r\n\r\nbody\r\n"
SYSTEM = {"\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft", "\\Recent"}
CLIENTS = 8
ROUNDS = 25

_FETCH = re.compile(rb"\* (\d+) FETCH \((?:FLAGS \(([^)]*)\) )?UID (\d+)(?: FLAGS \(([^)]*)\))?")
_NUMBER = re.compile(rb"\* (\d+) (EXISTS|RECENT|EXPUNGE)\Z")
_FLAGS = re.compile(rb"\* FLAGS \(([^)]*)\)\Z")


@dataclass(slots=True)
class Reader:
    """One client, and what it knows by what it was told."""

    client: ImapClient
    chance: random.Random
    read_only: bool
    uids: list[int | None] = field(default_factory=list)
    """By sequence number; ``None``: the client was not told the UID."""
    keywords: set[str] = field(default_factory=set)
    recent: set[int] = field(default_factory=set)
    """UIDs that were shown with ``\\Recent``."""
    flags: dict[int, frozenset[str]] = field(default_factory=dict)

    async def select(self) -> None:
        self.uids.clear()
        await self.run("EXAMINE INBOX" if self.read_only else "SELECT INBOX")
        await self.run("UID FETCH 1:* FLAGS")

    async def run(self, command: str) -> None:
        """Run a command that may succeed or not, and check all that comes."""
        lines = await self.client.command(command)
        numbers_stay = command.startswith(("FETCH", "STORE", "SEARCH"))
        for line in lines[:-1]:
            assert not (numbers_stay and line.endswith(b" EXPUNGE")), (command, line)
            self.hear(line)
        assert b" OK " in lines[-1] or b" BAD no such message number" in lines[-1], lines[-1]

    def hear(self, line: bytes) -> None:
        """Follow one untagged response, and check it against what is known."""
        if found := _FLAGS.match(line):
            self.keywords = {word.decode() for word in found[1].split()} - SYSTEM
        elif found := _NUMBER.match(line):
            self.hear_number(int(found[1]), found[2])
        elif found := _FETCH.match(line):
            number, uid = int(found[1]), int(found[3])
            assert 1 <= number <= len(self.uids), line
            assert self.uids[number - 1] in (None, uid), line
            self.uids[number - 1] = uid
            shown = found[2] if found[4] is None else found[4]
            if shown is not None:
                self.hear_flags(uid, {word.decode() for word in shown.split()})

    def hear_number(self, number: int, word: bytes) -> None:
        match word:
            case b"EXISTS":
                assert number >= len(self.uids), "EXISTS takes no message away"
                self.uids += [None] * (number - len(self.uids))
            case b"EXPUNGE":
                assert 1 <= number <= len(self.uids)
                del self.uids[number - 1]
            case _:
                assert number <= len(self.uids)

    def hear_flags(self, uid: int, flags: set[str]) -> None:
        unnamed = flags - SYSTEM - self.keywords
        assert not unnamed, f"not named by FLAGS: {unnamed}"
        if "\\Recent" in flags:
            self.recent.add(uid)
        self.flags[uid] = frozenset(flags - {"\\Recent"})

    async def work(self) -> None:
        for _ in range(ROUNDS):
            await self.do(self.chance.randrange(12))

    async def do(self, what: int) -> None:
        chance = self.chance
        some = f"{chance.randint(1, 6)}:{chance.randint(1, 12)}"
        word = chance.choice(["$a", "$A", "News", "NEWS", f"k{chance.randrange(9)}", "\\Seen"])
        if self.read_only and what in (2, 3, 4, 5, 6):
            what = 0
        match what:
            case 0 | 1:
                await self.run("UID FETCH 1:* FLAGS")
            case 2 | 3:
                sign = chance.choice(["+", "-", ""])
                await self.run(f"UID STORE {some} {sign}FLAGS ({word})")
            case 4:
                await self.run(f"UID STORE {chance.randint(1, 30)} +FLAGS.SILENT (\\Deleted)")
                await self.run("EXPUNGE")
            case 5:
                await self.run(f"UID COPY {some} INBOX")
            case 6:
                await self.run(f"FETCH {some} (FLAGS UID BODY[TEXT])")
            case 7 | 8:
                await self.run(f"APPEND INBOX ({word}) {{{len(LETTER)}+}}\r\n{LETTER}")
            case 9:
                await self.run(f"SEARCH {some} KEYWORD $a")
            case 10:
                await self.select()
            case _:
                await self.run("NOOP")


@pytest.mark.parametrize("seed", [1, 2])
def test_what_a_session_is_told(store: Store, store_url: str, tmp_path: Path, seed: int) -> None:
    r"""Keywords are named first, numbers fit, ``\Recent`` is shown by one session alone."""
    make_reader(store)
    other = open_test_store(store_url, tmp_path / "data", 1)

    async def run() -> None:
        async with (
            running(store),
            running(other),
            imap_place(store, tmp_path) as place,
            imap_place(other, tmp_path) as elsewhere,
        ):
            readers = []
            for number in range(CLIENTS):
                client = await (place, elsewhere)[number % 2].connect()
                await client.log_in()
                chance = random.Random(seed * 100 + number)
                readers.append(Reader(client, chance, read_only=number == CLIENTS - 1))
            for _ in range(4):
                await readers[0].client.append("INBOX", LETTER.encode(), "(News)")
            await asyncio.gather(*[reader.select() for reader in readers])
            await asyncio.gather(*[reader.work() for reader in readers])
            await check_the_end(readers)

    asyncio.run(run())


async def check_the_end(readers: list[Reader]) -> None:
    shown = Counter(uid for reader in readers if not reader.read_only for uid in reader.recent)
    assert shown, "some message was recent to some session"
    assert not [uid for uid, count in shown.items() if count > 1], "recent to two sessions"
    for reader in readers:
        reader.flags.clear()
        await reader.run("NOOP")
        await reader.run("UID FETCH 1:* FLAGS")
        assert reader.uids == readers[0].uids
        fold = {uid: {word.lower() for word in words} for uid, words in reader.flags.items()}
        assert fold == {
            uid: {word.lower() for word in words} for uid, words in readers[0].flags.items()
        }
        await reader.client.close()
