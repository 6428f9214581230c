"""Whole exchanges against a real store, as a protocol drives them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from kit.login import HASHER, add_app_password, open_desk
from kit.scram_client import ScramClient
from kit.store import make_account, running
from zajil.core.address import Address
from zajil.core.app_password import Scope
from zajil.core.service import Service
from zajil.login.account import Account, Origin
from zajil.login.exchange import Exchange, Failure, begin_exchange
from zajil.login.service import LoginService
from zajil.login.tokens import JudgeUnavailable
from zajil.sasl.step import Challenge
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch
from zajil.store.people.account_names import NewNames, rename_account
from zajil.store.people.accounts import NewActive, NewPassword, set_active, set_password
from zajil.tracking.events import LoginFailed

IMAP = Origin("192.0.2.1", Service.IMAP)


def begun(login: LoginService, name: str, origin: Origin = IMAP) -> Exchange:
    exchange = begin_exchange(login, name, origin)
    assert exchange is not None
    return exchange


async def scram(
    login: LoginService, who: str, password: str, origin: Origin = IMAP
) -> tuple[bytes, Account | Failure]:
    """Do a whole exchange; give the first challenge, and what it came to."""
    exchange, client = begun(login, "SCRAM-SHA-256", origin), ScramClient(who, password)
    first = await exchange.start(client.first())
    assert isinstance(first, Challenge)
    end = await exchange.respond(client.final(first.data))
    if isinstance(end, Challenge):
        assert client.knows_server(end.data)
        end = await exchange.respond(b"")
    assert not isinstance(end, Challenge)
    return first.data, end


def test_scram_opens_with_app_passwords_alone(store: Store) -> None:
    make_account(store, "amal@south.test", password_hash=HASHER.hash("own password"))
    phone = add_app_password(store, "amal", "phone", Scope.IMAP)
    printer = add_app_password(store, "amal", "printer", Scope.SMTP)

    async def run() -> None:
        async with running(store):
            login = open_desk(store).login
            for who in ("amal", "Amal", "amal@south.test"):
                assert isinstance((await scram(login, who, phone))[1], Account)
            for password in (printer, "own password", phone[:-1]):
                assert (await scram(login, "amal", password))[1] is Failure.WRONG
            smtp = Origin("192.0.2.1", Service.SUBMISSION)
            assert isinstance((await scram(login, "amal", printer, smtp))[1], Account)

    asyncio.run(run())


def test_app_passwords_follow_a_renamed_account(store: Store) -> None:
    """SCRAM's keys belong to a salt: the new names keep that of the old, for later ones too."""
    amal = make_account(store, "amal@south.test", password_hash=HASHER.hash("own password"))
    phone = add_app_password(store, "amal", "phone", Scope.IMAP)
    new = NewNames(amal.account_id, "haddad", Address("amal.haddad", "south.test"))
    store.write_now(rename_account, new)
    tablet = add_app_password(store, "haddad", "tablet", Scope.IMAP)

    async def run() -> None:
        async with running(store):
            login = open_desk(store).login
            for who in ("haddad", "Amal.Haddad@south.test"):
                for password in (phone, tablet):
                    found = await login.log_in(
                        who, password, peer="192.0.2.1", service=Service.IMAP
                    )
                    assert found is not None
                    assert isinstance((await scram(login, who, password))[1], Account)
            for who in ("amal", "amal@south.test"):
                assert (await scram(login, who, phone))[1] is Failure.WRONG
                assert not await login.log_in(who, phone, peer="192.0.2.1", service=Service.IMAP)

    asyncio.run(run())


def test_scram_does_not_tell_who_exists(store: Store) -> None:
    """RFC 5802 section 9: a made-up name has a salt too, and keeps it across workers."""
    make_account(store, "amal@south.test", password_hash=HASHER.hash("own password"))

    async def run() -> None:
        async with running(store):
            one, two = open_desk(store).login, open_desk(store).login
            salts = [(await scram(login, "nobody", "x"))[0].split(b",")[1:] for login in (one, two)]
            before = (await scram(one, "amal", "x"))[0].split(b",")[1:]
            assert salts[0] == salts[1]
            assert salts[0] != before
            assert (await scram(one, "nobody", "x"))[1] is Failure.WRONG
            assert len(before) == len(salts[0])

    asyncio.run(run())


