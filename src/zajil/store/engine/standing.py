"""The place of this process among the nodes: whether others may have taken over its work.

A beat is good for less time than others wait before they declare a node gone. So a process that
was suspended knows when it wakes up that it may be gone, before it asks anybody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

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
        self._seen = (-1, 0.0)
        """The beat at the last look, and when that began."""
        self.when_gone: Callable[[], None] = lambda: None
        """Called in any thread, at least once, when others have taken over."""
        if self.is_shared and epoch is not None:
            dialect.stand_for(node_id, epoch, self._note_gone)

    @property
    def is_sure(self) -> bool:
        """Whether nobody can have declared the node gone; false: ``ask``."""
        return not self.is_shared or (not self.is_gone and _now() < self._sure_until)

    def ask(self) -> bool:
        """Ask the store whether the node may go on; false also where nobody knows. Blocks."""
        try:
            self.look()
        except StoreUnavailable:
            return False
        return not self.is_gone

    async def may_go_on(self) -> bool:
        """Return whether the node may go on, in the event loop: asks the store where need be.

        A suspended process may wake up in the middle of what others have taken over.
        """
        return self.is_sure or await asyncio.to_thread(self.ask)

    def look(self) -> list[NodeRow]:
        """Read all nodes, among them what became of this one. Blocks.

        Raises:
            NodeGone: others took over.
            StoreUnavailable: the database cannot be reached.
        """
        began = _now()
        with _told(), self._dialect.reader.connect() as conn, conn.begin():
            rows = list_nodes(conn)
        self._note(rows, began)
        return rows

    def beat(self, workers: int, sessions: int) -> list[NodeRow]:
        """Show that the node lives, and read all nodes. Blocks.

        Raises:
            NodeGone: others took over.
            StoreUnavailable: the database cannot be reached.
        """
        began = _now()
        with _told():
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
        with _told():
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


@contextmanager
def _told() -> Iterator[None]:
    """Turn errors of the database into ``StoreUnavailable``."""
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        # The second: others wait for the database with all connections of the pool.
        reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        raise StoreUnavailable(f"the nodes cannot be read: {one_line(reason)}") from error


def _now() -> float:
    """Return seconds that also grow while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
