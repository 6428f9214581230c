"""Who wants to be told of success or delay is told if SPF says that it is who it says."""

from __future__ import annotations

import asyncio

import pytest

from kit.store import make_account, running
from kit.talk import HOSTNAME, Talk, talk_to_lmtp, talk_to_receiver
from kit.zone import Zone, ZoneResolver
from zajil.accept.recipients import MAX_REPORTS
from zajil.check.step import Checks
from zajil.config.options_check import CheckOptions
from zajil.core.mail_options import Notify
from zajil.smtp.extensions import Capabilities
from zajil.store.engine.open import Store
from zajil.store.schema import recipient

ZONE: Zone = {
    "sends.test": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
    "unsure.test": {"TXT": ["v=spf1 ?all"]},
}


async def asked(store: Store, talk: Talk, sender: str, count: int = 1) -> list[Notify]:
    """Send a mail whose sender wants to be told of everything; give what is left of that."""
    await talk.say(f"MAIL FROM:<{sender}>")
    for number in range(count):
        reply = await talk.say(f"RCPT TO:<amal+{number}@south.test> NOTIFY=SUCCESS,DELAY,FAILURE")
        assert reply.startswith("250 ")
    await talk.say("DATA")
    reply = await talk.say(f"From: {sender}\r\nMessage-ID: <1@x>\r\n\r\nhello\r\n.\r\n")
    assert reply.startswith("250 ")
    order = recipient.select().order_by(recipient.c.position)
    rows = await store.read(lambda conn: conn.execute(order).all())
    return [Notify(row.notify) for row in rows]


def receive(store: Store, sender: str, count: int = 1, *, lmtp: bool = False) -> list[Notify]:
    make_account(store, "amal@south.test")
    checks = Checks(CheckOptions(), ZoneResolver(ZONE).resolve, HOSTNAME)

    async def run() -> list[Notify]:
        async with running(store):
            if lmtp:
                return await asked(store, await talk_to_lmtp(store, dsn=True), sender, count)
            offer = Capabilities(hostname=HOSTNAME, max_message_size=1 << 20, dsn=True)
            talk = await talk_to_receiver(store, offer=offer, checks=checks)
            return await asked(store, talk, sender, count)

    return asyncio.run(run())


def test_a_proven_sender_is_told(store: Store) -> None:
    assert receive(store, "a@sends.test") == [Notify.SUCCESS | Notify.DELAY | Notify.FAILURE]


@pytest.mark.parametrize("sender", ["a@unsure.test", "a@nothing.test"])
def test_a_sender_that_may_be_forged_is_told_of_failures_alone(store: Store, sender: str) -> None:
    """Attack: reports to somebody who did not send it."""
    assert receive(store, sender, 3) == [Notify.FAILURE] * 3


def test_a_proven_sender_is_told_of_a_bounded_number(store: Store) -> None:
    told = receive(store, "a@sends.test", MAX_REPORTS + 5)
    assert [Notify.SUCCESS in one for one in told] == [True] * MAX_REPORTS + [False] * 5


def test_a_program_in_front_of_us_knows_whom_it_asks_for(store: Store) -> None:
    """LMTP: it has taken the mail from its sender, and we cannot look at that peer."""
    assert Notify.SUCCESS in receive(store, "a@nothing.test", lmtp=True)[0]
