"""Submission over a real store: log in first, send only as yourself, the message is completed."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import Awaitable, Callable

import pytest
from argon2 import PasswordHasher

from kit.reading import inbox_of
from kit.store import make_account, running
from kit.talk import Talk, acceptance_context, talk_to_submission
from zajil.accept.outcome import Accepted, NotAccepted, RefusalReason
from zajil.core.address import Address, parse_address
from zajil.core.service import Service
from zajil.login.service import LoginService
from zajil.net.system import SystemClock
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import MailQuery, find_mails
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.submit.hand_in import hand_in

PASSWORD = "correct horse"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
MESSAGE = "From: Amal <amal@south.test>\r\nTo: noor@south.test\r\nSubject: hi\r\n\r\nhello\r\n"


def with_submission(
    store: Store, talk: Callable[[Talk, LoginService], Awaitable[None]], *, encrypted: bool = True
) -> None:
    """Run a dialogue of amal's, who has the aliases sales@ and سلمى@."""
    make_account(store, "amal@south.test", password_hash=HASH)
    make_account(store, "noor@south.test")
    own = (parse_address("amal@south.test"),)
    for alias in ("sales@south.test", "سلمى@south.test"):
        store.write_now(create_alias, AliasRow(parse_address(alias), own))

    async def run() -> None:
        async with running(store):
            login = LoginService(store, SystemClock(), os.urandom, free_failures=10)
            await talk(await talk_to_submission(store, login, encrypted=encrypted), login)

    asyncio.run(run())


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


def test_without_tls_there_is_neither_auth_nor_mail(store: Store) -> None:
    """RFC 8314 section 3.3: a password in the clear is never asked for."""

    async def talk(client: Talk, login: LoginService) -> None:
        assert not any("AUTH" in line for line in await client.say_all("EHLO laptop.test"))
        assert (await client.log_in("amal", PASSWORD)).startswith("538 ")
        assert (await client.say("MAIL FROM:<amal@south.test>")).startswith("530 5.7.0")

    with_submission(store, talk, encrypted=False)


def test_without_a_login_there_is_no_mail(store: Store) -> None:
    async def talk(client: Talk, login: LoginService) -> None:
        assert (await client.say("MAIL FROM:<amal@south.test>")).startswith("530 5.7.0")

    with_submission(store, talk)


@pytest.mark.parametrize("name", ["amal", "AMAL", "amal@south.test", "Amal@SOUTH.test"])
def test_a_login_is_the_name_or_the_address_of_the_account(store: Store, name: str) -> None:
    async def talk(client: Talk, login: LoginService) -> None:
        assert (await client.log_in(name, PASSWORD)).startswith("235 2.7.0")

    with_submission(store, talk)


def test_auth_login_asks_twice(store: Store) -> None:
    async def talk(client: Talk, login: LoginService) -> None:
        assert await client.say("AUTH LOGIN") == f"334 {b64('Username:')}"
        assert await client.say(b64("amal")) == f"334 {b64('Password:')}"
        assert (await client.say(b64(PASSWORD))).startswith("235 ")
        assert (await client.say("AUTH LOGIN")).startswith("503 ")

    with_submission(store, talk)


@pytest.mark.parametrize(
    ("name", "password"),
    [("amal", "wrong"), ("nobody", PASSWORD), ("noor", "!"), ("amal", "x" * 900)],
)
def test_what_was_wrong_is_not_told(store: Store, name: str, password: str) -> None:
    async def talk(client: Talk, login: LoginService) -> None:
        assert await client.log_in(name, password) == "535 5.7.8 invalid login or password"

    with_submission(store, talk)


def test_a_log_in_may_be_cancelled(store: Store) -> None:
    """RFC 4954 section 4."""

    async def talk(client: Talk, login: LoginService) -> None:
        await client.say("AUTH PLAIN")
        assert (await client.say("*")).startswith("501 ")
        assert (await client.log_in("amal", PASSWORD)).startswith("235 ")

    with_submission(store, talk)


@pytest.mark.parametrize(
    ("sender", "reply"),
    [
        ("amal@south.test", "250 "),
        ("sales@south.test", "250 "),
        ("amal+news@south.test", "250 "),
        ("سلمى@south.test", "250 "),
        ("", "250 "),
        ("noor@south.test", "553 5.7.1"),
        ("amal@elsewhere.test", "553 5.7.1"),
    ],
)
def test_mail_from_must_be_ones_own(store: Store, sender: str, reply: str) -> None:
    async def talk(client: Talk, login: LoginService) -> None:
        await client.log_in("amal", PASSWORD)
        assert (await client.say(f"MAIL FROM:<{sender}> SMTPUTF8")).startswith(reply)

    with_submission(store, talk)


