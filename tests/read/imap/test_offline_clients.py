"""Clients that are online now and then, and change a mailbox of two workers: all end equal.

One command at a time, chosen by a seed, so that a failure comes again. The truth is read from the
store.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.imap import ImapPlace, imap_place, make_reader
from kit.imap_cache import CachingClient, Law
from kit.store import open_test_store, running
from zajil.core.directory import AccountEntry
from zajil.store.engine.open import Store
from zajil.store.mail.flags import unpack_flags
from zajil.store.mail.vanished import ForgetExpunged, forget_expunged
from zajil.store.schema import mailbox, message

STEPS = 80
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "$a", "Work", "$Junk")


class World:
    """The mailbox, those who use it, and what is known for certain."""

    def __init__(
        self, store: Store, reader: AccountEntry, places: list[ImapPlace], seed: int
    ) -> None:
        self.store = store
        self.reader = reader
        self.places = places
        self.chance = random.Random(seed)
        law = Law()
        self.clients = [CachingClient(law, random.Random(seed + n)) for n in range(1, 5)]
        self.serial = 0
        self.modseq = 0
        self.uid_next = 0
        self.history: dict[int, int] = {}
        """MODSEQ by UID, of all that there ever was."""

    def truth(self) -> dict[int, frozenset[str]]:
        """Return the flags of all messages; check that UIDs and MODSEQs only grow."""
        box = self.reader.inbox

        place = sa.select(mailbox.c.modseq, mailbox.c.uid_next).where(mailbox.c.id == box)
        columns = (message.c.uid, message.c.modseq, message.c.flags, message.c.keywords)
        all_rows = sa.select(*columns).where(message.c.mailbox_id == box)
        (modseq, uid_next), rows = self.store.read_now(
            lambda conn: (conn.execute(place).one(), conn.execute(all_rows).all())
        )
        assert modseq >= self.modseq
        assert uid_next >= self.uid_next
        new = {row.uid: row.modseq for row in rows}
        assert max(new.values(), default=0) <= modseq
        assert all(uid in self.history or uid >= self.uid_next for uid in new), "a UID came back"
        assert all(one >= self.history.get(uid, 0) for uid, one in new.items())
        self.modseq, self.uid_next = modseq, uid_next
        self.history |= new
        return {
            row.uid: frozenset(word.lower() for word in unpack_flags(row.flags, row.keywords))
            for row in rows
        }

    async def step(self) -> None:
        """Let one client do one thing."""
        client = self.chance.choice(self.clients)
        if client.client is None:
            if self.chance.random() < 0.6:
                await self.come_back(client)
            return
        if client.uids and self.chance.random() < 0.35:
            await self.interrupt(client)
            return
        command = self.command(client)
        if command is None:
            await self.forget()
        elif self.chance.random() < 0.12:
            await client.lose(command)
        elif " (UNCHANGEDSINCE " in command:
            await self.store_conditionally(client)
        else:
            await client.run(command)
            if self.chance.random() < 0.5:
                await client.run("NOOP")
                await client.look_for_new()
                assert client.cache == self.truth(), f"after {command}"

    async def come_back(self, client: CachingClient) -> None:
        await client.connect(self.chance.choice(self.places))
        assert client.cache == self.truth(), "after QRESYNC"

    async def interrupt(self, client: CachingClient) -> None:
        """Let others expunge and change, while a client may not be told of the former.

        Then its connection is lost, before it was told or after.
        """
        for other in self.clients:
            there = sorted(self.truth())
            if other is not client and other.client is not None and len(there) > 3:
                numbers = ",".join(map(str, sorted(self.chance.sample(there, 2))))
                await other.run(rf"UID STORE {numbers} +FLAGS.SILENT (\Deleted)")
                await other.run("EXPUNGE")
                await other.run(f"UID STORE {self.chance.choice(there)} FLAGS ($a)")
                await other.run(f"UID STORE {self.chance.choice(there)} FLAGS (Work)")
        numbers = self.numbers(len(client.uids))
        command = self.chance.choice(["STORE {} +FLAGS.SILENT ($b)", "FETCH {} (UID FLAGS MODSEQ)"])
        await client.run(command.format(numbers))
        if self.chance.random() < 0.3:
            await client.run("NOOP")
        if self.chance.random() < 0.7:
            await client.drop()
            if self.chance.random() < 0.7:
                await self.come_back(client)
        else:
            await client.run("NOOP")
            await client.look_for_new()
            assert client.cache == self.truth(), "after waiting"

    def command(self, client: CachingClient) -> str | None:
        """Choose a command; ``None``: old expunges are forgotten."""
        chance = self.chance
        flags = " ".join(chance.sample(FLAGS, chance.randrange(1, 3)))
        numbers = self.numbers(len(client.uids))
        uids = self.numbers(self.uid_next + 2)
        how = chance.choice(["+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT", "-FLAGS.SILENT"])
        self.serial += 1
        body = f"Subject: {self.serial}\r\n\r\nx\r\n"
        choices: list[tuple[int, str | None]] = [
            (12, f"APPEND INBOX ({flags}) {{{len(body)}+}}\r\n{body}"),
            (4, f"UID STORE {uids} {how} ({flags})"),
            (1, r"UID STORE " + uids + r" +FLAGS (\Deleted)"),
            (2, f"UID STORE {uids} (UNCHANGEDSINCE 0) {how} ({flags})"),
            (2, "EXPUNGE"),
            (1, f"UID EXPUNGE {uids}"),
            (2, f"UID COPY {uids} INBOX"),
            (1, f"UID MOVE {uids} INBOX"),
            (1, f"UID MOVE {self.numbers(3)} Archive"),
            (2, f"UID FETCH {uids} (FLAGS MODSEQ)"),
            (1, f"UID FETCH {uids} BODY[]"),
            (1, f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {client.highest} VANISHED)"),
            (1, "UID SEARCH 1:* DELETED" if client.uids else "NOOP"),
            (1, "NOOP"),
            (3, None),
        ]
        if client.uids:
            choices += [
                (4, f"STORE {numbers} {how} ({flags})"),
                (2, f"FETCH {numbers} (UID FLAGS MODSEQ)"),
                (1, f"FETCH {numbers} (UID BODY[])"),
            ]
        return chance.choices([one for _, one in choices], [weight for weight, _ in choices])[0]

    def numbers(self, count: int) -> str:
        first = self.chance.randint(1, max(1, count))
        last = min(max(1, count), first + self.chance.choice([0, 0, 2, 20]))
        return f"{first}:{last}"

    async def store_conditionally(self, client: CachingClient) -> None:
        """STORE with a MODSEQ between those of the messages: what is newer stays as it was."""
        await client.run("NOOP")
        before, known = self.truth(), dict(self.history)
        newest = self.chance.choice([0, *[known[uid] for uid in before]])
        uids = sorted(self.chance.sample(sorted(before), min(5, len(before))))
        if not uids:
            return
        words = ",".join(map(str, uids))
        await client.run(f"UID STORE {words} (UNCHANGEDSINCE {newest}) +FLAGS ($conditional)")
        assert client.modified == [uid for uid in uids if known[uid] > newest]
        after = self.truth()
        for uid in uids:
            if uid in client.modified:
                assert after[uid] == before[uid]
                assert self.history[uid] == known[uid]
            else:
                assert after[uid] == before[uid] | {"$conditional"}

    async def forget(self) -> None:
        """Forget some of what was expunged, as the chore does."""
        most = self.chance.choice([1, 5, 100])
        item = ForgetExpunged(self.reader.account_id, self.reader.inbox, most)
        await self.store.write(forget_expunged, item)


@pytest.mark.parametrize("seed", range(2))
def test_all_end_equal(store: Store, store_url: str, tmp_path: Path, seed: int) -> None:
    _run(store, store_url, tmp_path, seed, STEPS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(100, 110))
def test_all_end_equal_after_long(store: Store, store_url: str, tmp_path: Path, seed: int) -> None:
    _run(store, store_url, tmp_path, seed, 20 * STEPS)


def _run(store: Store, store_url: str, folder: Path, seed: int, steps: int) -> None:
    reader = make_reader(store)
    other = open_test_store(store_url, folder / "data", 1)

    async def run() -> None:
        async with AsyncExitStack() as stack:
            places = []
            for one in (store, other):
                await stack.enter_async_context(running(one))
                places.append(await stack.enter_async_context(imap_place(one, folder)))
            world = World(store, reader, places, seed)
            for _ in range(steps):
                await world.step()
            for client in world.clients:
                if client.client is None:
                    await client.connect(places[0])
                await client.run("NOOP")
                await client.look_for_new()
                assert client.cache == world.truth(), "at the end"
                if client.client is not None:
                    await client.client.close()

    asyncio.run(run())
