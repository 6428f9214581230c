"""Holds leases on chores, and does those that it holds (``store.engine.chores``).

Every worker of every node has a runner with the same chores. The first to look takes a chore and
keeps it; another one takes it over when its holder has stopped or died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

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
        began = asyncio.get_running_loop().time()
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
        began = asyncio.get_running_loop().time()
        take = ChoreTake(chore.name, self._holder, row)
        if not await self._store.write(take_chores, take) or self._stopping:
            return
        if row is not None and row.holder not in (NOBODY, self._holder):
            self._log.info("took over a background task", chore=chore.name, holder=row.holder)
        self._working[chore.name] = _Work(chore, began + self._times.lease_seconds)

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


class _Work:
    """A chore that is being done: it is cancelled when its lease ends without a renewal."""

    def __init__(self, chore: Chore, until: float) -> None:
        self.name = chore.name
        self.task = asyncio.ensure_future(chore.run())
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.call_at(until, self.task.cancel)

    def renewed(self, until: float) -> None:
        """Go on until a later time of the loop's clock."""
        self._end.cancel()
        self._end = self._loop.call_at(until, self.task.cancel)

    def end(self, log: Logger) -> None:
        """Log why the work is over, unless its lease ended."""
        self._end.cancel()
        if not self.task.cancelled():
            error = self.task.exception() or RuntimeError("it ended by itself")
            log.error(
                "a background task failed and will be restarted", chore=self.name, exc_info=error
            )

    async def stop(self) -> None:
        """Cancel the work, and wait for its end."""
        self._end.cancel()
        self.task.cancel()
        await asyncio.wait([self.task])
