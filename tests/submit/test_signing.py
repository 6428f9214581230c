"""What our users send is signed as it leaves; on both databases."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from kit.dkim import verify
from kit.keys import make_signer, published_keys
from kit.reading import inbox_of
from kit.store import make_account, running
from kit.talk import HOSTNAME, Talk, acceptance_context, talk_to_submission
from zajil.config.options import LimitOptions
from zajil.core.service import Service
from zajil.keys.sign import Signer
from zajil.login.service import LoginService
from zajil.net.system import SystemClock
from zajil.smtp.extensions import Capabilities
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import MailQuery, find_mails, load_journey
from zajil.store.schema import dkim_key
from zajil.submit.hand_in import hand_in
from zajil.tracking.events import MailSigned, TrackingEvent

PASSWORD = "correct horse"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
MESSAGE = (
    "From: Amal <amal@south.test>\r\nTo: noor@south.test\r\nSubject: hi\r\n"
    "Bcc: secret@south.test\r\n"
    "Authentication-Results: mx.south.test; dkim=pass\r\n\r\nhello  there \r\n"
)
BOTH = ("ed25519-sha256", "rsa-sha256")


async def events(store: Store) -> list[TrackingEvent]:
    """Give the events of the only mail."""
    (found,) = await store.read(lambda conn: find_mails(conn, MailQuery()))
    journey = await store.read(lambda conn: load_journey(conn, found.mail_id))
    assert journey is not None
    return [recorded.event for recorded in journey.events]


def with_submission(store: Store, talk: Callable[[Talk, Signer], Awaitable[None]]) -> None:
    """Run a dialogue of amal's, who is logged in to a server that signs."""
    make_account(store, "amal@south.test", password_hash=HASH)
    make_account(store, "noor@south.test")
    signer = make_signer(store, "south.test")

    async def run() -> None:
        async with running(store):
            login = LoginService(store, SystemClock(), os.urandom, free_failures=10)
            offer = Capabilities(
                hostname=HOSTNAME,
                max_message_size=1 << 22,
                starttls=True,
                auth_mechanisms=login.mechanisms,
            )
            limits = LimitOptions().model_copy(update={"memory": 1 << 16})
            client = await talk_to_submission(
                store, login, offer=offer, signer=signer, limits=limits
            )
            assert (await client.log_in("amal", PASSWORD)).startswith("235 ")
            await talk(client, signer)

    asyncio.run(run())


@pytest.mark.parametrize("size", [0, 1_000_000], ids=["small", "in a file"])
def test_the_signatures_cover_exactly_what_leaves(store: Store, size: int) -> None:
    """After completion: Date was added, Bcc and the forged field are gone."""
    message = MESSAGE + "words of some length \r\n" * (size // 24)

    async def talk(client: Talk, _: Signer) -> None:
        reply = await client.send("amal@south.test", ["noor@south.test"], message)
        assert reply.startswith("250 ")
        (kept,) = await inbox_of(store, "noor@south.test")
        assert b"\r\nDate: " in kept
        assert b"Bcc" not in kept
        found = verify(kept, published_keys(store))
        assert [(one.result, one.domain) for one in found] == [("pass", "south.test")] * 2
        assert tuple(one.algorithm for one in found) == BOTH
        assert kept.index(b"Authentication-Results") < kept.index(b"DKIM-Signature")
        assert [one.algorithms for one in await events(store) if isinstance(one, MailSigned)] == [
            BOTH
        ]

    with_submission(store, talk)


def test_what_is_written_in_the_web_is_signed_too(store: Store) -> None:
    async def talk(client: Talk, signer: Signer) -> None:
        login = LoginService(store, SystemClock(), os.urandom, free_failures=10)
        account = await login.log_in("amal", PASSWORD, peer="192.0.2.1", service=Service.WEB)
        assert account is not None
        services = acceptance_context(store, service=Service.WEB, signer=signer)
        amal = account.address
        await hand_in(services, account, amal, [amal], MESSAGE.encode(), peer="192.0.2.1")
        (kept,) = await inbox_of(store, "amal@south.test")
        found = verify(kept, published_keys(store))
        assert [one.result for one in found] == ["pass", "pass"]

    with_submission(store, talk)


def _spoil(tx: sa.Connection, items: Sequence[None]) -> list[None]:
    tx.execute(sa.update(dkim_key).values(private_key=b"no key any more"))
    return list(items)


def test_a_key_that_cannot_sign_lets_nothing_leave_unsigned(store: Store) -> None:
    """Our fault: the mail comes again, when somebody has mended it."""

    async def talk(client: Talk, _: Signer) -> None:
        await store.write(_spoil, None)
        reply = await client.send("amal@south.test", ["noor@south.test"], MESSAGE)
        assert reply.startswith("4")
        assert await inbox_of(store, "noor@south.test") == []

    with_submission(store, talk)
