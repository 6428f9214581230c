"""Clients of IMAP that do random things to one mailbox, and check all that the server says.

Each client keeps what the server told it, as a mail program does: the sequence numbers, the UIDs,
the flags, the MODSEQs. What contradicts that, or RFC 3501, RFC 7162 or RFC 9051, is an error:
``Fault``. All clients share one ``World``, so that they notice when two of them are told different
things.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kit.imap_world import Fault, World

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_TOKEN = re.compile(rb'\(|\)|"(?:[^"\\]|\\.)*"|\{(\d+)\}\r\n|[^\s()"{]+')
_SECONDS = 60.0
_KEYWORDS = ("$Forwarded", "Work", "Later", "$Junk")
_FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", *_KEYWORDS)


def parse(data: bytes) -> list[Any]:
    """Parse a response into atoms (bytes), strings (bytes) and lists."""
    stack: list[list[Any]] = [[]]
    place = 0
    while place < len(data):
        if data[place : place + 1].isspace():
            place += 1
            continue
        found = _TOKEN.match(data, place)
        if found is None:
            raise Fault(f"not a response: {data!r}")
        token, place = found[0], found.end()
        if token == b"(":
            stack.append([])
        elif token == b")":
            if len(stack) < 2:
                raise Fault(f"a parenthesis too many: {data!r}")
            done = stack.pop()
            stack[-1].append(done)
        elif found[1] is not None:
            size = int(found[1])
            stack[-1].append(data[place : place + size])
            place += size
        else:
            stack[-1].append(token)
    if len(stack) != 1:
        raise Fault(f"a parenthesis is missing: {data!r}")
    return stack[0]


def numbers_of(text: bytes) -> Iterator[int]:
    """Return the numbers of a set such as ``1,3:5``."""
    for piece in text.split(b","):
        first, _, last = piece.partition(b":")
        low, high = sorted((int(first), int(last or first)))
        yield from range(low, high + 1)


class StressClient:
    """One client."""

    def __init__(
        self, world: World, number: int, extensions: Sequence[str], chance: random.Random
    ) -> None:
        self.world = world
        self.number = number
        self.extensions = extensions
        self.chance = chance
        self.uids: list[int | None] = []
        """By sequence number; ``None``: the UID was not told yet."""
        self.flags: dict[int, frozenset[str]] = {}
        self.keywords: set[str] = set()
        self.modseqs: dict[int, int] = {}
        self.highest = 0
        self.validity = 0
        self.selection = 0
        self.selected = False
        self.expunge_allowed = False
        self.searched: list[bytes] = []
        self.log: list[bytes] = []
        self.others: tuple[str, ...] = ()
        """More mailboxes that it copies and moves messages to."""
        self._tag = 0
        self._asked = 0.0
        """When the last command was sent."""

    @property
    def qresync(self) -> bool:
        """Whether VANISHED comes instead of EXPUNGE."""
        return "QRESYNC" in self.extensions

    # ---- the wire -------------------------------------------------------------------------

    async def connect(self, port: int, context: ssl.SSLContext, login: str, password: str) -> None:
        """Connect, log in, enable what this client wants."""
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, limit=1 << 22
        )
        await self._line()
        await self.ok(f'LOGIN "{login}" "{password}"')
        if self.extensions:
            await self.ok(f"ENABLE {' '.join(self.extensions)}")

    async def _line(self) -> bytes:
        data = b""
        while True:
            line = await asyncio.wait_for(self.reader.readline(), _SECONDS)
            if not line.endswith(b"\r\n"):
                raise Fault(f"the server closed the connection; {self._story()}")
            data += line
            literal = _LITERAL.search(line)
            if literal is None:
                self.log.append(data)
                return data
            data += await asyncio.wait_for(self.reader.readexactly(int(literal[1])), _SECONDS)

    async def command(self, text: str | bytes, *, expunges: bool = True) -> bytes:
        """Send a command, check what comes, return the tagged response without its tag.

        Args:
            text: the command.
            expunges: messages may be expunged in the client's eyes meanwhile.
        """
        data = text.encode() if isinstance(text, str) else text
        self._tag += 1
        tag = b"t%d" % self._tag
        self.expunge_allowed = expunges
        self.searched = []
        self.log.append(b"C: " + data)
        self._asked = time.monotonic()
        self.writer.write(tag + b" " + data + b"\r\n")
        await self.writer.drain()
        while True:
            line = await self._line()
            if line.startswith(tag + b" "):
                answer = line[len(tag) + 1 :].rstrip()
                if answer.startswith(b"BAD"):
                    raise Fault(f"{answer!r} to {data!r}; {self._story()}")
                self._see_code(answer)
                return answer
            self._see(line)

    async def ok(self, text: str | bytes, *, expunges: bool = True) -> bytes:
        """Do what ``command`` does; the response must be OK."""
        answer = await self.command(text, expunges=expunges)
        if not answer.startswith(b"OK"):
            raise Fault(f"{answer!r} to {text!r}; {self._story()}")
        return answer

    def _story(self) -> str:
        lines = [line[:300].decode("utf-8", "replace").rstrip() for line in self.log[-30:]]
        return f"client {self.number} {self.extensions}:\n" + "\n".join(lines)

    async def close(self) -> None:
        """Log out."""
        await self.command("LOGOUT")
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()

    # ---- what the server says ---------------------------------------------------------------

    def _see(self, line: bytes) -> None:
        try:
            self._check(line)
        except Fault as fault:
            raise Fault(f"{fault}; {self._story()}") from None

    def _check(self, line: bytes) -> None:
        if line.startswith(b"* BYE"):
            return
        if line.startswith((b"* OK", b"* NO")):
            self._see_code(line[2:])
            return
        if not line.startswith(b"* "):
            raise Fault(f"not untagged: {line!r}")
        words = line[2:].split(None, 2)
        if words[0].isdigit():
            self._see_numbered(int(words[0]), words[1].upper(), line)
        elif words[0].upper() == b"FLAGS":
            self.keywords = {flag.decode() for flag in parse(line[2:])[1]}
        elif words[0].upper() == b"SEARCH":
            self.searched = re.sub(rb"\(.*\)", b"", line[2:]).split()[1:]
        elif words[0].upper() == b"VANISHED":
            self._see_vanished(line)

    def _see_code(self, text: bytes) -> None:
        if found := re.search(rb"\[HIGHESTMODSEQ (\d+)", text):
            if int(found[1]) < max(self.highest, 1):
                raise Fault(f"HIGHESTMODSEQ {int(found[1])} after {self.highest}")
            self.highest = int(found[1])
        if found := re.search(rb"\[UIDNEXT (\d+)", text):
            self.world.see_number("UIDNEXT", self._asked, int(found[1]))
        if found := re.search(rb"\[UIDVALIDITY (\d+)", text):
            if self.validity and self.validity != int(found[1]):
                raise Fault("UIDVALIDITY changed")
            self.validity = int(found[1])

    def _see_numbered(self, number: int, word: bytes, line: bytes) -> None:
        if word == b"EXISTS":
            if number < len(self.uids):
                raise Fault("EXISTS is smaller than before")
            self.uids += [None] * (number - len(self.uids))
        elif word == b"EXPUNGE":
            if self.qresync:
                raise Fault("EXPUNGE where VANISHED was enabled")
            self._may_expunge()
            if not 1 <= number <= len(self.uids):
                raise Fault(f"EXPUNGE of {number} of {len(self.uids)}")
            self._forget(self.uids.pop(number - 1))
        elif word == b"FETCH":
            if not 1 <= number <= len(self.uids):
                raise Fault(f"FETCH of {number} of {len(self.uids)}")
            items = parse(line[2:])[2]
            pairs = dict(zip([item.upper() for item in items[::2]], items[1::2], strict=True))
            self._see_fetch(number, pairs)

    def _may_expunge(self) -> None:
        if not self.expunge_allowed:
            raise Fault("a message was expunged while sequence numbers were in use")

    def _see_vanished(self, line: bytes) -> None:
        parts = line.split()
        earlier = parts[2].upper() == b"(EARLIER)"
        gone = set(numbers_of(parts[-1]))
        if not earlier:
            if not self.qresync:
                raise Fault("VANISHED was not enabled")
            self._may_expunge()
            unknown = gone - {uid for uid in self.uids if uid is not None}
            room = sum(uid is None for uid in self.uids)
            if len(unknown) > room:
                raise Fault(f"VANISHED names what was not there: {sorted(unknown)}")
            # A client that was not told a UID cannot say which message it was.
            self.uids = [uid for uid in self.uids if uid not in gone]
            for _ in unknown:
                self.uids.remove(None)
            if unknown:
                self.uids = [None] * len(self.uids)
        for uid in gone:
            self._forget(uid)

    def _forget(self, uid: int | None) -> None:
        if uid is not None:
            self.flags.pop(uid, None)
            self.modseqs.pop(uid, None)

    def _see_fetch(self, number: int, pairs: dict[bytes, Any]) -> None:
        if b"UID" in pairs:
            self._learn(number, int(pairs[b"UID"]))
        uid = self.uids[number - 1]
        for name, value in pairs.items():
            if name.startswith(b"BODY[") and uid is not None:
                self.world.see_body(uid, value)
        if b"FLAGS" in pairs:
            self._see_flags(uid, {flag.decode() for flag in pairs[b"FLAGS"]}, pairs)

    def _learn(self, number: int, uid: int) -> None:
        known = self.uids[number - 1]
        if known is not None and known != uid:
            raise Fault(f"message {number} had UID {known}, now {uid}")
        before = [one for one in self.uids[: number - 1] if one is not None]
        after = [one for one in self.uids[number:] if one is not None]
        if (before and before[-1] >= uid) or (after and after[0] <= uid):
            raise Fault(f"UID {uid} of message {number} is not in order")
        self.uids[number - 1] = uid

    def _see_flags(self, uid: int | None, flags: set[str], pairs: dict[bytes, Any]) -> None:
        for flag in flags - {"\\Recent"}:
            if flag not in self.keywords:
                raise Fault(f"FLAGS never named {flag}")
        if uid is None:
            return
        if "\\Recent" in flags:
            here = (self.number, self.selection)
            if self.world.recent.setdefault(uid, here) != here:
                raise Fault(f"UID {uid} is recent to two clients")
        lasting = frozenset(flags - {"\\Recent"})
        self.flags[uid] = lasting
        if b"MODSEQ" in pairs:
            modseq = int(pairs[b"MODSEQ"][0])
            if modseq < self.modseqs.get(uid, 1):
                raise Fault(f"MODSEQ of UID {uid} went back to {modseq}")
            self.modseqs[uid] = modseq
            self.world.see_number(uid, self._asked, modseq)
            known = self.world.flags_at.setdefault((uid, modseq), lasting)
            if known != lasting:
                raise Fault(f"UID {uid} has two sets of flags at MODSEQ {modseq}")

    # ---- what the client does ---------------------------------------------------------------

    async def select(self, name: str) -> None:
        """Select a mailbox, from nothing."""
        self.uids, self.flags, self.modseqs = [], {}, {}
        self.selection += 1
        self.selected = True
        await self.ok(f"SELECT {name}")

    async def go(self, name: str, world: World) -> None:
        """Select another mailbox, from nothing."""
        self.world, self.highest, self.validity = world, 0, 0
        await self.select(name)

    async def resynchronize(self, name: str) -> None:
        """Select with QRESYNC what was selected before, and follow what it tells."""
        self.selection += 1
        self.uids = []
        await self.ok(f"SELECT {name} (QRESYNC ({self.validity} {self.highest}))")
        if self.uids:
            await self.ok("FETCH 1:* (UID)", expunges=False)

    async def step(self, name: str) -> None:
        """Do one random thing."""
        chance = self.chance
        actions = [
            (self._append, 3),
            (self._store, 6),
            (self._mark_all, 1),
            (self._fetch, 6),
            (self._body, 3),
            (self._search, 2),
            (self._expunge, 2),
            (self._copy, 1),
            (self._noop, 3),
            (self._idle, 1),
            (self._again, 1),
        ]
        (action,) = chance.choices([one for one, _ in actions], [weight for _, weight in actions])
        await action(name)

    def _some(self) -> str:
        """Return sequence numbers."""
        count = len(self.uids)
        first = self.chance.randint(1, count)
        return f"{first}:{min(count, first + self.chance.choice((0, 0, 3, 50)))}"

    def _some_uids(self) -> str:
        known = [uid for uid in self.uids if uid is not None]
        if not known:
            return "1:*"
        some = self.chance.sample(known, min(len(known), self.chance.choice((1, 2, 10))))
        return ",".join(map(str, sorted(some)))

    async def _append(self, name: str) -> None:
        self.world.counter += 1
        body = f"Subject: n{self.world.counter}\r\n\r\nclient {self.number}\r\n".encode()
        flags = " ".join(self.chance.sample(_FLAGS, self.chance.randrange(3)))
        head = f"APPEND {name} ({flags}) {{{len(body)}+}}\r\n".encode()
        answer = await self.ok(head + body)
        found = re.search(rb"APPENDUID (\d+) (\d+)", answer)
        if found is None:
            raise Fault("no APPENDUID")
        if self.world.appended.setdefault(int(found[2]), body) != body:
            raise Fault(f"UID {int(found[2])} was given twice")
        self.world.see_number("UIDNEXT", self._asked, int(found[2]) + 1)

    async def _store(self, name: str) -> None:
        del name
        if not self.uids:
            return
        how = self.chance.choice(("+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT", "-FLAGS.SILENT"))
        flags = self.chance.sample(_FLAGS, self.chance.randrange(1, 3))
        is_numbered = self.chance.random() < 0.5
        numbers = self._some() if is_numbered else self._some_uids()
        if how.endswith(".SILENT"):
            self._assume(numbers, how[0], frozenset(flags), is_numbered=is_numbered)
        command = f"{'' if is_numbered else 'UID '}STORE {numbers} {how} ({' '.join(flags)})"
        answer = await self.command(command, expunges=not is_numbered)
        if not answer.startswith(b"OK"):
            self.flags.clear()

    async def _mark_all(self, name: str) -> None:
        """Set a flag that many have, without a word: what others changed is to be told with it."""
        del name
        if self.uids:
            flag, numbers = self.chance.choice(_FLAGS), f"1:{len(self.uids)}"
            self._assume(numbers, "+", frozenset({flag}), is_numbered=True)
            await self.ok(f"STORE {numbers} +FLAGS.SILENT ({flag})", expunges=False)

    def _assume(self, numbers: str, sign: str, flags: frozenset[str], *, is_numbered: bool) -> None:
        """Note what a silent STORE does, as a mail program does that asked not to be told."""
        if is_numbered:
            uids = [self.uids[number - 1] for number in numbers_of(numbers.encode())]
        elif "*" in numbers:
            uids = [None]
        else:
            uids = list(numbers_of(numbers.encode()))
        if None in uids:
            self.flags.clear()
            return
        for uid in uids:
            if uid is not None and uid in self.flags:
                known = self.flags[uid]
                self.flags[uid] = known | flags if sign == "+" else known - flags

    async def _fetch(self, name: str) -> None:
        del name
        if not self.uids:
            return
        items = "(UID FLAGS MODSEQ)" if self.qresync else "(UID FLAGS)"
        if self.chance.random() < 0.5:
            await self.command(f"FETCH {self._some()} {items}", expunges=False)
        else:
            await self.command(f"UID FETCH {self._some_uids()} {items}")

    async def _body(self, name: str) -> None:
        del name
        if self.uids:
            part = self.chance.choice(("BODY.PEEK[]", "BODY[]"))
            await self.command(f"FETCH {self._some()} (UID {part})", expunges=False)

    async def _search(self, name: str) -> None:
        del name
        key = self.chance.choice(("ALL", "UNSEEN", "KEYWORD Work", "DELETED", "SUBJECT n1"))
        await self.ok(f"SEARCH {key}", expunges=False)
        if not all(1 <= int(number) <= len(self.uids) for number in self.searched):
            raise Fault(f"SEARCH found a number that no message has; {self._story()}")

    async def _expunge(self, name: str) -> None:
        del name
        await self.ok("EXPUNGE")

    async def _copy(self, name: str) -> None:
        if self.uids and len(self.uids) < 150:
            word = self.chance.choice(("COPY", "MOVE"))
            target = self.chance.choice((name, *self.others))
            await self.command(f"UID {word} {self._some_uids()} {target}")

    async def _noop(self, name: str) -> None:
        del name
        await self.ok(self.chance.choice(("NOOP", "CHECK")))

    async def _idle(self, name: str) -> None:
        del name
        self._tag += 1
        tag = b"t%d" % self._tag
        self.expunge_allowed = True
        self.log.append(b"C: IDLE")
        self._asked = time.monotonic()
        self.writer.write(tag + b" IDLE\r\n")
        while not (line := await self._line()).startswith(b"+"):
            self._see(line)
        self.writer.write(b"DONE\r\n")
        while not (line := await self._line()).startswith(tag):
            self._see(line)

    async def _again(self, name: str) -> None:
        if self.qresync:
            await self.ok("UNSELECT")
            await self.resynchronize(name)
        else:
            await self.select(name)

    async def see_all(self) -> dict[int, frozenset[str]]:
        """Follow to the end, and return the flags that the client believes, by UID."""
        await self.ok("NOOP")
        if self.uids:
            await self.ok("FETCH 1:* (UID)", expunges=False)
            unknown = [uid for uid in self.uids if uid is not None and uid not in self.flags]
            if unknown:
                await self.ok(f"UID FETCH {','.join(map(str, unknown))} (FLAGS)")
        if None in self.uids:
            raise Fault("a message without UID")
        there = {uid for uid in self.uids if uid is not None}
        return {uid: flags for uid, flags in self.flags.items() if uid in there}
