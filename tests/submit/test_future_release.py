"""Future release (RFC 4865) from MAIL to the mailbox and to the next server, on one clock."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from argon2 import PasswordHasher

from kit.clock import FakeClock
from kit.courier import Courier, courier
from kit.network import SmtpSink, smtp_sink
from kit.store import NOW_MS, make_account
from kit.talk import HOSTNAME, Talk, talk_to_submission
from kit.zone import Zone
from zajil.core.ids import MailId
from zajil.login.service import LoginService
from zajil.net.system import SystemClock
from zajil.smtp.extensions import Capabilities
from zajil.store.engine.open import Store
from zajil.store.queue.queue_admin import QueueOrder, QueueQuery, hold, list_rows, release, retry

PASSWORD = "correct horse"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
MESSAGE = "From: Amal <amal@south.test>\r\nSubject: later\r\n\r\nhello\r\n"
ZONE: Zone = {"west.test": {"A": ["127.0.0.1"]}}
LOCAL, REMOTE = "noor@south.test", "w@west.test"
DAY_S = 86_400
Scene = Callable[[Talk, Courier, SmtpSink], Awaitable[None]]
Act = Callable[..., list[Any]]


def on_one_clock(store: Store, scene: Scene) -> None:
    """Let amal, who is logged in, hand in mail at a server that delivers when it is told to."""
    make_account(store, "amal@south.test", password_hash=HASH)
    make_account(store, LOCAL)
    clock = FakeClock(NOW_MS)

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port, clock=clock) as setup:
            login = LoginService(store, SystemClock(), os.urandom, free_failures=10)
            offer = Capabilities(
                hostname=HOSTNAME,
                max_message_size=1 << 20,
                starttls=True,
                auth_mechanisms=login.mechanisms,
                max_hold_seconds=DAY_S,
                clock=clock,
            )
            client = await talk_to_submission(store, login, offer=offer)
            client.session.context = replace(client.session.context, clock=clock)
            await client.log_in("amal", PASSWORD)
            await scene(client, setup, sink)

    asyncio.run(run())


def at(seconds: int) -> str:
    """Spell a time so many seconds from the beginning."""
    return f"{datetime.fromtimestamp(NOW_MS // 1000 + seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


async def hand_in(client: Talk, parameter: str) -> MailId:
    assert (await client.say(f"MAIL FROM:<amal@south.test> {parameter}")).startswith("250 ")
    for recipient in (LOCAL, REMOTE):
        assert (await client.say(f"RCPT TO:<{recipient}>")).startswith("250 ")
    await client.say("DATA")
    reply = await client.say(f"{MESSAGE}.\r\n")
    assert reply.startswith("250 2.0.0 queued as ")
    return MailId(reply.rpartition(" ")[2])


async def states(setup: Courier, mail_id: MailId) -> dict[str, str]:
    journey = await setup.journey(mail_id)
    return {copy.address: copy.state for copy in journey.recipients}


@pytest.mark.parametrize("parameter", ["HOLDFOR=3600", f"HOLDUNTIL={at(3600)}"])
def test_nobody_gets_it_before_its_time(store: Store, parameter: str) -> None:
    async def scene(client: Talk, setup: Courier, sink: SmtpSink) -> None:
        mail_id = await hand_in(client, parameter)
        await setup.deliverer.run_due()
        setup.clock.advance(3_599_000)
        await setup.deliverer.run_due()
        assert await states(setup, mail_id) == {LOCAL: "waiting", REMOTE: "waiting"}
        assert sink.mails == []
        setup.clock.advance(1_000)
        await setup.deliverer.run_due()
        assert await states(setup, mail_id) == {LOCAL: "delivered", REMOTE: "delivered"}
        (mail,) = sink.mails
        assert mail.recipients == [REMOTE]
        assert mail.message.endswith(b"\r\n\r\nhello\r\n")
        assert (await setup.read_mail(mail_id)).endswith(b"\r\n\r\nhello\r\n")

    on_one_clock(store, scene)


@pytest.mark.parametrize("seconds", [-DAY_S, -1, 0])
def test_a_time_that_is_past_is_now(store: Store, seconds: int) -> None:
    """RFC 4865 section 4: it is released at once."""

    async def scene(client: Talk, setup: Courier, sink: SmtpSink) -> None:
        mail_id = await hand_in(client, f"HOLDUNTIL={at(seconds)}")
        assert (await states(setup, mail_id))[LOCAL] == "delivered"
        await setup.deliverer.run_due()
        assert await states(setup, mail_id) == {LOCAL: "delivered", REMOTE: "delivered"}
        assert len(sink.mails) == 1

    on_one_clock(store, scene)


@pytest.mark.parametrize("parameter", [f"HOLDFOR={DAY_S + 1}", f"HOLDUNTIL={at(DAY_S + 1)}"])
def test_too_far_away_is_refused(store: Store, parameter: str) -> None:
    async def scene(client: Talk, setup: Courier, sink: SmtpSink) -> None:
        reply = await client.say(f"MAIL FROM:<amal@south.test> {parameter}")
        assert reply.startswith("5")
        assert (await client.say(f"RCPT TO:<{LOCAL}>")).startswith("503 ")

    on_one_clock(store, scene)


def test_the_latest_time_moves_with_the_clock(store: Store) -> None:
    """What is announced in one session holds for its later mails too, from their own time."""

    async def scene(client: Talk, setup: Courier, sink: SmtpSink) -> None:
        setup.clock.advance(3_600_000)
        mail_id = await hand_in(client, f"HOLDUNTIL={at(3600 + DAY_S)}")
        setup.clock.advance(DAY_S * 1000)
        await setup.deliverer.run_due()
        assert await states(setup, mail_id) == {LOCAL: "delivered", REMOTE: "delivered"}

    on_one_clock(store, scene)


@pytest.mark.parametrize("unit", [None, retry], ids=["released", "released and tried"])
def test_what_an_operator_held_keeps_its_time(store: Store, unit: Act | None) -> None:
    """Released from hold it is not sent before its writer wants it, unless it is told to be."""

    async def scene(client: Talk, setup: Courier, sink: SmtpSink) -> None:
        mail_id = await hand_in(client, "HOLDFOR=7200")
        for act in (hold, release, *((unit,) if unit else ())):
            setup.clock.advance(600_000)
            order = QueueOrder((mail_id,), "operator", "", setup.clock.now_ms())
            assert await setup.store.write(act, order) == (mail_id,)
        await setup.deliverer.run_due()
        state = "delivered" if unit else "waiting"
        assert await states(setup, mail_id) == {LOCAL: state, REMOTE: state}
        setup.clock.advance(6_000_000)
        await setup.deliverer.run_due()
        assert await states(setup, mail_id) == {LOCAL: "delivered", REMOTE: "delivered"}
        assert len(sink.mails) == 1

    on_one_clock(store, scene)


def test_what_is_not_waited_for_has_its_whole_life_from_then_on(store: Store) -> None:
    """The warning of a delay, and the end, count from when it was first tried."""

    async def scene(client: Talk, setup: Courier, sink: SmtpSink) -> None:
        mail_id = await hand_in(client, "HOLDFOR=7200")
        setup.clock.advance(600_000)
        order = QueueOrder((mail_id,), "operator", "", setup.clock.now_ms())
        before = await setup.store.read(lambda conn: list_rows(conn, QueueQuery()))
        await setup.store.write(retry, order)
        after = await setup.store.read(lambda conn: list_rows(conn, QueueQuery()))
        assert [row.expires_ms - row.next_try_ms for row in after] == [
            row.expires_ms - row.next_try_ms for row in before
        ]
        assert {row.next_try_ms for row in after} == {order.now_ms}

    on_one_clock(store, scene)