def test_what_failed_stays_failed(store: Store) -> None:
    make_account(store, "amal@south.test", password_hash=HASHER.hash("own password"))
    password = add_app_password(store, "amal", "phone")

    async def run() -> None:
        async with running(store):
            login = open_desk(store).login
            exchange, client = begun(login, "SCRAM-SHA-256"), ScramClient("amal", "wrong")
            first = await exchange.start(client.first())
            assert isinstance(first, Challenge)
            assert await exchange.respond(client.final(first.data)) is Failure.WRONG
            cancelled = begun(login, "PLAIN")
            assert await cancelled.start(None) == Challenge(b"")
            assert await cancelled.respond(None) is Failure.CANCELLED
            other = await begun(login, "PLAIN").start(b"basim\0amal\0" + password.encode())
            assert other is Failure.WRONG
            same = await begun(login, "PLAIN").start(b"AMAL\0amal\0" + password.encode())
            assert isinstance(same, Account)
            assert begin_exchange(login, "OAUTHBEARER", IMAP) is None

    asyncio.run(run())


@dataclass
class Judge:
    """Knows two tokens."""

    async def judge(self, token: str) -> str | None:
        if token == "later":
            raise JudgeUnavailable("away")
        return {"amals": "amal@south.test", "strangers": "noor@elsewhere.test"}.get(token)


@pytest.mark.parametrize(
    ("authorization_id", "token", "end"),
    [
        ("", "amals", None),
        ("a=amal", "amals", None),
        ("a=amal@south.test", "amals", None),
        ("a=basim", "amals", Failure.WRONG),
        ("", "strangers", Failure.WRONG),
        ("", "unknown", Failure.WRONG),
        ("", "later", Failure.UNAVAILABLE),
    ],
)
def test_tokens(store: Store, authorization_id: str, token: str, end: Failure | None) -> None:
    make_account(store, "amal@south.test")
    make_account(store, "basim@south.test")

    async def run() -> None:
        async with running(store):
            login = open_desk(store, tokens=Judge()).login
            message = f"n,{authorization_id},\x01auth=Bearer {token}\x01\x01"
            for answer in (b"\x01", None):  # a refusal stays one, whatever the client says to it
                exchange = begun(login, "OAUTHBEARER")
                outcome = await exchange.start(message.encode())
                if isinstance(outcome, Challenge):
                    assert outcome.data == b'{"status":"invalid_token"}'
                    outcome = await exchange.respond(answer)
                assert isinstance(outcome, Account) if end is None else outcome is end

    asyncio.run(run())


def test_a_session_ends_with_what_opened_it(store: Store) -> None:
    """A changed password ends what it opened, and not what an app password opened."""
    amal = make_account(store, "amal@south.test", password_hash=HASHER.hash("own password"))
    phone = add_app_password(store, "amal", "phone")

    async def run() -> None:
        async with running(store):
            login = open_desk(store).login
            ended: list[str] = []
            own_ended, all_ended = asyncio.Event(), asyncio.Event()
            for password, name, event in (
                ("own password", "own", own_ended),
                (phone, "phone", all_ended),
            ):
                account = await login.log_in(
                    "amal", password, peer="192.0.2.1", service=Service.IMAP
                )
                assert account is not None

                def end(name: str = name, event: asyncio.Event = event) -> None:
                    ended.append(name)
                    event.set()

                login.sessions.watch(account, end)
            new = NewPassword(amal.account_id, HASHER.hash("another password"))
            await store.write(set_password, new)
            await own_ended.wait()
            assert ended == ["own"]
            await store.write(set_active, NewActive(amal.account_id, active=False))
            await all_ended.wait()
            assert ended == ["own", "phone"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "sent", "end", "login"),
    [
        ("PLAIN", b"other\0amal\0x", Failure.WRONG, "amal"),
        ("PLAIN", b"no separators", Failure.MALFORMED, ""),
        ("SCRAM-SHA-256", b"nonsense", Failure.MALFORMED, ""),
        ("PLAIN", b"\0amal\0wrong", Failure.WRONG, "amal"),
    ],
)
def test_every_failure_is_an_event_with_its_peer(
    store: Store, name: str, sent: bytes, end: Failure, login: str
) -> None:
    """Whoever guesses at secrets, or does not speak the mechanism, is told to the log."""
    told: list[EventBatch] = []
    store.observe(told.extend)

    async def run() -> None:
        async with running(store):
            assert await begun(open_desk(store).login, name).start(sent) is end

    asyncio.run(run())
    (event,) = [one for batch in told for one in batch.events]
    assert isinstance(event, LoginFailed)
    assert (event.peer, event.service, event.login) == ("192.0.2.1", "imap", login)
