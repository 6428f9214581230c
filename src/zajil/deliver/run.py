"""The engine of the queue: claim what is due, attempt it, settle what came of it, sleep, again.

Laws:
- What is claimed is settled, or its lease is freed: when an attempt fails by a fault of ours, when
  we stop, when the store was away meanwhile.
- What a peer has said of a recipient is settled even when we are told to stop.
- No message is ended at a peer while it is possible that another node has taken it over.
- The state of the queue is in the store alone: this process may be killed at any instruction.
"""

from __future__ import annotations

import asyncio
import ssl
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from zajil.accept.own_mail import OwnMailer
from zajil.config.options import DeliverOptions, QueueOptions
from zajil.config.options_smarthost import SmarthostOptions
from zajil.core.clock import Clock, Random
from zajil.core.ids import BlobId
from zajil.deliver.attempt import Attempt, DeliveryContext
from zajil.deliver.bounce import Bouncer
from zajil.deliver.connections import Connections
from zajil.deliver.local import choose_waiting_mailboxes
from zajil.deliver.outgoing_mail import (
    AttemptOutcome,
    Outgoing,
    RecipientResult,
    deferred,
    failed,
    find_expired,
    group_leased,
)
from zajil.deliver.relays import Relays
from zajil.deliver.result_writer import ResultWriter
from zajil.deliver.routes import Resolves, Routes
from zajil.deliver.schedule import Schedule
from zajil.deliver.security import Opener
from zajil.deliver.sts_policies import StsPolicies
from zajil.keys.sign import Signer
from zajil.mailauth.tls_session import NoteTlsSession
from zajil.net.logger import get_logger
from zajil.route.transport import Transports
from zajil.store.engine.batch import QUEUE
from zajil.store.engine.errors import StoreError
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.queue.queue import (
    Claim,
    FreeLeases,
    LeasedRecipient,
    Renewal,
    claim,
    free_leases,
    next_due_ms,
    read_small,
    renew,
)
from zajil.tracking.events import FaultHappened

_CLAIMED_AHEAD = 4
"""Claimed work in memory, as a multiple of the attempts at a time: enough that none is idle while
the next claim commits, little enough that other workers get their share."""
_CLAIM_PAUSE_SECONDS = 0.05
"""Between two claims, where mails come one by one: one claim takes what came meanwhile. A mail that
comes alone does not wait."""
_READ_AHEAD = 32_768
"""Bytes of a message that is read together with others right after the claim, and waits in memory;
larger ones are opened one by one. With the capacity it bounds the memory that they take."""
_STORE_AWAY_MS = 1000
_LONGEST_SLEEP_SECONDS = 60.0
"""The real clock may jump; sleep no longer at a time."""
_NO_SMARTHOST = SmarthostOptions()


