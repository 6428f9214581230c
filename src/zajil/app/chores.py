"""Holds leases on chores, and does those that it holds (``store.engine.chores``).

Every worker of every node has a runner with the same chores. The first to look takes a chore and
keeps it; another one takes it over when its holder has stopped or died.

Law: a process that was suspended, or that cannot reach the store, takes no further step of a chore
that another one may have taken over. Each time a chore would go on after it waited for something,
its lease and the place of the node are looked at first (``_Steps``): if the node may have been
declared gone, the chore waits until a sign of life was written, or ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from zajil.net.logger import Logger, get_logger
from zajil.store.engine.chores import (
    NOBODY,
    ChoreRenewal,
    ChoreRow,
    ChoreTake,
    give_up_chores,
    load_chores,
    renew_chores,
    take_chores,
)
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.engine.standing import NodeStanding, boot_seconds

_ASK_AGAIN_SECONDS = 1.0
"""While the store does not answer."""


@dataclass(frozen=True, slots=True)
class Chore:
    """Work that one worker does for all nodes."""

    name: str
    """Key of its row in the store: it never changes once released."""
    run: Callable[[], Awaitable[object]]
    """Works until it is cancelled, which leaves nothing half done."""


def repeated(name: str, seconds: float, *steps: Callable[[], Awaitable[object]]) -> Chore:
    """Make a chore of steps that are done one after the other, at once and then again and again.

    Args:
        name: of the chore.
        seconds: from the end of the last step to the first one again.
        steps: where the store is not available, the rest is left for the next time.
    """
    log = get_logger()

    async def run() -> None:
        while True:
            try:
                for step in steps:
                    await step()
            except StoreUnavailable as error:
                log.warning(
                    "a background task cannot reach the store", chore=name, reason=str(error)
                )
            await asyncio.sleep(seconds)

    return Chore(name, run)


@dataclass(frozen=True, slots=True)
class ChoreTimes:
    """How long a chore stays undone when its holder has died, and what that costs."""

    lease_seconds: float = 60
    look_seconds: float = 20
    """Between two looks at the table; each renews what is held."""


class ChoreRunner:
    """Does the chores that one worker holds."""

    def __init__(
        self, store: Store, worker: int, chores: Sequence[Chore], times: ChoreTimes | None = None
    ) -> None:
        """Do nothing yet.

        Args:
            store: is started.
            worker: number of this worker among those of its node.
            chores: all there are.
            times: of the leases; the same for all workers.
        """
        self._store = store
        self._holder = f"{store.node_id}/{worker}"
        self._chores = {chore.name: chore for chore in chores}
        self._times = times or ChoreTimes()
        self._guard = _Guard(store.standing)
        self._working: dict[str, _Work] = {}
        self._stopping = False
        self._seen: dict[str, tuple[ChoreRow, float]] = {}
        """Rows of others, and since when each has stayed the same, by the clock of our loop."""
        self._log = get_logger()

    async def run(self) -> None:
        """Take chores and do them, until cancelled.

        A worker that takes a dead one's place has the same name, and gives up its leases first.
        """
        try:
            with suppress(StoreUnavailable):
                await self._store.write(give_up_chores, self._holder)
            while True:
                try:
                    await self._look()
                except StoreUnavailable as error:
                    self._log.warning("cannot check the background tasks", reason=str(error))
                await self._pause()
        finally:
            await self._stop_all()

    async def drain(self, _grace: float) -> None:
        """Stop all work and give up the leases; the caller cancels ``run`` afterwards."""
        self._stopping = True
        await self._stop_all()
        with suppress(StoreUnavailable):  # then they end by themselves
            await self._store.write(give_up_chores, self._holder)

    async def _look(self) -> None:
        """Renew what we hold, stop what we lost, take what is free."""
        if self._stopping:
            return
        began = boot_seconds()
        for name in [name for name, work in self._working.items() if work.task.done()]:
            self._working.pop(name).end(self._log)  # its lease may have ended unrenewed
        if self._working:
            renewal = ChoreRenewal(tuple(self._working), self._holder)
            kept = await self._store.write(renew_chores, renewal)
            for name, work in list(self._working.items()):
                if name in kept:
                    work.renewed(began + self._times.lease_seconds)
                else:
                    self._log.warning("the lease of a background task was lost", chore=name)
                    await self._stop(name)
        rows = await self._store.read(load_chores)
        now = asyncio.get_running_loop().time()
        free = [
            self._take(chore, rows.get(name))
            for name, chore in self._chores.items()
            if name not in self._working and self._is_free(name, rows.get(name), now)
        ]
        await asyncio.gather(*free)

    def _is_free(self, name: str, row: ChoreRow | None, now: float) -> bool:
        if row is None or row.holder in (NOBODY, self._holder):
            return True
        seen, since = self._seen.get(name, (None, now))
        if seen != row:
            self._seen[name] = (row, now)
            return False
        return now - since >= self._times.lease_seconds

    async def _take(self, chore: Chore, row: ChoreRow | None) -> None:
        began = boot_seconds()
        take = ChoreTake(chore.name, self._holder, row)
        if not await self._store.write(take_chores, take) or self._stopping:
            return
        if row is not None and row.holder not in (NOBODY, self._holder):
            self._log.info("took over a background task", chore=chore.name, holder=row.holder)
        self._working[chore.name] = _Work(chore, self._guard, began + self._times.lease_seconds)

    async def _pause(self) -> None:
        """Wait for the next look, and log the failures of chores meanwhile.

        A chore that fails is begun again at the next look: mail goes on beside a fault of ours in
        a background task, and no message can stop the server by breaking one.
        """
        pause = asyncio.create_task(asyncio.sleep(self._times.look_seconds))
        try:
            while not pause.done():
                tasks = {work.task: name for name, work in self._working.items()}
                done, _ = await asyncio.wait({pause, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {pause}:
                    work = self._working.pop(tasks[task], None)
                    if work is not None:
                        work.end(self._log)
        finally:
            pause.cancel()

    async def _stop(self, name: str) -> None:
        work = self._working.pop(name, None)  # it may have failed in the meantime
        if work is not None:
            await work.stop()

    async def _stop_all(self) -> None:
        for name in list(self._working):
            await self._stop(name)


class _Guard:
    """Makes sure that nobody has taken over the work of this node, for all chores of a worker."""

    def __init__(self, standing: NodeStanding) -> None:
        self.standing = standing
        self._turn = asyncio.Lock()

    async def make_sure(self) -> None:
        """Ask the store, or wait for another chore that asks; after a failure, wait a little."""
        async with self._turn:
            is_known = await self.standing.may_go_on() or self.standing.is_gone
            if not is_known:
                await asyncio.sleep(_ASK_AGAIN_SECONDS)


class _Work:
    """A chore that is being done: it is cancelled when its lease ends without a renewal.

    Args:
        chore: what is done.
        guard: of the worker.
        until: end of the lease, by ``boot_seconds``.
    """

    def __init__(self, chore: Chore, guard: _Guard, until: float) -> None:
        self.name = chore.name
        self._guard = guard
        self._until = until
        self._is_ending = False
        """It only clears up."""
        self.task = asyncio.ensure_future(_Steps(chore.run(), self))
        self._timer = self._set_timer()

    def _set_timer(self) -> asyncio.TimerHandle:
        left = max(0.0, self._until - boot_seconds())
        return asyncio.get_running_loop().call_later(left, self._cancel)

    def renewed(self, until: float) -> None:
        """Go on until a later time."""
        self._timer.cancel()
        self._until = until
        self._timer = self._set_timer()

    def _cancel(self) -> None:
        self._is_ending = True
        self.task.cancel()

    @property
    def may_go_on(self) -> bool:
        """Whether the next step may be taken without asking anybody."""
        is_sure = self._guard.standing.is_sure and boot_seconds() < self._until
        return is_sure or self._is_ending

    async def make_sure(self) -> None:
        """Wait until the next step may be taken; cancels the work if it never may."""
        while not self.may_go_on:
            if self._guard.standing.is_gone or boot_seconds() >= self._until:
                self._cancel()
                await asyncio.sleep(0)  # it is raised here
            await self._guard.make_sure()

    def end(self, log: Logger) -> None:
        """Log why the work is over, unless its lease ended."""
        self._timer.cancel()
        if not self.task.cancelled():
            error = self.task.exception() or RuntimeError("it ended by itself")
            log.error(
                "a background task failed and will be restarted", chore=self.name, exc_info=error
            )

    async def stop(self) -> None:
        """Cancel the work, and wait for its end."""
        self._timer.cancel()
        self._cancel()
        await asyncio.wait([self.task])


class _Steps:
    """Awaits something, and lets a piece of work say before each step whether it may be taken.

    A step is what is done between two waits. Tasks that a chore starts are no steps of it: before
    they do something outside of the store, they ask for themselves (``NodeStanding.require``).
    """

    def __init__(self, run: Awaitable[object], work: _Work) -> None:
        self._run = run
        self._work = work

    def __await__(self) -> Generator[Any, Any, None]:
        steps = self._run.__await__()
        step: Callable[[], Any] = partial(next, steps)
        while True:
            while not self._work.may_go_on:
                try:
                    yield from self._work.make_sure().__await__()
                except (asyncio.CancelledError, Exception) as error:
                    step = partial(steps.throw, error)  # a time-out of the chore: it waits, too
            try:
                waits_for = step()
            except StopIteration:
                return
            try:
                yield waits_for
                step = partial(next, steps)
            except (asyncio.CancelledError, Exception) as error:
                step = partial(steps.throw, error)
