"""Bring settlements to the store, and their DSNs, however long the store is away.

Nobody waits for a result, so results are gathered: one commit, and one statement for each table,
write those of many mails. A crash meanwhile sends these mails twice; none is lost.

Law: what a peer has said is not forgotten while this process lives: a mail that was taken would be
sent twice.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, TypeVar

from zajil.config.options import QueueOptions
from zajil.core.clock import Clock, Random
from zajil.core.errors import InternalError
from zajil.deliver.attempt_result import Notice, Pair, settle_pairs, sort_results
from zajil.deliver.bounce import Bouncer
from zajil.deliver.outgoing_mail import Outgoing, RecipientResult, deferred
from zajil.deliver.schedule import next_try_ms
from zajil.net.logger import get_logger
from zajil.store.engine.errors import NodeGone, StoreError
from zajil.store.engine.open import Store
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.intake import Intake
from zajil.store.queue.queue import LeasedRecipient
from zajil.store.queue.settlement import LeaseLost, Settlement, settle, settle_together
from zajil.tracking.events import DsnSuppressed, FaultHappened, TrackingEvent

T = TypeVar("T")

_WAITS_SECONDS = (0.5, 1, 2, 5, 10, 20, 40)
"""The store may be away just when a peer took a mail."""


class GivenUp(InternalError):
    """We stop, and the store is still away; or it is other nodes' work now."""


_Result = tuple[Settlement, Sequence[Pair]]
"""A settlement, and what it settles."""

GATHER_SECONDS = 0.05
"""How long the first result waits for others."""
_MOST_GATHERED = 100