class Deliverer:
    """One worker's share of the queue; ``run`` starts it.

    Its leases name the node and ``worker``, the slot of the worker: the next one in the slot frees
    what it had leased. ``tls`` verifies certificates (``None``: no TLS at all), ``random`` makes
    schedules, ids and jitter, ``signer`` signs DSNs (``None``: nothing is signed), ``hand_over``
    brings mail to other shards, as ``Handover.leaves_some`` (``None``: there are none).
    """

    def __init__(
        self,
        store: Store,
        resolver: Resolves,
        options: DeliverOptions,
        queue: QueueOptions,
        hostname: str,
        tls: ssl.SSLContext | None,
        clock: Clock,
        random: Random,
        worker: int,
        signer: Signer | None = None,
        smarthost: SmarthostOptions = _NO_SMARTHOST,
        policies: StsPolicies | None = None,
        note_tls: NoteTlsSession | None = None,
        hand_over: Callable[[Attempt], Awaitable[bool]] | None = None,
    ) -> None:
        self._store, self._queue, self._hand_over = store, queue, hand_over
        self._clock, self._random = clock, random
        # The slash ends it: leases are freed by prefix, and worker 1 is not worker 12.
        self._owner = f"{store.node_id}/{worker}/"
        self._schedule: Schedule[str, Outgoing] = Schedule(
            concurrency=options.concurrency,
            concurrency_per_hop=options.concurrency_per_host,
            capacity=options.concurrency * _CLAIMED_AHEAD,
        )
        self._connections = Connections(clock)
        self._transports = Transports(smarthost, options)
        self._means = DeliveryContext(
            options=options,
            clock=clock,
            routes=Routes(resolver.resolve, hostname, clock, random, self._transports),
            opener=Opener(options, hostname, tls, clock, random),
            connections=self._connections,
            relays=Relays(clock),
            policies=policies,
            open_body=self._open_body,
            may_send=store.standing.may_go_on,
            note_tls=note_tls,
        )
        mailer = OwnMailer(
            store=store, clock=clock, random=random, lifetime_ms=queue.lifetime_ms, signer=signer
        )
        self._woken = asyncio.Event()
        self._settler = ResultWriter(
            store=store,
            bouncer=Bouncer(mailer, hostname),
            queue=queue,
            clock=clock,
            random=random,
            when_written=self._woken.set,
        )
        self._pause: asyncio.TimerHandle | None = None  # until the next claim
        self._look = True  # something may be due
        self._claim_after = 0.0  # by the time of the loop
        self._left_out: frozenset[str] = frozenset()  # hops that the last claim did not ask for
        self._due_ms: int | None = None  # when the next recipient is due, by the last claim
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._ending: asyncio.Task[None] | None = None
        self._log = get_logger("zajil.deliver")

    def wake(self) -> None:
        """Look at the queue now: something changed, or time was moved by hand."""
        self._look = True
        if self._pause is None:  # else it looks at the end of the pause
            self._woken.set()

    async def run(self) -> None:
        """Deliver until ``drain`` or cancellation; either settles what has an answer."""
        unsubscribe = self._store.changes.subscribe(QUEUE, self.wake)
        renewing = asyncio.create_task(self._renew_leases())
        try:
            await self._free_leases()
            while not self._stopping:
                self._woken.clear()
                await self._claim_if_useful()
                self._start_attempts()
                await self._sleep()
        finally:
            unsubscribe()
            await (self.drain(0) if self._ending is None else asyncio.shield(self._ending))
            renewing.cancel()  # attempts that went on needed their leases

    async def run_due(self) -> None:
        """Deliver what is due now, and what becomes due meanwhile; for tests and by hand."""
        while not self._stopping:
            # What is written while the claim is under way may be due, and not be in it.
            was_busy = bool(self._tasks or self._settler.unwritten)
            self._look, self._claim_after = True, 0.0
            await self._claim_if_useful()
            self._start_attempts()
            if self._tasks:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            elif self._settler.unwritten:
                await self._settler.finish()
            elif not was_busy:
                return

    async def drain(self, seconds: float) -> None:
        """Claim no more, let attempts end, cut those that last longer, free what was not tried.

        May be called again meanwhile: the shorter time counts.
        """
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        cut = asyncio.get_running_loop().call_later(seconds, self._cut)
        try:
            await asyncio.shield(self._ending)
        finally:
            cut.cancel()

    async def _end(self) -> None:
        self._stopping = True
        self._woken.set()
        self._schedule.drop_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._settler.stopping = True
        await self._settler.finish()
        await self._connections.close()
        await self._free_leases()

    def _cut(self) -> None:
        """End the attempts under way; what has an answer is settled."""
        if not self._settler.stopping:  # once: what a task does when it is cancelled is settle
            self._settler.stopping = True
            for task in self._tasks:
                task.cancel()

    async def _free_leases(self) -> None:
        """Let others have what we, or who had our name before, claimed and did not settle."""
        with suppress(StoreError):  # they end by themselves
            await self._store.write(free_leases, FreeLeases(self._owner, self._clock.now_ms()))

    # ---- claim -------------------------------------------------------------------------------

    async def _claim_if_useful(self) -> None:
        """Claim when something may be due that we have room for, and not for a few at a time."""
        crowded = self._schedule.crowded_hops()
        if self._left_out - crowded:
            self._look = True
        if not self._look or self._stopping or not self._has_room():
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._claim_after:
            self._pause = self._pause or loop.call_at(self._claim_after, self._end_pause)
            return
        self._look = False
        self._left_out = crowded
        try:
            room = self._room
            claimed = await self._claim(room, crowded)
            if len(claimed) == room:
                self._look = True
                self._woken.set()
        except StoreError as error:
            self._log.warning("cannot read the queue", reason=str(error))
            self._due_ms = self._clock.now_ms() + _STORE_AWAY_MS
        self._claim_after = loop.time() + _CLAIM_PAUSE_SECONDS

    @property
    def _room(self) -> int:
        return self._schedule.room - self._settler.unwritten

    def _has_room(self) -> bool:
        return self._room >= max(self._schedule.capacity // 4, 1)

    def _end_pause(self) -> None:
        self._pause = None
        self._woken.set()

    async def _claim(self, room: int, crowded: frozenset[str]) -> list[LeasedRecipient]:
        now_ms = self._clock.now_ms()
        item = Claim(
            owner=self._owner,
            token=self._random(12).hex(),
            now_ms=now_ms,
            until_ms=now_ms + self._queue.lease_ms,
            limit=room,
            not_for=self._domains_of(crowded),
        )
        self._settler.flush()  # results share the commit
        claimed = await self._store.write(claim, item)
        bodies: dict[BlobId, BlobReader] = {}
        try:
            bodies, self._due_ms = await self._store.read(lambda conn: self._look_up(conn, claimed))
        finally:
            # What is claimed is tried, also if it cannot be read just now.
            if not self._stopping:
                for hop, outgoing in group_leased(claimed, bodies, self._transports.hop):
                    self._schedule.add(hop, outgoing)
        return claimed

    def _domains_of(self, hops: frozenset[str]) -> frozenset[str]:
        """Return the domains of what waits for these hops: a relay has many."""
        waiting = [outgoing for hop in hops for outgoing in self._schedule.waiting(hop)]
        return frozenset(one.next_hop for outgoing in waiting for one in outgoing.recipients)

    @staticmethod
    def _look_up(
        conn: Snapshot, claimed: Sequence[LeasedRecipient]
    ) -> tuple[dict[BlobId, BlobReader], int | None]:
        """Return the small messages of what was claimed, and when the next is due."""
        return read_small(conn, claimed, _READ_AHEAD), next_due_ms(conn)

    async def _sleep(self) -> None:
        """Wait until an attempt ends, the queue changes, or its next recipient is due."""
        seconds = _LONGEST_SLEEP_SECONDS
        if self._due_ms is not None:
            # At least a little: what is due and left out waits for the end of an attempt.
            left = (self._due_ms - self._clock.now_ms()) / 1000
            seconds = min(max(left, 0.05), seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            self._look = True

    def _start_attempts(self, mine: str | None = None) -> Outgoing | None:
        """Start what may run now; gives the first mail for ``mine`` to the caller instead."""
        found: Outgoing | None = None
        for hop, outgoing in self._schedule.take():
            if found is None and hop == mine:
                found = outgoing
            else:
                self._spawn(self._deliver(hop, outgoing))
        return found

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(self._queue.lease_ms / 3000)
            if not self._tasks and not self._settler.unwritten:
                continue
            until_ms = self._clock.now_ms() + self._queue.lease_ms
            with suppress(StoreError):  # the next one comes before the lease ends
                await self._store.write(renew, Renewal(self._owner, until_ms))

    # ---- attempt -----------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, hop: str, first: Outgoing) -> None:
        """Attempt mails for one hop, one after the other, as long as it is the turn of the hop."""
        outgoing: Outgoing | None = first
        while outgoing is not None:
            await self._deliver_one(hop, outgoing)
            outgoing = self._start_attempts(hop)
            if self._look and self._pause is None and self._has_room():
                self._woken.set()
        if not self._look and not self._schedule.running:
            self._settler.flush()  # no other result is near
        if self._left_out:
            self._woken.set()  # this hop may be crowded no more

    async def _deliver_one(self, hop: str, outgoing: Outgoing) -> None:
        """Attempt one mail and settle it; cancelled, it settles what has an answer."""
        attempt = Attempt(means=self._means, outgoing=outgoing)
        try:
            attempt.results |= find_expired(outgoing, self._clock.now_ms())
            if len(attempt.results) < len(outgoing.recipients):
                await self._attempt(attempt)
        finally:
            stopped = RecipientResult(AttemptOutcome.UNTRIED, "4.3.2", "the server stops")
            for claimed in outgoing.recipients:
                attempt.results.setdefault(claimed, stopped)
            self._settler.take(outgoing, attempt.results, attempt.events)
            self._schedule.finish(hop)
            if attempt.unreachable is not None and not self._schedule.is_running(hop):
                # Mails behind it would wait for the same silence, one after the other.
                for other in self._schedule.drop(hop):
                    self._defer(other, attempt.unreachable)

    async def _attempt(self, attempt: Attempt) -> None:
        try:
            if attempt.outgoing.next_hop:
                if self._hand_over is None or await self._hand_over(attempt):
                    await attempt.run()
            else:
                pending = [one for one in attempt.outgoing.recipients if one not in attempt.results]
                ours, now_ms = attempt.outgoing.only(pending), self._clock.now_ms()
                attempt.results |= await choose_waiting_mailboxes(self._store, ours, now_ms)
        except NoSuchBlob:
            rest = failed("5.3.0", "the message is no longer in the store")
        except StoreError as error:
            rest = deferred("4.3.0", f"the store is not available: {error}")
        except Exception as error:  # the top of a delivery attempt
            mail, trace = attempt.outgoing.mail, "".join(traceback.format_exception(error))
            self._log.error("internal error in delivery", mail=mail.mail_id, exc_info=error)
            summary = f"{type(error).__name__} during a delivery attempt"
            attempt.events.append(FaultHappened(self._clock.now_ms(), summary, trace))
            rest = deferred("4.3.0", "an internal error on this server; it was logged")
        else:
            return
        for claimed in attempt.outgoing.recipients:
            attempt.results.setdefault(claimed, rest)

    def _defer(self, outgoing: Outgoing, result: RecipientResult) -> None:
        attempt = Attempt(means=self._means, outgoing=outgoing)
        attempt.results |= find_expired(outgoing, self._clock.now_ms())
        for claimed in outgoing.recipients:
            attempt.results.setdefault(claimed, result)
        self._settler.take(outgoing, attempt.results, attempt.events)

    async def _open_body(self, mail: LeasedRecipient) -> BlobReader:
        blobs, blob_id = self._store.blobs, mail.blob_id
        return await self._store.read(lambda conn: blobs.open(conn, blob_id))
