"""Who is asked to come again, and who never is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kit.facts import make_facts
from kit.mail import make_message
from kit.store import running
from zajil.check.facts import MessageFacts
from zajil.check.learned.greylist import Greylist, prune_greylist, ways_of
from zajil.check.learned.reputation import NO_HISTORY, HistoryFound
from zajil.check.sender.correspondent import NOTHING_PROVEN, ProvenIdentity
from zajil.check.verdict.verdict import Action, Thresholds, decide
from zajil.config.kinds import BadOption
from zajil.config.options_check import GreylistOptions
from zajil.core.address import parse_address
from zajil.net.peer import LOCAL, Peer
from zajil.store.engine.open import Store

ON = GreylistOptions(enabled=True)
LETTER = make_facts(make_message())
MINUTE_MS = 60_000


def later(minutes: int, facts: MessageFacts = LETTER) -> MessageFacts:
    return replace(facts, now_ms=facts.now_ms + minutes * MINUTE_MS)


def test_the_ways_of_a_mail() -> None:
    many = replace(
        LETTER, recipients=tuple([parse_address(f"a@{one}.test") for one in ("b", "a", "b")])
    )
    assert ways_of(LETTER) == ("192.0.2.0/24 south.test north.test",)
    assert ways_of(many) == ("192.0.2.0/24 south.test a.test", "192.0.2.0/24 south.test b.test")
    assert ways_of(replace(LETTER, reverse_path=None)) == ("192.0.2.0/24 <> north.test",)
    assert ways_of(replace(LETTER, login="amal")) == ()
    assert ways_of(replace(LETTER, peer=None)) == ()
    assert ways_of(replace(LETTER, peer=Peer(LOCAL, 0, "unix:/lmtp"))) == ()
    crowd = tuple([parse_address(f"a@d{number}.test") for number in range(500)])
    assert len(ways_of(replace(LETTER, recipients=crowd))) == 20


def test_the_delay_is_shorter_than_the_window() -> None:
    with pytest.raises((BadOption, ValueError)):
        GreylistOptions(delay_ms=10, window_ms=10)


def test_a_stranger_comes_twice(store: Store) -> None:
    async def story() -> None:
        async with running(store):
            list_, other = Greylist(store, ON), Greylist(store, ON)
            (reason,) = await list_.judge(LETTER, NOTHING_PROVEN, NO_HISTORY)
            assert reason.signal == "greylist.first"
            assert decide([reason], Thresholds()).action is Action.DEFER
            assert await other.judge(later(4), NOTHING_PROVEN, NO_HISTORY)
            assert await other.judge(later(6), NOTHING_PROVEN, NO_HISTORY) == ()
            assert await list_.judge(later(7), NOTHING_PROVEN, NO_HISTORY) == ()
            new = replace(later(8), reverse_path=parse_address("a@elsewhere.test"))
            assert await list_.judge(new, NOTHING_PROVEN, NO_HISTORY)
            await prune_greylist(store, ON, LETTER.now_ms)

    asyncio.run(story())


def test_an_open_way_asks_nobody(store: Store) -> None:
    async def story() -> None:
        async with running(store):
            list_ = Greylist(store, ON)
            await list_.judge(LETTER, NOTHING_PROVEN, NO_HISTORY)
            await list_.judge(later(6), NOTHING_PROVEN, NO_HISTORY)
            with pytest.raises(StopIteration):
                list_.judge(later(7), NOTHING_PROVEN, NO_HISTORY).send(None)

    asyncio.run(story())


def test_the_known_and_the_proven_never_wait() -> None:
    """Large senders that try again from another address prove their domain."""

    async def story() -> None:
        off, on = Greylist(nothing, GreylistOptions()), Greylist(nothing, ON)
        proven = ProvenIdentity(None, frozenset({"south.test"}))
        good = HistoryFound(is_known_good=True)
        assert await off.judge(LETTER, NOTHING_PROVEN, NO_HISTORY) == ()
        assert await on.judge(LETTER, proven, NO_HISTORY) == ()
        assert await on.judge(LETTER, NOTHING_PROVEN, good) == ()
        await prune_greylist(nothing, GreylistOptions(), 0)

    nothing: Store = None  # type: ignore[assignment] # it is not asked
    asyncio.run(story())


def test_without_a_store_nobody_waits(store: Store) -> None:
    list_ = Greylist(store, ON)  # the store is not started
    assert asyncio.run(list_.judge(LETTER, NOTHING_PROVEN, NO_HISTORY)) == ()
