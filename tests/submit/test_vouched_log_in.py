"""XCLIENT LOGIN on submission: a named proxy says who is at the other end; nobody else may."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from kit.reading import inbox_of
from kit.store import make_account, running
from kit.talk import HOSTNAME, Talk, talk_to_submission
from zajil.login.service import LoginService
from zajil.net.system import SystemClock
from zajil.smtp.extensions import Capabilities
from zajil.store.engine.open import Store
from zajil.store.people.accounts import NewActive, set_active

MESSAGE = "From: Amal <amal@south.test>\r\nSubject: hi\r\n\r\nhello\r\n"
PROXY = Capabilities(hostname=HOSTNAME, max_message_size=1 << 20, xclient=True)
XCLIENT = "XCLIENT ADDR=192.0.2.77 PORT=4712 PROTO=ESMTP HELO=laptop.test"


def with_proxy(
    store: Store,
    talk: Callable[[Talk], Awaitable[None]],
    offer: Capabilities = PROXY,
    *,
    encrypted: bool = False,
) -> None:
    amal = make_account(store, "amal@south.test")
    make_account(store, "noor@south.test")
    gone = make_account(store, "gone@south.test")
    store.write_now(set_active, NewActive(gone.account_id, active=False))
    assert amal.active

    async def run() -> None:
        async with running(store):
            login = LoginService(store, SystemClock(), os.urandom, free_failures=10)
            await talk(await talk_to_submission(store, login, encrypted=encrypted, offer=offer))

    asyncio.run(run())


@pytest.mark.parametrize("encrypted", [False, True])
def test_whom_a_proxy_vouches_for_is_logged_in(store: Store, encrypted: bool) -> None:
    """The proxy has seen to TLS and to the password; the rights are those of the account."""

    async def talk(client: Talk) -> None:
        assert (await client.say(f"{XCLIENT} LOGIN=amal")).startswith("220 ")
        await client.say("EHLO laptop.test")
        assert (await client.say("MAIL FROM:<noor@south.test>")).startswith("553 5.7.1")
        reply = await client.send("amal@south.test", ["noor@south.test"], MESSAGE)
        assert reply.startswith("250 2.0.0 queued as ")
        (text,) = await inbox_of(store, "noor@south.test")
        assert b"auth=pass" in text
        assert b"SMTPSA" in text if encrypted else b"SMTPA" in text

    with_proxy(store, talk, encrypted=encrypted)


@pytest.mark.parametrize("name", ["nobody", "gone", "gone@south.test", "amal@elsewhere.test"])
def test_a_login_that_nobody_has_is_refused(store: Store, name: str) -> None:
    async def talk(client: Talk) -> None:
        assert await client.say(f"{XCLIENT} LOGIN={name}") == "550 5.7.0 unknown login"
        assert (await client.say("MAIL FROM:<amal@south.test>")).startswith("530 ")

    with_proxy(store, talk)


@pytest.mark.parametrize("more", ["LOGIN=noor", "LOGIN=[UNAVAILABLE]", "ADDR=127.0.0.1"])
def test_whom_a_proxy_vouches_for_vouches_for_nobody(store: Store, more: str) -> None:
    """Attack: a proxy that passes every command on, and a client who says XCLIENT behind it."""

    async def talk(client: Talk) -> None:
        await client.say(f"{XCLIENT} LOGIN=amal")
        assert "XCLIENT" not in " ".join(await client.say_all("EHLO laptop.test"))
        before = client.session.record.peer
        assert (await client.say(f"XCLIENT {more}")).startswith("502 ")
        assert client.session.record.peer == before
        assert (await client.say("MAIL FROM:<noor@south.test>")).startswith("553 5.7.1")

    with_proxy(store, talk)


def test_an_account_that_is_suspended_sends_no_more(store: Store) -> None:
    async def talk(client: Talk) -> None:
        await client.say(f"{XCLIENT} LOGIN=amal")
        await client.say("EHLO laptop.test")
        account = client.session.account
        assert account is not None
        await store.write(set_active, NewActive(account.account_id, active=False))
        reply = await client.say("MAIL FROM:<amal@south.test>")
        assert reply == "421 4.7.0 credentials changed, please reconnect"

    with_proxy(store, talk)


def test_nobody_else_vouches_for_anybody(store: Store) -> None:
    async def talk(client: Talk) -> None:
        assert (await client.say(f"{XCLIENT} LOGIN=amal")).startswith("50")
        assert (await client.say("MAIL FROM:<amal@south.test>")).startswith("530 ")

    with_proxy(
        store, talk, Capabilities(hostname=HOSTNAME, max_message_size=1 << 20), encrypted=True
    )
