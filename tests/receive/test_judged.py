"""From the wire to the mailbox: what is judged, where it lies, what a move teaches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.clock import FakeClock
from kit.mail import NOON_MS
from kit.store import NOW_MS, make_account, open_test_store, running
from kit.talk import HOSTNAME, Talk, talk_to_receiver
from kit.zone import Zone, ZoneResolver
from zajil.check.learned.learned_checks import LearnedChecks
from zajil.check.learned.reputation import learner_of
from zajil.check.learned.trainer import Trainer
from zajil.check.step import Checks
from zajil.config.options_check import CheckOptions
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import MailId
from zajil.store.engine.open import Store
from zajil.store.feedback.training import INSTALLATION, list_models
from zajil.store.mail.flag_changes import FlagChange, FlagMode, change_flags
from zajil.store.mail.message_copies import (
    CopyMessages,
    move_messages,
)
from zajil.store.mail.messages import list_uids
from zajil.store.mail.tracking import load_journey
from zajil.store.people.accounts import NewAccount, create_account
from zajil.store.people.directory import look_up
from zajil.store.schema import message as message_row
from zajil.tracking.events import VerdictReached

ODD = Path(__file__).parent.parent / "corpus" / "odd"
ZONE: Zone = {"far.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}}


def letter(number: int, words: str, sender: str = "s@far.example") -> bytes:
    return (
        f"From: Somebody <{sender}>\r\nTo: amal@south.test\r\nSubject: letter {number}\r\n"
        f"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{number}@far.example>\r\n\r\n"
        f"{words}\r\n"
    ).encode()


@dataclass
class World:
    """A receiver, its knowledge, and what its users do."""

    store: Store
    clock: FakeClock
    talk: Talk
    trainer: Trainer
    knowledge: LearnedChecks

    def entry(self, address: str) -> AccountEntry:
        found = self.store.read_now(lambda conn: look_up(conn, parse_address(address))).entry
        assert isinstance(found, AccountEntry)
        return found

    async def deliver(
        self, message: bytes, *recipients: str, sender: str = "s@far.example"
    ) -> tuple[str, list[VerdictReached]]:
        """Send a mail; give the answer and the verdicts of its journey."""
        reply = await self.talk.send(sender, list(recipients or ["amal@south.test"]), message)
        mail_id = MailId(reply.rpartition(" ")[2].strip("()"))
        # What was noted for later is written before this.
        await self.store.write(lambda _tx, items: list(items), None)
        journey = await self.store.read(lambda conn: load_journey(conn, mail_id))
        events = [] if journey is None else [one.event for one in journey.events]
        return reply, [one for one in events if isinstance(one, VerdictReached)]

    async def deliver_learned(self, message: bytes, signal: str) -> VerdictReached:
        """Send a mail until what was learned is known, which no mail waits for."""
        told: list[VerdictReached] = []
        for _ in range(200):
            _, told = await self.deliver(message)
            for one in told:
                if signal in {name for name, *_ in one.signals}:
                    return one
        raise AssertionError(f"no {signal} in {told}")

    async def count(self, address: str, role: str) -> int:
        entry = self.entry(address)
        box = entry.junk if role == "junk" else entry.inbox
        return len(await self.store.read(lambda conn: list_uids(conn, box)))

    async def move_all(self, address: str, source: str, target: str) -> None:
        """Move a mailbox, as IMAP and the web do, and let the trainer learn."""
        entry = self.entry(address)
        boxes = {"inbox": entry.inbox, "junk": entry.junk}
        uids = await self.store.read(lambda conn: list_uids(conn, boxes[source]))
        item = CopyMessages(entry.account_id, boxes[source], tuple(uids), boxes[target])
        await self.store.write(move_messages, item)
        await self.learn()

    async def flag_all(self, address: str, flag: str) -> None:
        entry = self.entry(address)
        uids = await self.store.read(lambda conn: list_uids(conn, entry.inbox))
        item = FlagChange(
            entry.account_id, entry.inbox, tuple(uids), FlagMode.ADD, frozenset({flag})
        )
        await self.store.write(change_flags, item)
        await self.learn()

    async def learn(self) -> None:
        while await self.trainer.learn_due():
            pass
        self.clock.advance(61_000)  # other workers look after half a minute, history after one


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    """A store for what does not depend on it."""
    opened = open_test_store("sqlite", tmp_path / "data")
    yield opened
    opened.close_now()


def live(
    store: Store,
    story: Callable[[World], Awaitable[None]],
    options: CheckOptions | None = None,
    zone: Zone = ZONE,
) -> None:
    for address in ("amal@south.test", "basim@south.test"):
        make_account(store, address)
    boss = NewAccount(
        "boss", parse_address("boss@south.test"), "Noor Saleh", "!", admin=True, created_ms=NOW_MS
    )
    store.write_now(create_account, boss)
    options = options or CheckOptions.model_validate({"words": {"min_mails": 3}})

    async def run() -> None:
        async with running(store):
            clock = FakeClock(NOON_MS)
            knowledge = LearnedChecks(store, options, clock)
            resolve = ZoneResolver(zone).resolve
            checks = Checks(options, resolve, HOSTNAME, store.directory.is_ours, knowledge)
            talk = await talk_to_receiver(store, checks=checks, clock=clock)
            hear = learner_of(knowledge.history, HOSTNAME)
            await story(
                World(store, clock, talk, Trainer(store, options.words, clock, [hear]), knowledge)
            )

    asyncio.run(run())


def test_an_honest_letter_of_a_stranger_lies_in_the_inbox(store: Store) -> None:
    """Design D12."""

    async def story(world: World) -> None:
        reply, (verdict,) = await world.deliver(letter(1, "shall we meet on Sunday?"))
        assert reply.startswith("250")
        assert (verdict.verdict, verdict.recipient) == ("accept", None)
        assert await world.count("amal@south.test", "inbox") == 1

    live(store, story)


@pytest.mark.parametrize("name", ["phishing-en-digit-for-letter", "phishing-ar-bank"])
def test_deceit_lies_in_junk_and_its_journey_says_why(store: Store, name: str) -> None:
    async def story(world: World) -> None:
        message = (ODD / f"{name}.eml").read_bytes().replace(b"\n", b"\r\n")
        reply, (verdict,) = await world.deliver(message)
        assert reply.startswith("250")
        assert verdict.verdict == "junk"
        assert any(signal[0].startswith("phish.") for signal in verdict.signals)
        assert await world.count("amal@south.test", "junk") == 1
        kept = sa.select(message_row.c.keywords)
        keywords = await store.read(lambda conn: conn.scalars(kept).all())
        assert keywords == ["$Phishing"], "mail programs warn"

    live(store, story)


def test_a_stranger_with_the_name_of_one_of_us(store: Store) -> None:
    """First contact that claims to be a local account; whom one knows is no pretender."""

    async def story(world: World) -> None:
        message = letter(1, "buy gift cards, and keep it between us").replace(
            b"Somebody", b'"Noor Saleh (director)"'
        )
        _, (verdict,) = await world.deliver(message)
        assert verdict.verdict == "junk"
        assert {one[0] for one in verdict.signals} >= {"phish.name-of-ours", "phish.lure"}
        await world.move_all("amal@south.test", "junk", "inbox")
        _, verdicts = await world.deliver(message, "amal@south.test", "basim@south.test")
        told = {one.recipient: one.verdict for one in verdicts}
        assert told["amal@south.test"] == "accept"
        assert told["basim@south.test"] == "junk"
        assert await world.count("basim@south.test", "junk") == 1

    live(store, story)


def test_moves_to_junk_teach_who_is_not_wanted(store: Store) -> None:
    """The mail of an address that was moved to Junk often is junk for that account alone."""

    async def story(world: World) -> None:
        for number in range(3):
            await world.deliver(letter(number, f"news {number}"))
            await world.move_all("amal@south.test", "inbox", "junk")
        _, verdicts = await world.deliver(letter(9, "news"), "amal@south.test", "basim@south.test")
        told = {one.recipient: one for one in verdicts}
        assert told[None].verdict == "accept"
        own = told["amal@south.test"]
        assert own.verdict == "junk"
        assert own.signals[0][0] == "history.often-junked-by-you"
        assert await world.count("amal@south.test", "junk") == 4
        assert await world.count("basim@south.test", "inbox") == 1
        await world.move_all("amal@south.test", "junk", "inbox")
        _, verdicts = await world.deliver(letter(10, "news"))
        assert {one.verdict for one in verdicts} == {"accept"}

    live(store, story)


SPAM = "الحبوب السحرية بدون وصفة والشحن سري", "miracle pills without prescription discreet shipping"
HAM = "اجتماع يوم الأحد في القاعة العلوية", "the meeting on sunday is in the upper room"


@pytest.mark.parametrize("number", [0, 1], ids=["ar", "en"])
@pytest.mark.parametrize("way", ["move", "flag"])
def test_words_of_what_was_called_junk(store: Store, way: str, number: int) -> None:
    """By moves and by $Junk; from other senders, so that their history says nothing."""

    async def story(world: World) -> None:
        for count in range(4):
            await world.deliver(letter(count, HAM[number], f"h{count}@h{count}.example"))
        await world.flag_all("amal@south.test", "$NotJunk")
        entry = world.entry("amal@south.test")
        for count in range(4):
            spam = letter(count, SPAM[number], f"s{count}@s{count}.example")
            await world.deliver(spam, "amal@south.test")
        uids = await store.read(lambda conn: list_uids(conn, entry.inbox))
        if way == "flag":
            junk = FlagChange(
                entry.account_id, entry.inbox, tuple(uids[4:]), FlagMode.ADD, frozenset({"$Junk"})
            )
            await store.write(change_flags, junk)
        else:
            move = CopyMessages(entry.account_id, entry.inbox, tuple(uids[4:]), entry.junk)
            await store.write(move_messages, move)
        await world.learn()
        for words, signal in ((SPAM[number], "words.own-junk"), (HAM[number], "words.own-ham")):
            own = await world.deliver_learned(letter(99, words, "new@new.example"), signal)
            assert own.recipient == "amal@south.test"
            assert own.verdict == ("junk" if "junk" in signal else "accept")

    live(store, story)


def test_words_do_not_speak_for_a_mail_that_deceives(store: Store) -> None:
    """A thief writes as those write whom he wants to be taken for."""

    async def story(world: World) -> None:
        entry = world.entry("amal@south.test")
        for count in range(4):
            await world.deliver(letter(count, HAM[1], f"h{count}@h{count}.example"))
        await world.flag_all("amal@south.test", "$NotJunk")
        for count in range(4):
            await world.deliver(letter(count, SPAM[1], f"s{count}@s{count}.example"))
        uids = await store.read(lambda conn: list_uids(conn, entry.inbox))
        move = CopyMessages(entry.account_id, entry.inbox, tuple(uids[4:]), entry.junk)
        await store.write(move_messages, move)
        await world.learn()
        honest = letter(9, HAM[1], "x@new.example")
        deceit = honest.replace(b"x@new.example", b"x@paypa1.com")
        await world.deliver_learned(honest, "words.own-ham")
        _, forged = await world.deliver(deceit)
        told = {one[0] for event in forged for one in event.signals}
        assert "phish.lookalike-author" in told
        assert not {"words.ham", "words.own-ham"} & told

    live(store, story)


def test_whom_one_answers_is_known(store: Store) -> None:
    """\\Answered, as mail programs set it."""

    async def story(world: World) -> None:
        await world.deliver(letter(1, "shall we meet?"))
        await world.flag_all("amal@south.test", "\\Answered")
        _, verdicts = await world.deliver(letter(2, "and again?"))
        own = {one.recipient: one for one in verdicts}["amal@south.test"]
        assert "history.written-by-you" in {one[0] for one in own.signals}

    live(store, story)


def test_who_only_moves_junk_away_teaches_what_is_wanted_too(store: Store) -> None:
    """What was read and left in INBOX is ham, until something else is said of it."""

    async def story(world: World) -> None:
        for count in range(4):
            await world.deliver(letter(count, HAM[1], f"h{count}@h{count}.example"))
        await world.flag_all("amal@south.test", "\\Seen")
        entry = world.entry("amal@south.test")
        for count in range(4):
            await world.deliver(letter(count, SPAM[1], f"s{count}@s{count}.example"))
        uids = await store.read(lambda conn: list_uids(conn, entry.inbox))
        move = CopyMessages(entry.account_id, entry.inbox, tuple(uids[4:]), entry.junk)
        await store.write(move_messages, move)
        await world.learn()
        models = await store.read(lambda conn: list_models(conn, 3))
        assert {(one.account_id, one.junk, one.ham) for one in models} == {
            (INSTALLATION, 4, 4),
            (entry.account_id, 4, 4),
        }
        for words, signal in ((SPAM[1], "words.own-junk"), (HAM[1], "words.own-ham")):
            own = await world.deliver_learned(letter(99, words, "new@new.example"), signal)
            assert own.verdict == ("junk" if "junk" in signal else "accept")
        # What was wrongly taken for wanted is unlearned when it is moved, too.
        await world.move_all("amal@south.test", "inbox", "junk")
        (_, model) = sorted(
            await store.read(lambda conn: list_models(conn, 0)), key=lambda one: one.account_id
        )
        assert model.ham == 0

    live(store, story)


def test_greylisting_asks_the_unproven_unknown_only(store: Store) -> None:
    options = CheckOptions.model_validate({"greylist": {"enabled": True}})

    async def story(world: World) -> None:
        proven, _ = await world.deliver(letter(1, "hello"))
        assert proven.startswith("250")
        unknown = letter(2, "hello", "x@unknown.example")
        reply, _ = await world.deliver(unknown, sender="x@unknown.example")
        assert reply.startswith("45")
        world.clock.advance(6 * 60_000)
        reply, _ = await world.deliver(unknown, sender="x@unknown.example")
        assert reply.startswith("250")

    live(store, story, options)


def test_greylisting_is_off_unless_asked_for(store: Store) -> None:
    async def story(world: World) -> None:
        reply, _ = await world.deliver(
            letter(1, "hello", "x@unknown.example"), sender="x@y.example"
        )
        assert reply.startswith("250")

    live(store, story)


LISTS = CheckOptions.model_validate(
    {"peer": {"lists": {"bad.test": 4.0, "worse.test": 12.0, "shut.test": 9.0}}}
)
NAMED: Zone = {
    **ZONE,
    "1.2.0.192.in-addr.arpa": {"PTR": ["mx.far.example"]},
    "mx.far.example": {"A": ["192.0.2.1"]},
}


@pytest.mark.parametrize(
    ("listed", "code", "signals"),
    [
        ({"bad.test": "127.0.0.2"}, "250", ["peer.listed"]),
        ({"bad.test": "127.0.0.2", "worse.test": "127.0.0.4"}, "550", ["peer.listed"] * 2),
        ({"shut.test": "127.255.255.254"}, "250", []),
        ({"shut.test": "192.0.2.9"}, "250", []),
        ({"shut.test": "127.0.0.2"}, "250", []),
    ],
)
def test_a_peer_that_lists_name(
    sqlite: Store, listed: dict[str, str], code: str, signals: list[str]
) -> None:
    """Listed by two, with a proof among the reasons, it is refused; an error is no listing.

    Nor is what a list says that fails its test points, from the first mail on.
    """
    zone = {**NAMED, **{f"1.2.0.192.{one}": {"A": [value]} for one, value in listed.items()}}
    zone |= {f"2.0.0.127.{one}.test": {"A": ["127.0.0.2"]} for one in ("bad", "worse")}

    async def story(world: World) -> None:
        reply, (verdict,) = await world.deliver(letter(1, "hello"))
        assert reply.startswith(code)
        told = [one[0] for one in verdict.signals if one[0].startswith("peer.")]
        assert told == signals

    live(sqlite, story, LISTS, zone)


@pytest.mark.parametrize(
    ("helo", "signal"),
    [
        ("mx.far.example", None),
        ("[192.0.2.1]", None),
        (HOSTNAME, "peer.helo-ours"),
        ("[192.0.2.2]", "peer.helo-other-address"),
        ("localhost", "peer.helo-no-domain"),
    ],
)
def test_the_name_a_peer_gives_itself(sqlite: Store, helo: str, signal: str | None) -> None:
    async def story(world: World) -> None:
        await world.talk.say(f"EHLO {helo}")
        _, (verdict,) = await world.deliver(letter(1, "hello"))
        told = [one[0] for one in verdict.signals if one[0].startswith("peer.")]
        assert told == ([signal] if signal else [])

    live(sqlite, story, zone=NAMED)
