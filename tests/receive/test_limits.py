"""Whose answers are slowed down: the rules, and what a session makes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kit.store import make_account, running
from kit.talk import PEER, Talk, talk_to_receiver
from zajil.config.options import LimitOptions
from zajil.receive.patience import (
    MAX_DELAY_MS,
    MAX_PEERS,
    KnownPeers,
    SlowAnswers,
    error_delay_ms,
)
from zajil.store.engine.open import Store


def limits(**changed: int) -> LimitOptions:
    return LimitOptions().model_copy(update=changed)


@pytest.mark.parametrize(
    ("errors", "delay_ms"),
    [(0, 0), (10, 0), (11, 1000), (15, 5000), (20, 10_000), (99, MAX_DELAY_MS)],
)
def test_each_error_past_the_free_ones_costs_more(errors: int, delay_ms: int) -> None:
    assert error_delay_ms(errors, limits()) == delay_ms


def test_no_delay_means_none() -> None:
    assert error_delay_ms(99, limits(error_delay_ms=0)) == 0


def test_a_peer_is_known_once_its_mail_was_accepted_and_memory_is_bounded() -> None:
    peers = KnownPeers(30_000)
    assert peers.delay_ms("192.0.2.1") == 30_000
    peers.remember("192.0.2.1")
    assert peers.delay_ms("192.0.2.1") == 0
    for number in range(MAX_PEERS):
        peers.remember(f"2001:db8::{number:x}")
    assert peers.delay_ms("192.0.2.1") == 30_000


class Sleeper:
    """Notes how long it would have slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def with_store(store: Store, talk: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with running(store):
            await talk()

    asyncio.run(run())


async def refused(client: Talk, count: int) -> str:
    reply = ""
    for number in range(count):
        reply = await client.say(f"RCPT TO:<nobody{number}@south.test>")
    return reply


def test_answers_slow_down_after_the_free_errors_and_are_told_once(store: Store) -> None:
    make_account(store, "noor@south.test")

    async def talk() -> None:
        sleeper = Sleeper()
        slow = SlowAnswers(sleep=sleeper.sleep)
        client = await talk_to_receiver(store, limits(bad_recipients=0), slow=slow)
        await client.say("MAIL FROM:<a@north.test>")
        await refused(client, 11)
        assert sleeper.slept == []
        await refused(client, 2)
        await client.say("NOOP")
        assert sleeper.slept == [1.0, 2.0, 3.0]
        await client.say("RCPT TO:<noor@south.test>")
        await client.say("DATA")
        before = len(sleeper.slept)
        assert (await client.say("x\r\n.\r\n")).startswith("250 ")
        assert len(sleeper.slept) == before  # the answer to a mail is never held back

    with_store(store, talk)


def test_the_last_bad_recipient_closes_the_session_over_all_its_mails(store: Store) -> None:
    """Attack: directory harvest; what was accepted can be sent again, so it is 421."""

    async def talk() -> None:
        make_account(store, "noor@south.test")
        client = await talk_to_receiver(store, limits(bad_recipients=4))
        await client.say("MAIL FROM:<a@north.test>")
        assert (await refused(client, 3)).startswith("550 5.1.1 ")
        await client.say("RSET")
        await client.say("MAIL FROM:<a@north.test>")
        assert (await client.say("RCPT TO:<noor@south.test>")).startswith("250 ")
        assert (
            await refused(client, 1)
        ) == "421 4.7.0 too many invalid recipients, closing connection"
        assert client.conn.close_reason
        assert "session.refused" in [event.name for event in client.session.record.events]

    with_store(store, talk)


def test_a_tarpit_holds_strangers_until_their_first_mail(store: Store) -> None:
    """Design D12: off by default."""

    async def talk() -> None:
        make_account(store, "noor@south.test")
        sleeper, known = Sleeper(), KnownPeers(30_000)
        client = await talk_to_receiver(store, slow=SlowAnswers(known, sleeper.sleep))
        assert (await client.send("a@north.test", ["noor@south.test"], "x\r\n")).startswith("250")
        assert sleeper.slept == [30.0]
        assert known.delay_ms(PEER.host) == 0
        await client.send("a@north.test", ["noor@south.test"], "x\r\n")
        assert sleeper.slept == [30.0]

    with_store(store, talk)


def test_accepted_mails_make_up_for_refusals(store: Store) -> None:
    """A busy server with an old list meets as many errors in a day as a guesser in a minute."""

    async def talk() -> None:
        make_account(store, "noor@south.test")
        sleeper = Sleeper()
        client = await talk_to_receiver(store, slow=SlowAnswers(sleep=sleeper.sleep))
        for number in range(30):
            await client.say("MAIL FROM:<a@north.test>")
            reply = await client.say(f"RCPT TO:<nobody{number}@south.test>")
            assert reply.startswith("550 5.1.1 ")
            await client.say("RCPT TO:<noor@south.test>")
            await client.say("DATA")
            assert (await client.say("From: a@north.test\r\n\r\nx\r\n.\r\n")).startswith("250 ")
        assert sleeper.slept == []

    with_store(store, talk)


def test_one_accepted_mail_does_not_pay_for_many_guesses(store: Store) -> None:
    """Attack: directory harvest from an address that knows one of ours."""

    async def talk() -> None:
        make_account(store, "noor@south.test")
        client = await talk_to_receiver(store, limits(bad_recipients=6))
        for _ in range(2):
            await client.say("MAIL FROM:<a@north.test>")
            await refused(client, 3)
            await client.say("RCPT TO:<noor@south.test>")
            await client.say("DATA")
            await client.say("From: a@north.test\r\n\r\nx\r\n.\r\n")
        await client.say("MAIL FROM:<a@north.test>")
        assert (
            await refused(client, 2)
        ) == "421 4.7.0 too many invalid recipients, closing connection"

    with_store(store, talk)
