"""A mail program that keeps a mailbox offline and follows it by QRESYNC. (RFC 7162 section 6)

It does what the RFC lets such a program do, and no more: what it knows of MODSEQs it takes from the
answers to its commands, and its connection may be lost at any line.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

from kit.imap import ImapClient, ImapPlace
from zajil.imap.sequence_set import format_set

_FETCH = re.compile(rb"\* (\d+) FETCH \((.*)\)\Z", re.DOTALL)
_NUMBER = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE)\Z")
_VANISHED = re.compile(rb"\* VANISHED (\(EARLIER\) )?([0-9:,]+)\Z")
_CODE = re.compile(rb"OK \[HIGHESTMODSEQ (\d+)\]")
_SILENT = re.compile(r"(UID )?STORE ([0-9:,]+) ([+-])FLAGS.SILENT \(([^)]*)\)\Z")
_MODIFIED = re.compile(rb"OK \[MODIFIED ([0-9:,]+)\]")


def numbers_of(text: bytes) -> list[int]:
    """Return the numbers of a set."""
    found: list[int] = []
    for piece in text.split(b","):
        first, _, last = piece.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found


@dataclass(slots=True)
class Law:
    """What all clients of one mailbox were told together; it may never contradict itself."""

    flags_at: dict[tuple[int, int], frozenset[str]] = field(default_factory=dict)
    """By UID and MODSEQ."""
    bodies: dict[int, bytes] = field(default_factory=dict)
    """By UID."""


@dataclass(slots=True)
class CachingClient:
    """One such program."""

    law: Law
    chance: random.Random
    cache: dict[int, frozenset[str]] = field(default_factory=dict)
    """Flags by UID."""
    modseqs: dict[int, int] = field(default_factory=dict)
    """By UID, where one was told with the flags."""
    complete_until: int = 0
    """All messages up to this UID were fetched."""
    highest: int = 0
    validity: int = 0
    client: ImapClient | None = None
    """``None``: offline."""
    uids: list[int | None] = field(default_factory=list)
    """By sequence number; ``None``: not told yet."""
    keywords: set[str] = field(default_factory=set)
    modified: list[int] = field(default_factory=list)
    """What the last answer said of a conditional STORE."""
    _pending: int = 0
    """The highest MODSEQ told since the last answer."""
    _settled: int | None = None
    """HIGHESTMODSEQ told since then."""
    _assumed: dict[int, tuple[str, frozenset[str]]] = field(default_factory=dict)
    """What a silent STORE does with messages of which only the number is known."""
    _knows_flags: bool = True
    """False while the answer to a silent STORE comes that may never end in OK."""

    # ---- connecting ---------------------------------------------------------------------------

    async def connect(self, place: ImapPlace) -> None:
        """Log in, select INBOX, and be up to date."""
        self.client = await place.connect()
        await self.client.log_in()
        await self.client.ok("ENABLE QRESYNC")
        self.uids.clear()
        await self.run(f"SELECT INBOX{self._known()}")
        await self.look_for_new()

    def _known(self) -> str:
        """Write what is known, as one of the forms that a client may use."""
        if not self.highest:
            return self.chance.choice(["", " (CONDSTORE)"])
        known = sorted(self.cache)
        words = f"{self.validity} {self.highest}"
        if known and self.chance.random() < 0.5:
            words += " " + format_set(known).decode()
        if known and self.chance.random() < 0.5:
            places = sorted(self.chance.sample(range(len(known)), min(4, len(known))))
            numbers = ",".join(str(place + 1) for place in places)
            words += f" ({numbers} {','.join(str(known[place]) for place in places)})"
        return f" (QRESYNC ({words}))"

    async def look_for_new(self) -> None:
        """Fetch the flags of messages that are not known yet."""
        for _ in range(3):
            if len(self.uids) != len(self.cache):
                await self.run(f"UID FETCH {self.complete_until + 1}:* (FLAGS)")
        assert len(self.uids) == len(self.cache), "the client believes in messages that are gone"
        if None in self.uids:
            await self.run("UID FETCH 1:* (UID)")
        self.complete_until = max(self.cache, default=self.complete_until)

    async def lose(self, command: str) -> None:
        """Send a command and lose the connection after some lines of the answer."""
        if self.client is None:
            raise RuntimeError("offline")
        # What it changes is assumed only with its OK, and this one may not come.
        self._knows_flags = _SILENT.match(command) is None
        await self.client.send(b"lost " + command.encode() + b"\r\n")
        for _ in range(self.chance.randrange(4)):
            line = await self.client.read_response()
            if line.startswith(b"lost "):
                if found := _SILENT.match(command):
                    self._assume(
                        numbers_of(found[2].encode()), found[3], found[4], uid=bool(found[1])
                    )
                self._answered(line)
                break
            self.hear(line, numbers_stay=False)
        self._knows_flags = True
        await self.drop()

    async def drop(self) -> None:
        """Lose the connection."""
        if self.client is not None:
            await self.client.close()
        self._pending, self._settled, self.client = 0, None, None

    # ---- commands -----------------------------------------------------------------------------

    async def run(self, command: str) -> list[bytes]:
        """Run a command and follow what is told."""
        if self.client is None:
            raise RuntimeError("offline")
        numbers_stay = command.startswith(("FETCH", "STORE", "SEARCH"))
        if found := _SILENT.match(command):
            self._assume(numbers_of(found[2].encode()), found[3], found[4], uid=bool(found[1]))
        lines = await self.client.command(command)
        for line in lines[:-1]:
            self.hear(line, numbers_stay=numbers_stay)
        self._answered(lines[-1])
        self._assumed.clear()
        return lines

    def _assume(self, numbers: list[int], sign: str, words: str, *, uid: bool) -> None:
        """Change the flags as a silent STORE will, whose answer does not name them."""
        flags = frozenset(words.lower().split())
        for number in numbers:
            if uid:
                known = number if number in self.uids else None
            else:
                known = self.uids[number - 1] if number <= len(self.uids) else None
                if known is None:
                    self._assumed[number] = (sign, flags)
            self._assume_of(known, sign, flags)

    def _assume_of(self, uid: int | None, sign: str, flags: frozenset[str]) -> None:
        if uid is not None and uid in self.cache:
            before = self.cache[uid]
            self.cache[uid] = before | flags if sign == "+" else before - flags

    def _answered(self, line: bytes) -> None:
        """Take the tagged response: now it is clear up to which MODSEQ all is known."""
        self._hear_code(line)
        found = _MODIFIED.search(line)
        self.modified = numbers_of(found[1]) if found else []
        if self._settled is not None:
            assert self._settled >= self.highest, f"{self.highest} before {line!r}"
            self.highest = self._settled
        else:
            self.highest = max(self.highest, self._pending)
        self._pending, self._settled = 0, None

    def hear(self, line: bytes, *, numbers_stay: bool) -> None:
        """Follow one untagged response."""
        if found := _NUMBER.match(line):
            assert found[2] == b"EXISTS", "EXPUNGE after ENABLE QRESYNC"
            number = int(found[1])
            assert number >= len(self.uids)
            self.uids += [None] * (number - len(self.uids))
        elif found := _VANISHED.match(line):
            self._hear_vanished(numbers_of(found[2]), earlier=bool(found[1]), stay=numbers_stay)
        elif found := _FETCH.match(line):
            self._hear_fetch(int(found[1]), found[2])
        elif line.startswith(b"* FLAGS ("):
            self.keywords = {word.decode().lower() for word in line[9:-1].split()}
        elif b"[UIDVALIDITY " in line:
            self.validity = int(line.split(b"UIDVALIDITY ")[1].split(b"]")[0])
        else:
            self._hear_code(line)

    def _hear_code(self, line: bytes) -> None:
        if found := _CODE.search(line):
            self._settled = int(found[1])
            assert self._settled > 0

    def _hear_vanished(self, gone: list[int], *, earlier: bool, stay: bool) -> None:
        if earlier:
            assert not set(gone) & set(self.uids), "VANISHED (EARLIER) of what is there"
        else:
            assert not stay, "VANISHED while numbers were in use"
            unknown = [uid for uid in gone if uid not in self.uids]
            assert len(unknown) <= self.uids.count(None), "VANISHED of what was never there"
            self.uids = [uid for uid in self.uids if uid not in gone]
            if unknown:
                self.uids = [None] * (len(self.uids) - len(unknown))
        for uid in gone:
            self.cache.pop(uid, None)
            self.modseqs.pop(uid, None)

    def _hear_fetch(self, number: int, items: bytes) -> None:
        found = re.search(rb"\bUID (\d+)", items)
        assert found is not None, "FETCH without UID"
        uid = int(found[1])
        assert self.uids[number - 1] in (None, uid), f"message {number} is {uid}"
        self.uids[number - 1] = uid
        if number in self._assumed:
            self._assume_of(uid, *self._assumed.pop(number))
        modseq = re.search(rb"\bMODSEQ \((\d+)\)", items)
        if modseq is not None:
            self._pending = max(self._pending, int(modseq[1]))
        flags = re.search(rb"\bFLAGS \(([^)]*)\)", items)
        if flags is None:
            if modseq is not None and uid in self.cache and self._knows_flags:
                self._check_state(uid, int(modseq[1]))
            return
        words = frozenset(word.decode().lower() for word in flags[1].split())
        assert words - {"\\recent"} <= self.keywords, "a keyword that FLAGS did not name"
        self.cache[uid] = words - {"\\recent"}
        if modseq is not None:
            self._check_state(uid, int(modseq[1]))

    def _check_state(self, uid: int, modseq: int) -> None:
        told = self.law.flags_at.setdefault((uid, modseq), self.cache[uid])
        assert told == self.cache[uid], f"UID {uid} has two states at MODSEQ {modseq}"
        assert modseq >= self.modseqs.get(uid, 0), "a MODSEQ went back"
        self.modseqs[uid] = modseq
