"""Shows that the node of this worker lives, and takes over the work of nodes that are gone.

Every worker looks at the table of nodes. The first one of its generation beats; another one does
where that one has not for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from zajil.core.ids import NodeId
from zajil.net.logger import get_logger
from zajil.store.engine.batch import QUEUE
from zajil.store.engine.errors import NodeGone, StoreUnavailable
from zajil.store.engine.nodes import ALIVE, BEAT_SECONDS, NodeRow, NodeState
from zajil.store.engine.open import Store
from zajil.store.engine.standing import Silence

T = TypeVar("T")

SKEW_LOGGED_MS = 10_000
"""A clock that differs more from that of the database is worth a line of the log."""
_CLEAR_SECONDS = 1.0
"""How long a beat waits for the connections of a node that is gone; the next one tries again."""


class NodeKeeper:
    """One worker's part in it; ``run`` begins.

    Args:
        store: is open, and may have other nodes.
        is_first: it is the worker that beats.
        workers: how many the node has.
        sessions: counts those of the node.
        when_gone: called in the loop, once, when others have taken over: the worker must end.
        when_draining: called in the loop, once, when an operator drains the node.
    """

    def __init__(
        self,
        store: Store,
        *,
        is_first: bool,
        workers: int,
        sessions: Callable[[], int],
        when_gone: Callable[[], None],
        when_draining: Callable[[], None],
    ) -> None:
        self._store = store
        self._standing = store.standing
        self._is_first = is_first
        self._workers = workers
        self._sessions = sessions
        self._when_gone = when_gone
        self._when_draining = when_draining
        self._silence = Silence()
        self._is_told_of_drain = False
        self._has_told_skew = False
        self._is_away = False
        self._stuck: dict[NodeId, float] = {}
        """Nodes whose work could not be taken over, and when that was tried last."""
        self._log = get_logger()
        self._thread: ThreadPoolExecutor | None = None

    async def run(self) -> None:
        """Beat and look until cancelled."""
        loop = asyncio.get_running_loop()
        is_over = asyncio.Event()

        def note_gone() -> None:
            """Called in any thread."""
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(is_over.set)

        self._standing.when_gone = note_gone
        # A thread of its own: those of others may be busy for longer than a beat may wait.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="zajil-node")
        watch = asyncio.create_task(self._watch())
        over = asyncio.create_task(is_over.wait())
        try:
            if not self._standing.is_gone:
                await asyncio.wait({watch, over}, return_when=asyncio.FIRST_COMPLETED)
            if self._standing.is_gone:
                self._log.error("other nodes took over the work of this node; this worker ends")
                self._when_gone()
                await asyncio.Event().wait()
            await watch  # a fault of ours: the worker ends with it
        finally:
            watch.cancel()
            over.cancel()
            self._thread.shutdown(wait=False)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._standing.is_gone:
            began = loop.time()
            try:
                await self._look(began)
                self._is_away = False
            except NodeGone:
                return
            except StoreUnavailable as error:
                self._silence.forget()
                if not self._is_away:
                    self._log.warning("cannot look at the other nodes", reason=str(error))
                self._is_away = True
            await asyncio.sleep(max(0.0, began + BEAT_SECONDS - loop.time()))

    async def _look(self, began: float) -> None:
        before = self._standing.seen_beat
        rows = None
        if not self._is_first:
            rows = await self._in_thread(self._standing.look)
            if self._standing.seen_beat != before:
                self._note_state()
                return  # the first worker lives
        sessions = self._sessions()
        rows = await self._in_thread(lambda: self._standing.beat(self._workers, sessions))
        self._note_state()
        own = [row for row in rows if row.node_id == self._standing.node_id]
        others = [row for row in rows if row.node_id != self._standing.node_id]
        self._note_skew(own)
        for row in self._silence.look(others, began, asyncio.get_running_loop().time()):
            if not await self._take_over(row):
                break  # as below; who is silent now is so at the next look, too
        gone = [row for row in others if row.state not in ALIVE and not row.is_cleared]
        for row in sorted(gone, key=lambda row: self._stuck.get(row.node_id, 0.0)):
            if not await self._clear(row, row.epoch):
                break  # the next beat must not come late; another one is tried then

    async def _take_over(self, row: NodeRow) -> bool:
        """Declare a silent node gone, and clear it; return what ``_clear`` does."""
        try:
            epoch = await self._in_thread(lambda: self._standing.declare_gone(row))
        except NodeGone:
            raise
        except StoreUnavailable as error:
            # It stopped in the middle of a sign of life, which locks its row until the database
            # ends that: it stays silent, and the next look tries again.
            self._note_stuck(row, error)
            return True
        if epoch is None:
            return True
        self._log.error("a node is gone", node=row.node_id, host=row.host)
        return await self._clear(row, epoch)

    async def _clear(self, row: NodeRow, epoch: int) -> bool:
        """Take over the work of a node that is gone; return whether nothing is in the way."""
        try:
            freed = await self._in_thread(
                lambda: self._standing.clear(row.node_id, epoch, _CLEAR_SECONDS)
            )
        except NodeGone:
            raise
        except StoreUnavailable as error:
            # No look failed: whether other nodes live is known all the same.
            self._note_stuck(row, error)
            return False
        self._stuck.pop(row.node_id, None)
        if freed is None:
            return True
        self._log.warning(
            "took over the work of a node",
            node=row.node_id,
            host=row.host,
            recipients=freed.recipients,
            chores=freed.chores,
            maildrops=freed.maildrops,
        )
        self._store.changes.announce({QUEUE})
        return True

    def _note_stuck(self, row: NodeRow, error: StoreUnavailable) -> None:
        if row.node_id not in self._stuck:
            self._log.error(
                "cannot take over the work of a node", node=row.node_id, reason=str(error)
            )
        self._stuck[row.node_id] = asyncio.get_running_loop().time()

    def _note_state(self) -> None:
        if self._standing.state is NodeState.DRAINING and not self._is_told_of_drain:
            self._is_told_of_drain = True
            self._when_draining()

    def _note_skew(self, own: list[NodeRow]) -> None:
        for row in own:
            is_wrong = abs(row.skew_ms) > SKEW_LOGGED_MS
            if is_wrong and not self._has_told_skew:
                self._log.warning(
                    "the clock of this machine differs from that of the database",
                    seconds=round(row.skew_ms / 1000, 1),
                )
            self._has_told_skew = is_wrong

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
