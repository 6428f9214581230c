"""The place of this process among the nodes: whether others may have taken over its work.

A beat is good for less time than others wait before they declare a node gone. So a process that
was suspended knows when it wakes up that it may be gone, before it asks anybody.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from zajil.core.clock import Clock
from zajil.core.ids import NodeId
from zajil.store.engine.dialect import Dialect
from zajil.store.engine.errors import GONE, NodeGone, StoreUnavailable, one_line
from zajil.store.engine.nodes import (
    ALIVE,
    SILENCE_SECONDS,
    Beat,
    Freed,
    NodeRow,
    NodeState,
    beat_node,
    clear_node,
    declare_gone,
    list_nodes,
)

_SURE_SECONDS = SILENCE_SECONDS - 2.0
"""How long nobody declares the node gone after a beat; the rest is for what then is done."""

_ANSWER_SECONDS = 4.0
"""How long a look or a beat waits for one answer."""

_UNKNOWN = "it is not known whether other nodes took over, because the database does not answer"


class NodeStanding:
    """Of one process that opened the store; of a command, it never changes.

    Args:
        dialect: the database.
        node_id: the node of the data folder.
        epoch: in which the process joined it; ``None``: it is a command.
        clock: to compare it with that of the database.
    """

    def __init__(self, dialect: Dialect, node_id: NodeId, epoch: int | None, clock: Clock) -> None:
        self._dialect = dialect
        self._clock = clock
        self.node_id = node_id
        self.epoch = epoch
        self.is_shared = dialect.is_shared and epoch is not None
        """Other nodes may use the store, and know of this one."""
        self.state = NodeState.ACTIVE
        self.is_gone = False
        self._sure_until = 0.0
        self._turn = threading.Lock()
        self._asked = 0.0
        """When somebody asked last, in turn."""
        self._seen = (-1, 0.0)
        """The beat at the last look, and when that began."""
        self.when_gone: Callable[[], None] = lambda: None
        """Called in any thread, at least once, when others have taken over."""
        if self.is_shared and epoch is not None:
            dialect.stand_for(node_id, epoch, self._note_gone)

    @property
    def is_sure(self) -> bool:
        """Whether nobody can have declared the node gone; false: ``ask``."""
        return not self.is_shared or (not self.is_gone and boot_seconds() < self._sure_until)

    def ask(self) -> bool:
        """Beat, and return whether the node may go on; false also where nobody knows. Blocks.

        A look would not do: others may declare the node gone right after it. Of many that ask at
        the same time, one does for all.
        """
        began = boot_seconds()
        with self._turn:
            if self._asked < began:
                with suppress(StoreUnavailable):
                    self.beat()
                self._asked = boot_seconds()
        return self.is_sure

    async def may_go_on(self) -> bool:
        """Return whether the node may go on, in the event loop: asks the store where need be.

        A suspended process may wake up in the middle of what others have taken over.
        """
        return self.is_sure or await asyncio.to_thread(self.ask)

    async def require(self) -> None:
        """Make sure that the node may go on, before something is done that no commit decides.

        Raises:
            StoreUnavailable: it may not, or nobody knows.
        """
        if not await self.may_go_on():
            raise NodeGone(GONE) if self.is_gone else StoreUnavailable(_UNKNOWN)

    def look(self) -> list[NodeRow]:
        """Read all nodes, among them what became of this one. Blocks.

        Raises:
            NodeGone: others took over.
            StoreUnavailable: the database cannot be reached.
        """
        began = boot_seconds()
        with self._asking(), self._dialect.reader.connect() as conn, conn.begin():
            rows = list_nodes(conn)
        self._note(rows, began)
        return rows

    def beat(self, workers: int | None = None, sessions: int | None = None) -> list[NodeRow]:
        """Show that the node lives, and read all nodes. Blocks.

        Args:
            workers: how many the node has; ``None``: as it said before.
            sessions: the same.

        Raises:
            NodeGone: others took over.
            StoreUnavailable: the database cannot be reached.
        """
        began = boot_seconds()
        with self._asking():
            item = Beat(self.node_id, self.epoch or 0, workers, sessions)
            try:
                rows = beat_node(self._dialect, item, self._clock)
            except sa.exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                rows = beat_node(self._dialect, item, self._clock)  # over a new connection
        self._note(rows, began)
        self._sure_until = max(self._sure_until, began + _SURE_SECONDS)
        return rows

    @property
    def seen_beat(self) -> int:
        """The count of this node at the last look."""
        return self._seen[0]

    def declare_gone(self, row: NodeRow) -> int | None:
        """Declare a silent node gone, as ``store.engine.nodes.declare_gone``. Blocks.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """
        with _told(), self._dialect.in_haste(_ANSWER_SECONDS):  # our own beat must not come late
            return declare_gone(self._dialect, row)

    def clear(
        self, node_id: NodeId, epoch: int, patience_seconds: float | None = None
    ) -> Freed | None:
        """Free what a node held that is gone, as ``store.engine.nodes.clear_node``. Blocks.

        Raises:
            StoreUnavailable: it cannot be done now.
        """
        with _told():
            given = (self._dialect, node_id, epoch, self._clock.now_ms())
            if patience_seconds is None:
                return clear_node(*given)
            return clear_node(*given, patience_seconds)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        # A connection that the network forgot must not make the node gone: another one works.
        try:
            with _told(), self._dialect.in_haste(_ANSWER_SECONDS):
                yield
        except NodeGone:
            self._note_gone()
            raise

    def _note(self, rows: Sequence[NodeRow], began: float) -> None:
        own = next((row for row in rows if row.node_id == self.node_id), None)
        if own is None or own.epoch != self.epoch or own.state not in ALIVE:
            self._note_gone()
            raise NodeGone(GONE)
        self.state = own.state
        beat, looked = self._seen
        if beat not in (-1, own.beat):
            # It came after the last look began: so long ago it was, at most.
            self._sure_until = max(self._sure_until, looked + _SURE_SECONDS)
        self._seen = (own.beat, began)

    def _note_gone(self) -> None:
        self.is_gone = True
        self.when_gone()


class Silence:
    """Finds nodes whose count stays the same; each process has its own.

    The time between two looks counts for half of the silence at most. So one that comes late,
    because this process was suspended, makes nobody silent, and one that always comes late, because
    it has too much to do, needs three looks.
    """

    def __init__(self, seconds: float = SILENCE_SECONDS) -> None:
        self._seconds = seconds
        self._seen: dict[NodeId, tuple[tuple[int, int], float]] = {}
        """Epoch and beat, and for how many seconds they have been so."""
        self._looked = 0.0

    def forget(self) -> None:
        """Begin to count anew: a look failed."""
        self._seen.clear()

    def look(
        self, rows: Iterable[NodeRow], now: float, there: float | None = None
    ) -> list[NodeRow]:
        """Return the nodes that are silent for long enough.

        Args:
            rows: of all nodes.
            now: when they were asked for, in seconds of a monotonic clock.
            there: when they were there: a new beat may be as young as that; ``None``: at once.
        """
        passed = min(now - self._looked, self._seconds / 2)
        self._looked = now
        alive = [row for row in rows if row.state in ALIVE]
        before = self._seen
        self._seen = {}
        silent = []
        for row in alive:
            count = (row.epoch, row.beat)
            known, lasted = before.get(row.node_id, (None, 0.0))
            began = now - (now if there is None else there)
            lasted = lasted + passed if known == count else began
            self._seen[row.node_id] = (count, lasted)
            if known == count and lasted >= self._seconds:
                silent.append(row)
        return silent


@contextmanager
def _told() -> Iterator[None]:
    """Turn errors of the database into ``StoreUnavailable``."""
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        # The second: others wait for the database with all connections of the pool.
        reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        raise StoreUnavailable(f"the nodes cannot be read: {one_line(reason)}") from error


def boot_seconds() -> float:
    """Return seconds that also grow while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