@pytest.mark.parametrize(
    ("header", "reply"),
    [
        ("From: amal@south.test", "250 "),
        ("From: Sales <sales@south.test>\r\nSender: amal@south.test", "250 "),
        ("From: =?utf-8?b?2LPZhNmF2Yk=?= <amal@south.test>", "250 "),
        ("From: noor@south.test", "550 5.7.1"),
        ("From: amal@south.test, noor@south.test", "550 5.7.1"),
        ("From: amal@south.test\r\nFrom: noor@south.test", "550 5.7.1"),
        ("From: amal@south.test\r\nSender: noor@south.test", "550 5.7.1"),
        ("From: <amal@south.test> (x) <noor@south.test>", "550 5.7.1"),
        ("From: amal@south.test)noor@south.test", "550 5.7.1"),
        ("From: nobody knows", "550 5.7.1"),
        ("From:", "550 5.7.1"),
    ],
)
def test_every_from_and_sender_must_be_ones_own(store: Store, header: str, reply: str) -> None:
    """RFC 6409 section 8.1; attack: one From for the filter and one for the reader."""

    async def talk(client: Talk, login: LoginService) -> None:
        await client.log_in("amal", PASSWORD)
        got = await client.send("amal@south.test", ["noor@south.test"], f"{header}\r\n\r\nhi\r\n")
        assert got.startswith(reply)

    with_submission(store, talk)


def test_what_is_missing_is_added_and_bcc_is_removed(store: Store) -> None:
    """RFC 6409 section 8; every other byte stays."""

    async def talk(client: Talk, login: LoginService) -> None:
        await client.log_in("amal", PASSWORD)
        message = MESSAGE.replace("Subject", "Bcc: secret@south.test,\r\n more@x.test\r\nSubject")
        await client.send("amal@south.test", ["noor@south.test"], message)
        (text,) = await inbox_of(store, "noor@south.test")
        head, _, body = text.partition(b"\r\n\r\n")
        assert body == b"hello\r\n"
        assert b"ecret" not in text
        assert b"more@x.test" not in text
        assert (
            b"From: Amal <amal@south.test>\r\nTo: noor@south.test\r\nSubject: hi\r\n"
            in head + b"\r\n"
        )
        assert b"\r\nDate: " in head
        assert b"\r\nMessage-ID: <" in head
        assert b"auth=pass smtp.mailfrom=amal@south.test" in head
        assert b"with UTF8SMTPSA" in head

    with_submission(store, talk)


def test_mail_for_elsewhere_waits_in_the_queue(store: Store) -> None:
    async def talk(client: Talk, login: LoginService) -> None:
        await client.log_in("amal", PASSWORD)
        await client.send("amal@south.test", ["x@elsewhere.test", "noor@south.test"], MESSAGE)
        (found,) = await store.read(lambda conn: find_mails(conn, MailQuery()))
        assert dict(found.recipients) == {
            "noor@south.test": "delivered",
            "x@elsewhere.test": "waiting",
        }

    with_submission(store, talk)


def test_the_web_hands_in_under_the_same_rules(store: Store) -> None:
    async def talk(client: Talk, login: LoginService) -> None:
        account = await login.log_in("amal", PASSWORD, peer="192.0.2.1", service=Service.WEB)
        assert account is not None
        services = acceptance_context(store, service=Service.WEB)
        noor, stranger = parse_address("noor@south.test"), parse_address("nobody@south.test")
        own = parse_address("amal@south.test")

        async def send(sender: str, to: Address, message: str) -> Accepted | NotAccepted:
            path = parse_address(sender)
            return await hand_in(services, account, path, [to], message.encode(), peer="192.0.2.1")

        foreign = "From: noor@south.test\r\n\r\n"
        assert await send("noor@south.test", noor, MESSAGE) == NotAccepted(
            RefusalReason.NOT_YOUR_SENDER
        )
        assert await send(str(own), stranger, MESSAGE) == NotAccepted(
            RefusalReason.NO_SUCH_RECIPIENT, recipient=stranger
        )
        assert await send(str(own), noor, foreign) == NotAccepted(RefusalReason.NOT_YOUR_FROM)
        assert isinstance(await send(str(own), noor, MESSAGE), Accepted)
        assert len(await inbox_of(store, "noor@south.test")) == 1

    with_submission(store, talk)
