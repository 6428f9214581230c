"""Results of deliveries are gathered: many share a commit, and one that fails spares the others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from kit.courier import Courier, courier
from zajil.accept.own_mail import OwnMailer
from zajil.config.options import QueueOptions
from zajil.core.address import parse_address
from zajil.core.ids import MailboxId, MailId
from zajil.deliver.bounce import Bouncer
from zajil.deliver.outgoing_mail import (
    AttemptOutcome,
    Filed,
    Outgoing,
    RecipientResult,
    group_leased,
)
from zajil.deliver.result_writer import ResultWriter
from zajil.store.engine.errors import GONE, NodeGone
from zajil.store.engine.open import Store
from zajil.store.mail.append import Append
from zajil.store.queue.queue import Claim, claim
from zajil.tracking.events import DeliveryDeferred, RecipientDelivered

TAKEN = RecipientResult(AttemptOutcome.DELIVERED, "2.0.0", "250 ok", "mx.south.test")


@dataclass(slots=True)
class Setup:
    """Some mails that were attempted, and what writes their results."""

    courier: Courier
    writer: ResultWriter
    attempted: Sequence[Outgoing]
    written: asyncio.Event

    @property
    def mail_ids(self) -> list[MailId]:
        """The mails, oldest first."""
        return [outgoing.mail.mail_id for outgoing in self.attempted]

    def take(self, outgoing: Outgoing, result: RecipientResult = TAKEN) -> None:
        """Give the same result for all recipients."""
        self.writer.take(outgoing, dict.fromkeys(outgoing.recipients, result), [])


@asynccontextmanager
async def attempted(store: Store, count: int) -> AsyncIterator[Setup]:
    """Lease so many mails of one recipient each."""
    async with courier(store, {}) as setup:
        for _ in range(count):
            await setup.put("a@south.test")
        clock, queue, written = setup.clock, QueueOptions(), asyncio.Event()
        now_ms = clock.now_ms()
        leased = await store.write(claim, Claim("x/", "t", now_ms, now_ms + 900_000, count))
        mailer = OwnMailer(
            store=store, clock=clock, random=os.urandom, lifetime_ms=queue.lifetime_ms, signer=None
        )
        writer = ResultWriter(
            store=store,
            bouncer=Bouncer(mailer, "mx.north.test"),
            queue=queue,
            clock=clock,
            random=os.urandom,
            when_written=written.set,
        )
        yield Setup(setup, writer, [one for _, one in group_leased(leased, {}, str)], written)


def test_results_of_many_mails_share_a_commit(store: Store) -> None:
    async def run() -> None:
        async with attempted(store, 40) as setup:
            commits = store.writer.commits
            for outgoing in setup.attempted:
                setup.take(outgoing)
            assert setup.writer.unwritten == 40
            await setup.writer.finish()
            assert setup.writer.unwritten == 0
            assert store.writer.commits == commits + 1
            for mail_id in setup.mail_ids:
                assert await setup.courier.states(mail_id) == [("delivered", "250 ok")]
                assert len(await setup.courier.events(mail_id, RecipientDelivered)) == 1

    asyncio.run(run())


def test_a_single_result_is_written_soon(store: Store) -> None:
    async def run() -> None:
        async with attempted(store, 1) as setup:
            setup.take(setup.attempted[0])
            await setup.written.wait()
            assert setup.writer.unwritten == 0
            assert await setup.courier.states(setup.mail_ids[0]) == [("delivered", "250 ok")]

    asyncio.run(run())


def test_a_node_whose_work_others_took_does_not_wait_for_its_results(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker ends at once and is replaced: nothing that it writes would be taken."""

    async def run() -> None:
        async with attempted(store, 1) as setup:
            asked = []

            async def gone(*_: object) -> None:
                asked.append(1)
                raise NodeGone(GONE)

            with monkeypatch.context() as patch:
                patch.setattr(setup.writer, "store", SimpleNamespace(write=gone))
                setup.take(setup.attempted[0])
                await setup.writer.finish()
            assert (len(asked), setup.writer.unwritten) == (1, 0)

    asyncio.run(run())


def test_a_result_that_is_refused_spares_the_others(store: Store) -> None:
    """The mailbox of one copy was deleted: that one is tried again, the others are delivered."""

    async def run() -> None:
        async with attempted(store, 3) as setup:
            first, second, third = setup.attempted
            copy = Append(
                mailbox_id=MailboxId(999),
                blob_id=second.mail.blob_id,
                size=second.mail.size,
                received_at_ms=setup.courier.clock.now_ms(),
                mail_id=second.mail.mail_id,
            )
            filed = Filed(parse_address("b@north.test"), "INBOX", "by default", copy)
            lost = RecipientResult(AttemptOutcome.DELIVERED, "2.0.0", "", filed=filed)
            setup.take(first)
            setup.take(second, lost)
            setup.take(third)
            await setup.writer.finish()
            states = [await setup.courier.states(mail_id) for mail_id in setup.mail_ids]
            assert states == [
                [("delivered", "250 ok")],
                [("waiting", "the mailbox no longer exists")],
                [("delivered", "250 ok")],
            ]
            assert len(await setup.courier.events(setup.mail_ids[1], DeliveryDeferred)) == 1

    asyncio.run(run())


def test_the_result_of_a_lost_lease_spares_the_others(store: Store) -> None:
    async def run() -> None:
        async with attempted(store, 2) as setup:
            first, second = setup.attempted
            setup.courier.clock.advance(900_001)
            now_ms = setup.courier.clock.now_ms()
            (taken,) = await store.write(claim, Claim("y/", "u", now_ms, now_ms + 900_000, 1))
            for outgoing in (first, second):
                setup.take(outgoing)
            await setup.writer.finish()
            states = {
                mail_id: (await setup.courier.states(mail_id))[0][0] for mail_id in setup.mail_ids
            }
            (kept,) = {*setup.mail_ids} - {taken.mail_id}
            assert states == {taken.mail_id: "waiting", kept: "delivered"}

    asyncio.run(run())
