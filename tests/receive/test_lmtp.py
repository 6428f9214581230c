"""LMTP (RFC 2033): local recipients only, one reply for each, whatever came of the mail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kit.operations import runner
from kit.reading import inbox_of
from kit.store import make_account, running
from kit.talk import Talk, talk_to_lmtp
from kit.zone import ZoneResolver
from zajil.check.learned.learned_checks import LearnedChecks
from zajil.check.step import Checks
from zajil.config.options_check import CheckOptions
from zajil.net.system import SystemClock
from zajil.operations.train import train_mail
from zajil.store.engine.open import Store

MESSAGE = "From: a@north.test\r\nSubject: hi\r\n\r\nhello\r\n"


def with_lmtp(store: Store, talk: Callable[[Talk], Awaitable[None]]) -> None:
    make_account(store, "noor@south.test", admin=True)
    make_account(store, "amal@south.test")

    async def run() -> None:
        async with running(store):
            await talk(await talk_to_lmtp(store))

    asyncio.run(run())


async def hand_in(client: Talk, recipients: list[str], message: str = MESSAGE) -> list[str]:
    await client.say("MAIL FROM:<a@north.test>")
    for recipient in recipients:
        await client.say(f"RCPT TO:<{recipient}>")
    await client.say("DATA")
    return await client.say_all(message, ".\r\n")


def test_each_recipient_gets_its_reply_and_its_copy(store: Store) -> None:
    """RFC 2033 section 4.2: refused ones get none after the message; one named twice gets two."""

    async def talk(client: Talk) -> None:
        named = ["noor@south.test", "nobody@south.test", "amal@south.test", "noor@south.test"]
        replies = await hand_in(client, named)
        assert len(replies) == 3
        assert {reply[:24] for reply in replies} == {replies[0][:24]}
        assert all(reply.startswith("250 2.0.0 queued as ") for reply in replies)
        for address in ("noor@south.test", "amal@south.test"):
            (text,) = await inbox_of(store, address)
            assert b"with LMTP" in text  # RFC 3848

    with_lmtp(store, talk)


def test_received_says_that_the_envelope_was_utf8(store: Store) -> None:
    """RFC 6531 section 4.3: UTF8LMTP."""

    async def talk(client: Talk) -> None:
        assert (await client.send("a@north.test", ["noor@south.test"], MESSAGE)).startswith("250 ")
        (text,) = await inbox_of(store, "noor@south.test")
        assert b" with UTF8LMTP\r\n" in text

    with_lmtp(store, talk)


def test_a_refused_message_is_refused_to_each(store: Store) -> None:
    async def talk(client: Talk) -> None:
        replies = await hand_in(client, ["noor@south.test", "amal@south.test"], "a\0b\r\n")
        assert [reply[:9] for reply in replies] == ["550 5.6.0", "550 5.6.0"]

    with_lmtp(store, talk)


@pytest.mark.parametrize("greeting", ["EHLO a.test", "HELO a.test"])
def test_a_greeting_of_smtp_is_refused(store: Store, greeting: str) -> None:
    """RFC 2033 section 4.1."""

    async def talk(client: Talk) -> None:
        assert (await client.say(greeting)).startswith("50")

    with_lmtp(store, talk)


@pytest.mark.parametrize(
    "recipient",
    [
        "someone@elsewhere.test",
        "someone%elsewhere.test@south.test",
        '"someone@elsewhere.test"@south.test',
        "@south.test:someone@elsewhere.test",
        "elsewhere.test!someone@south.test",
        "someone@[192.0.2.99]",
        "someone@[IPv6:2001:db8::1]",
        "someone@ELSEWHERE.test",
    ],
)
def test_mail_for_elsewhere_is_not_taken(store: Store, recipient: str) -> None:
    """Attacks O: the ways to hide a relay."""

    async def talk(client: Talk) -> None:
        await client.say("MAIL FROM:<a@north.test>")
        assert (await client.say(f"RCPT TO:<{recipient}>")).startswith("550 5.")
        assert (await client.say("DATA")).startswith("503 ")

    with_lmtp(store, talk)


def test_whoever_passes_on_what_strangers_named_is_not_closed_for_it(store: Store) -> None:
    async def talk(client: Talk) -> None:
        await client.say("MAIL FROM:<a@north.test>")
        for number in range(30):
            reply = await client.say(f"RCPT TO:<nobody{number}@south.test>")
            assert reply.startswith("550 5.1.1")

    with_lmtp(store, talk)


JUNK = (
    "From: a@north.test\r\nTo: noor@south.test\r\nSubject: casino bonus\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
    '<p>casino bonus lottery pills winner</p><a href="http://bank.test@192.0.2.9/">go</a>\r\n'
)
HAM = "From: b@north.test\r\nSubject: garden\r\n\r\nroses and almonds in the garden\r\n"


def test_who_rejects_a_message_is_answered_apart(store: Store) -> None:
    """Design D12: in LMTP each recipient decides for itself; the others have their copy."""
    make_account(store, "noor@south.test", admin=True)
    make_account(store, "amal@south.test")
    for number in range(3):
        for text, is_junk in ((JUNK, True), (HAM, False)):
            message = f"{text}{number}\r\n".encode()
            train = runner(store).run
            train(train_mail, message, is_junk=is_junk, account="noor@south.test")
    options = CheckOptions.model_validate(
        {"words": {"min_mails": 2}, "weights": {"words.own-junk": 50.0}}
    )

    async def run() -> None:
        async with running(store):
            knowledge = LearnedChecks(store, options, SystemClock())
            resolve = ZoneResolver({}).resolve
            checks = Checks(options, resolve, "mx.south.test", knowledge=knowledge)
            client = await talk_to_lmtp(store, checks=checks)
            named = ["noor@south.test", "amal@south.test", "noor@south.test"]
            replies = await hand_in(client, named, JUNK)
            assert [reply[:3] for reply in replies] == ["550", "250", "550"]
            assert await inbox_of(store, "noor@south.test") == []
            assert len(await inbox_of(store, "amal@south.test", "junk")) == 1
            replies = await hand_in(client, named, HAM)
            assert [reply[:3] for reply in replies] == ["250", "250", "250"]

    asyncio.run(run())
