"""The engine of the queue: it wakes, it stops in good order, it survives faults of ours."""

from __future__ import annotations

import asyncio

from kit.courier import courier
from kit.network import Deed, SinkSession, smtp_sink
from kit.zone import Zone
from zajil.core.ids import BlobId
from zajil.deliver.run import Deliverer
from zajil.dns.flow import Answer, Question
from zajil.smtp.command import BodyEnd, Command, Data
from zajil.smtp.reply import Reply
from zajil.store.engine.open import Store
from zajil.store.queue.queue import Claim, claim
from zajil.store.queue.queue_admin import QueueQuery, list_rows
from zajil.tracking.events import AttemptMade, FaultHappened

ZONE: Zone = {"south.test": {"A": ["127.0.0.1"]}}


def test_a_new_mail_wakes_it(store: Store) -> None:
    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            running = asyncio.create_task(setup.deliverer.run())
            for _ in range(3):
                sink.arrived.clear()
                mail_id = await setup.put("a@south.test")
                await sink.arrived.wait()
            await setup.deliverer.drain(5)
            await running
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]
            assert sink.open_sessions == 0

    asyncio.run(run())


def test_time_wakes_it(store: Store) -> None:
    later = Reply(451, ("4.3.0 later",))

    def first_time(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        return later if isinstance(event, BodyEnd) and len(session.sink.mails) == 1 else None

    async def run() -> None:
        async with (
            smtp_sink(answer=first_time) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            mail_id = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["waiting"]
            sink.arrived.clear()
            running = asyncio.create_task(setup.deliverer.run())
            setup.clock.advance(300_000)
            setup.deliverer.wake()
            await sink.arrived.wait()
            await setup.deliverer.drain(5)
            await running
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]

    asyncio.run(run())


def test_cancelled_it_leaves_no_lease_behind(store: Store) -> None:

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            running = asyncio.create_task(setup.deliverer.run())
            mail_id = await setup.put("a@south.test")
            await sink.arrived.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            ((state, _),) = await setup.states(mail_id)
            # The final dot had come: either its reply was read in time, or it is tried again.
            assert state in ("delivered", "waiting")
            rows = await setup.store.read(lambda conn: list_rows(conn, QueueQuery()))
            assert all(row.lease_owner is None for row in rows)

    asyncio.run(run())


def test_drain_lets_the_attempt_end(store: Store) -> None:
    """What a peer has taken is settled, not sent twice."""

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            running = asyncio.create_task(setup.deliverer.run())
            mail_id = await setup.put("a@south.test")
            await sink.arrived.wait()
            await setup.deliverer.drain(5)
            await running
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]
            assert len(sink.mails) == 1

    asyncio.run(run())


def test_what_has_no_answer_when_we_stop_is_due_at_once(store: Store) -> None:
    reached = asyncio.Event()

    def hang(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        if isinstance(event, Data):
            reached.set()
            return Deed.SILENCE
        return None

    async def run() -> None:
        async with (
            smtp_sink(answer=hang) as sink,
            courier(store, ZONE, port=sink.port, concurrency_per_host=1) as setup,
        ):
            mail_ids = [await setup.put("a@south.test") for _ in range(3)]
            running = asyncio.create_task(setup.deliverer.run())
            await reached.wait()
            await setup.deliverer.drain(0)
            await running
            rows = await setup.store.read(lambda conn: list_rows(conn, QueueQuery()))
            assert sorted(row.mail_id for row in rows) == sorted(mail_ids)
            assert {(row.tries, row.next_try_ms, row.lease_owner) for row in rows} == {
                (0, setup.clock.now_ms(), None)
            }
            attempts = [one for i in mail_ids for one in await setup.events(i, AttemptMade)]
            assert [one.outcome for one in attempts] == ["interrupted by this server"]

    asyncio.run(run())


def test_the_successor_of_a_dead_worker_frees_its_leases(store: Store) -> None:
    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put("a@south.test")
            now_ms = setup.clock.now_ms()
            dead = Claim(f"{store.node_id}/1/", "x", now_ms, now_ms + 900_000, 10)
            claimed = await setup.store.write(claim, dead)
            assert [row.mail_id for row in claimed] == [mail_id]
            running = asyncio.create_task(setup.deliverer.run())
            await sink.arrived.wait()
            await setup.deliverer.drain(5)
            await running
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]

    asyncio.run(run())


def test_a_fault_of_ours_is_temporary_and_told(store: Store) -> None:
    """Style C8: unknown means temporary; the traceback is an event of the journey."""

    class Broken:
        async def resolve(self, question: Question) -> Answer:
            raise ZeroDivisionError(question.name)

    async def run() -> None:
        async with courier(store, ZONE, resolver=Broken()) as setup:
            mail_id = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert await setup.states(mail_id) == [
                ("waiting", "an internal error on this server; it was logged")
            ]
            (fault,) = await setup.events(mail_id, FaultHappened)
            assert "ZeroDivisionError" in fault.traceback

    asyncio.run(run())


def test_a_message_that_is_gone_is_bounced(store: Store) -> None:
    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put("a@south.test", sender=None)
            await setup.lose_body(mail_id, BlobId("gone"))
            await setup.deliverer.run_due()
            assert sink.sessions == []
            assert [state for state, _ in await setup.states(mail_id)] == ["bounced"]

    asyncio.run(run())


def test_two_workers_share_a_queue(store: Store) -> None:
    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            second: Deliverer = setup.another(2)
            mail_ids = [await setup.put("a@south.test") for _ in range(30)]
            await asyncio.gather(setup.deliverer.run_due(), second.run_due())
            await second.drain(5)
            assert len(sink.mails) == 30
            for mail_id in mail_ids:
                assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]

    asyncio.run(run())
