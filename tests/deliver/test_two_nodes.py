"""Two nodes with one host name share a PostgreSQL database and its queue."""

from __future__ import annotations

import asyncio
from pathlib import Path

import sqlalchemy as sa

from kit.courier import courier
from kit.network import smtp_sink
from kit.store import make_account, open_test_store, running
from kit.talk import acceptance_context
from kit.zone import Zone, ZoneResolver
from zajil.core.address import Address
from zajil.core.service import Service
from zajil.deliver.handover import Handover
from zajil.dns.flow import Answer, Question
from zajil.receive.session import refusal_of
from zajil.store.queue.queue_admin import QueueQuery, list_rows
from zajil.store.schema import message

_COUNT = sa.select(sa.func.count()).select_from(message)
ZONE: Zone = {"south.test": {"A": ["127.0.0.1"]}}


class HeldBack(ZoneResolver):
    """A resolver that answers when the test says so."""

    def __init__(self, zone: Zone) -> None:
        super().__init__(zone)
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def resolve(self, question: Question) -> Answer:
        self.asked.set()
        await self.answer.wait()
        return await super().resolve(question)


def test_a_node_that_starts_leaves_the_leases_of_a_live_one(
    postgres_url: str, tmp_path: Path
) -> None:
    """The first node is in the middle of an attempt when the second starts: one delivery."""

    async def run() -> None:
        resolver = HeldBack(ZONE)
        stores = [open_test_store(postgres_url, tmp_path / name, 1) for name in ("one", "two")]
        async with (
            smtp_sink() as sink,
            courier(stores[0], ZONE, port=sink.port, resolver=resolver) as first,
            courier(stores[1], ZONE, port=sink.port) as second,
        ):
            held_id = await first.put("a@south.test")
            attempt = asyncio.create_task(first.deliverer.run_due())
            await resolver.asked.wait()

            started = asyncio.create_task(second.deliverer.run())
            passed_id = await second.put("b@south.test")
            await sink.arrived.wait()  # the second node has freed its leases and claimed
            rows = await first.store.read(lambda conn: list_rows(conn, QueueQuery(mail_id=held_id)))
            await second.deliverer.drain(5)
            await started
            resolver.answer.set()
            await attempt
            assert [row.lease_owner for row in rows] == [f"{stores[0].node_id}/1/"]
            assert [mail.recipients for mail in sink.mails] == [["b@south.test"], ["a@south.test"]]
            for mail_id in (held_id, passed_id):
                assert [state for state, _ in await first.states(mail_id)] == ["delivered"]

    asyncio.run(run())


def test_a_node_that_is_gone_hands_nothing_to_another_shard(
    postgres_url: str, tmp_path: Path
) -> None:
    """The node that took its work over does: the mail would come twice."""
    one, two = (open_test_store(postgres_url, tmp_path / name, 1) for name in ("one", "two"))
    north = open_test_store("sqlite", tmp_path / "north")
    make_account(north, "anna@south.test")

    async def run() -> int:
        async with running(north), courier(one, ZONE) as first:
            await north.directory.load()
            context = acceptance_context(north, service=Service.LMTP)
            contexts = {"north": context}

            def home_of(_who: Address) -> str:
                """Others take over while the mail is on its way."""
                for row in two.standing.look():
                    if row.node_id == one.node_id:
                        two.standing.declare_gone(row)
                return "north"

            handover = Handover(home_of, lambda _: False, contexts, contexts, refusal_of)
            first.deliverer._hand_over = handover.leaves_some
            await first.put("anna@south.test")
            await first.deliverer.run_due()
            return await north.read(lambda conn: conn.scalar(_COUNT)) or 0

    assert asyncio.run(run()) == 0
    two.close_now()
