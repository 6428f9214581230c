"""Echo accounts on a store: what came is answered once and removed; all else stays."""

from __future__ import annotations

import asyncio
import os

from kit.clock import FakeClock
from kit.reading import inbox_of
from kit.store import make_account, running
from zajil.accept.echo import MOST_ANSWERS, EchoAccounts
from zajil.accept.own_mail import OwnMail, OwnMailer
from zajil.accept.plan import Addressed
from zajil.core.address import Address
from zajil.core.directory import AccountEntry
from zajil.route.recipient import Local
from zajil.store.engine.open import Store
from zajil.store.mail.message_changes import PutMessage, put_messages

HOST = "mx.north.test"
NOW_MS = 1_795_462_000_000
DAY_MS = 86_400_000


async def deliver(mailer: OwnMailer, to: AccountEntry, number: int, sender: Address) -> None:
    """Put a message into a mailbox as reception does, with our results on top."""
    mail_id = mailer.new_mail_id(mailer.clock.now_ms())
    message = (
        f"Authentication-Results: {HOST}; spf=pass smtp.mailfrom={sender}\r\n"
        f"From: {sender}\r\nTo: echo@north.test\r\nSubject: Number {number}\r\n\r\nx\r\n"
    )
    await mailer.send(
        OwnMail(
            mail_id=mail_id,
            at_ms=mailer.clock.now_ms(),
            message=message.encode(),
            header_from=sender,
            message_id=f"<{number}@north.test>",
            recipients=(Addressed(to.address, Local((to,))),),
            reverse_path=sender,
        )
    )


def test_messages_are_answered_and_removed(store: Store) -> None:
    echo, amal = make_account(store, "echo@north.test"), make_account(store, "amal@north.test")
    clock = FakeClock(NOW_MS)
    mailer = OwnMailer(store=store, clock=clock, random=os.urandom, lifetime_ms=DAY_MS)
    accounts = EchoAccounts(mailer, ["echo@north.test", "gone@north.test"], HOST)

    async def story() -> tuple[int, list[bytes]]:
        async with running(store):
            # What a mail program put there stays: the operator may have chosen a wrong account.
            staged = await store.blobs.stage_any([b"Subject: mine\r\n\r\nx"])
            kept = PutMessage(echo.account_id, echo.inbox, staged, frozenset(), NOW_MS)
            await store.write(put_messages, kept)
            await deliver(mailer, echo, 0, amal.address)  # too old at the first look
            clock.advance(2 * DAY_MS)
            for number in range(1, MOST_ANSWERS + 6):
                await deliver(mailer, echo, number, amal.address)
            for _ in range(3):
                await accounts.look()
            left = await inbox_of(store, "echo@north.test")
            return len(left), await inbox_of(store, "amal@north.test")

    left, answers = asyncio.run(story())
    assert left == 2
    assert len(answers) == MOST_ANSWERS
    assert b"Subject: Echo: Number 25\r\n" in b"".join(answers)