@dataclass(slots=True, kw_only=True)
class ResultWriter:
    """Settles attempts of one worker."""

    store: Store
    bouncer: Bouncer
    queue: QueueOptions
    clock: Clock
    random: Random
    when_written: Callable[[], None]
    """Called when ``unwritten`` has become less."""
    stopping: bool = False
    """Once true, nothing is tried for longer than some seconds."""
    log: Any = field(default_factory=lambda: get_logger("zajil.deliver"))
    _gathered: list[_Result] = field(default_factory=list)
    _timer: asyncio.TimerHandle | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _unwritten: int = 0

    @property
    def unwritten(self) -> int:
        """How many results are not in the store yet; their leases are still needed."""
        return self._unwritten

    def take(
        self,
        outgoing: Outgoing,
        results: dict[LeasedRecipient, RecipientResult],
        events: list[TrackingEvent],
    ) -> None:
        """Write the result of each recipient soon, with the notices to the sender."""
        now_ms = self.clock.now_ms()
        found = sort_results(outgoing, results, now_ms, self.queue)
        self._unwritten += len(found.told)
        for notice, pairs in found.told.items():
            self._begin(self._tell(notice, pairs), 1)
        if found.silent:
            silent = settle_pairs(
                found.silent, now_ms, self._next_try_ms, before=events, after=found.events
            )
            self._gather((silent, found.silent))
        elif events:
            mail = outgoing.mail
            alone = Settlement(mail.mail_id, mail.token, now_ms, (), tuple(events))
            self._gather((alone, ()))

    def flush(self) -> None:
        """Let what was gathered wait for nothing more: it goes into the next commit."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._begin(self._write_together(gathered), len(gathered))

    async def finish(self) -> None:
        """Write what was gathered, and wait until everything is written or given up."""
        while self._gathered or self._tasks:
            self.flush()
            await asyncio.wait(set(self._tasks))

    # ---- together ----------------------------------------------------------------------------

    def _gather(self, result: _Result) -> None:
        self._gathered.append(result)
        self._unwritten += 1
        if len(self._gathered) >= _MOST_GATHERED:
            self.flush()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(GATHER_SECONDS, self.flush)

    def _begin(self, work: Coroutine[Any, Any, None], results: int) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)

        def end(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._unwritten -= results
            self.when_written()

        task.add_done_callback(end)

    async def _write_together(self, gathered: Sequence[_Result]) -> None:
        settlements = [settlement for settlement, _ in gathered]
        try:
            lost = await self._insist(lambda: self.store.write(settle_together, settlements))
        except GivenUp as error:
            for settlement in settlements:
                self._give_up(settlement, error)
        except Exception:
            # One of them was refused: find out which, and spare the others.
            await asyncio.gather(*[self._write(*result) for result in gathered])
        else:
            for settlement, positions in zip(settlements, lost, strict=True):
                self._tell_lost(settlement, positions)

    # ---- one at a time -----------------------------------------------------------------------

    async def _tell(self, notice: Notice, pairs: Sequence[Pair]) -> None:
        dsn: Intake | None = None
        try:
            bounce = await self._insist(lambda: self.bouncer.tell(notice, pairs))
            dsn, events = bounce.dsn, bounce.events
        except GivenUp as error:
            self.log.error("cannot notify a sender; will retry", reason=str(error))
            return
        except Exception as error:
            self.log.error("cannot write a DSN", exc_info=error)
            events = self._untold(error)
        settlement = settle_pairs(
            pairs,
            self.clock.now_ms(),
            self._next_try_ms,
            after=events,
            dsn=dsn,
            warned=notice is Notice.DELAY,
        )
        await self._write(settlement, pairs)

    async def _write(
        self, settlement: Settlement, pairs: Sequence[Pair], *, again: bool = False
    ) -> None:
        """Write a settlement; it may be written twice, because it demands the token.

        Args:
            settlement: what to write.
            pairs: what it settles.
            again: it holds nothing any more that could be in the way of what peers said.
        """
        mail_id = settlement.mail_id
        try:
            lost = await self._insist(lambda: self.store.write(settle, settlement))
        except LeaseLost:
            lost = tuple(row.position for row in settlement.rows)
        except NoSuchMailbox:
            # It was deleted in this second: of the copy, or of the sender, who is gone.
            gone = DsnSuppressed(self.clock.now_ms(), "The mailbox of the sender no longer exists.")
            await self._write_the_rest(pairs, "the mailbox no longer exists", (gone,))
            return
        except Exception as error:
            if again or isinstance(error, GivenUp):
                self._give_up(settlement, error)
                return
            self.log.error(
                "cannot store the delivery results of a mail", mail=mail_id, exc_info=error
            )
            await self._write_the_rest(pairs, "internal error", self._untold(error))
            return
        self._tell_lost(settlement, lost)

    def _tell_lost(self, settlement: Settlement, positions: tuple[int, ...]) -> None:
        if positions:
            self.log.warning("a lease was lost", mail=settlement.mail_id, positions=positions)

    def _give_up(self, settlement: Settlement, error: Exception) -> None:
        reason = "cannot settle a mail; it may be sent twice"
        self.log.error(reason, mail=settlement.mail_id, exc_info=error)

    async def _write_the_rest(
        self, pairs: Sequence[Pair], why: str, untold: Sequence[TrackingEvent]
    ) -> None:
        """Write what peers said, without a DSN; copies of ours are tried again later."""
        later = deferred("4.2.1", why)
        rest = [(claimed, later if result.filed else result) for claimed, result in pairs]
        said = any(result.filed is None for _, result in pairs)
        events = untold if said else ()
        now_ms = self.clock.now_ms()
        plain = settle_pairs(rest, now_ms, self._next_try_ms, after=events)
        await self._write(plain, rest, again=True)

    def _untold(self, error: Exception) -> tuple[TrackingEvent, ...]:
        """Record that no notification is sent because of an internal error."""
        now_ms = self.clock.now_ms()
        trace = "".join(traceback.format_exception(error))
        return (
            FaultHappened(now_ms, repr(error), trace),
            DsnSuppressed(
                now_ms, "The bounce message could not be created because of an internal error."
            ),
        )

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the store until it answers.

        Raises:
            GivenUp: we stop, or other nodes took over what we do.
        """
        for count, seconds in enumerate(chain(_WAITS_SECONDS, repeat(_WAITS_SECONDS[-1]))):
            try:
                return await ask()
            except NodeGone as error:  # for ever: the worker ends, and must not wait for us
                raise GivenUp(str(error)) from error
            except StoreError as error:
                if self.stopping and count >= len(_WAITS_SECONDS):
                    raise GivenUp(str(error)) from error
                self.log.warning("the store does not respond", reason=str(error))
            await asyncio.sleep(seconds)
        raise AssertionError("unreachable")

    def _next_try_ms(self, claimed: LeasedRecipient) -> int:
        return next_try_ms(
            self.clock.now_ms(),
            claimed.tries + 1,
            claimed.expires_ms,
            first_ms=self.queue.first_retry_ms,
            max_ms=self.queue.max_retry_ms,
            jitter=int.from_bytes(self.random(2), "big") / 65536,
        )
