"""AUTH on 587: SCRAM in SMTP's words, and a session whose credentials changed."""

from __future__ import annotations

import asyncio
import functools
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.login import HASHER, add_app_password, open_desk
from kit.scram_client import ScramClient
from kit.smtp_service import SECONDS, Client
from kit.store import make_account, running
from kit.talk import HOSTNAME, acceptance_context, talk_to_submission
from zajil.core.app_password import Scope
from zajil.core.service import Service
from zajil.net.limits import SessionLimits, SessionTable
from zajil.net.listener import bind
from zajil.net.smtp_service import smtp_service
from zajil.net.stream import connect
from zajil.receive.patience import SlowAnswers
from zajil.smtp.extensions import Capabilities
from zajil.store.engine.open import Store
from zajil.store.people.accounts import NewActive, set_active
from zajil.submit.session import SubmitSession


def test_scram_and_the_end_of_a_log_in(store: Store) -> None:
    amal = make_account(store, "amal@south.test", password_hash=HASHER.hash("own password"))
    password = add_app_password(store, "amal", "laptop", Scope.SMTP)

    async def run() -> None:
        async with running(store):
            login = open_desk(store).login
            client = await talk_to_submission(store, login)
            exchange = ScramClient("amal", password)
            first = await client.say(f"AUTH SCRAM-SHA-256 {b64encode(exchange.first()).decode()}")
            final = await client.say(b64encode(exchange.final(b64decode(first[4:]))).decode())
            assert exchange.knows_server(b64decode(final[4:]))
            assert (await client.say("")).startswith("235 ")
            assert (await client.say("MAIL FROM:<amal@south.test>")).startswith("250 ")
            await client.say("RSET")
            ended = asyncio.Event()
            account = await login.log_in(
                "amal", password, peer="192.0.2.1", service=Service.SUBMISSION
            )
            assert account is not None
            login.sessions.watch(account, ended.set)
            await store.write(set_active, NewActive(amal.account_id, active=False))
            await ended.wait()
            assert (await client.say("MAIL FROM:<amal@south.test>")).startswith("421 4.7.0")

    asyncio.run(run())


def test_an_idle_session_is_told_that_its_credentials_changed(store: Store, tmp_path: Path) -> None:
    """Over a real socket: it does not have to send a command to learn it."""
    amal = make_account(store, "amal@south.test", password_hash=HASHER.hash("own password"))
    authority = TestAuthority(tmp_path)

    async def run() -> None:
        async with running(store):
            await store.directory.load()
            context = acceptance_context(store, service=Service.SUBMISSION)
            offer = Capabilities(
                hostname=HOSTNAME, max_message_size=1000, auth_mechanisms=("PLAIN",)
            )
            tls = authority.keeper(HOSTNAME)
            make_session = functools.partial(
                SubmitSession, context, SlowAnswers(), open_desk(store).login
            )
            service = smtp_service(make_session, offer, tls=tls, implicit_tls=True)
            sock = bind("127.0.0.1:0")
            await service.serve(sock)
            port = sock.getsockname()[1]
            client = Client(await connect("127.0.0.1", port, timeout=SECONDS))
            await client.stream.start_tls(authority.client_context(), HOSTNAME, SECONDS)
            await client.line()
            await client.ask(b"EHLO c.example")
            secret = b64encode(b"\0amal\0own password")
            assert (await client.ask(b"AUTH PLAIN " + secret)).startswith("235 ")
            await store.write(set_active, NewActive(amal.account_id, active=False))
            assert await client.line() == "421 4.7.0 credentials changed, please reconnect"
            assert await client.line() == ""
            await client.stream.close()
            await service.drain(1.0)

    asyncio.run(run())


@pytest.mark.parametrize(
    "line",
    ["AUTH PLAIN !!!!", "AUTH PLAIN AA=A", "AUTH SCRAM-SHA-256 AAAA", "AUTH LOGIN /w=="],
)
def test_nonsense_is_answered_and_the_session_goes_on(store: Store, line: str) -> None:
    """CVE-2025-59028, CVE-2019-10691, CVE-2017-15132: and nothing of it is left behind."""
    make_account(store, "amal@south.test", password_hash=HASHER.hash("own password"))

    async def run() -> None:
        async with running(store):
            login = open_desk(store).login
            client = await talk_to_submission(store, login)
            assert (await client.say(line)).startswith("501 ")
            assert (await client.say("AUTH LOGIN")).startswith("334 ")
            assert (await client.say("*")).startswith("501 ")
            assert (await client.log_in("amal", "own password")).startswith("235 ")

    asyncio.run(run())


def test_an_account_has_so_many_sessions(store: Store) -> None:
    """Of all protocols together, and of the other account as many."""
    for name in ("amal", "badr"):
        make_account(store, f"{name}@south.test", password_hash=HASHER.hash(name))

    async def run() -> None:
        async with running(store):
            caps = SessionTable().caps(0, SessionLimits(0, 2))
            login = open_desk(store, sessions=caps).login
            first, second, third = [await talk_to_submission(store, login) for _ in range(3)]
            for client in (first, second):
                assert (await client.log_in("amal", "amal")).startswith("235 ")
            refused = await third.log_in("amal", "amal")
            assert refused == "454 4.7.0 too many sessions of this account"
            assert (await third.say("MAIL FROM:<amal@south.test>")).startswith("530 ")
            assert (await third.log_in("badr", "badr")).startswith("235 ")
            first.session.closed("quit")
            last = await talk_to_submission(store, login)
            assert (await last.log_in("amal", "amal")).startswith("235 ")

    asyncio.run(run())
