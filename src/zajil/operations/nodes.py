"""What operators do with nodes: list them, drain one, forget one that is gone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from zajil.core.actor import Actor
from zajil.core.errors import NotFound, Refused
from zajil.core.ids import NodeId
from zajil.core.value_class import value_class
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.store.engine.dialect import Progress
from zajil.store.engine.nodes import (
    ALIVE,
    SILENCE_SECONDS,
    NodeRow,
    NodeState,
    drain_nodes,
    forget_nodes,
    list_nodes,
)
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.rolling import find_unfinished, tell_nodes
from zajil.store.engine.standing import Silence
from zajil.store.engine.writer import Transaction
from zajil.store.queue.queue_counts import count_leases
from zajil.tracking.audit import NodeDrained, NodeForgotten

NO_LIST = (
    "there is no list of nodes: the store is a SQLite database, which has one server, "
    "or no server has used it yet"
)
_LOOK_SECONDS = 0.5


class NoSuchNode(NotFound):
    """There is no such node, or the name means several."""


class NodeLives(Refused):
    """A node that runs is not forgotten."""


class NodeRests(Refused):
    """A node that does not run is not drained."""


@value_class(frozen=True, slots=True)
class ShownNode:
    """One node, and what it does."""

    row: NodeRow
    leases: int
    """Recipients that it delivers to now."""

    @property
    def is_drained(self) -> bool:
        """Whether nothing is under way on a node that drains."""
        return self.row.state is NodeState.DRAINING and not (self.leases or self.row.sessions)


def show_nodes(conn: Snapshot) -> list[ShownNode]:
    """Return all nodes; none with SQLite, where there is only the server of the data folder."""
    leases = count_leases(conn)
    return [ShownNode(row, leases.get(row.node_id, 0)) for row in list_nodes(conn)]


def tell_unfinished_upgrade(conn: Snapshot) -> str:
    """Say in a sentence that an upgrade of the tables is not finished; ``""``: it is."""
    left = find_unfinished(conn)
    if left is None:
        return ""
    text = f"the upgrade of the store to schema {left.needed} is not finished: "
    if left.waits:
        nodes = tell_nodes(left.waits)
        return f"{text}it waits until these nodes are upgraded or stopped: {nodes}"
    return f"{text}run `zajil upgrade run`"


async def drain_node(context: OperationContext, actor: Actor, name: str | None) -> ShownNode:
    """Have a node accept nothing new until its next start.

    Args:
        context: of the operation.
        actor: must be an administrator.
        name: its id, the beginning of it, or its host; ``None``: the node of this data folder.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchNode: there is none.
        NodeRests: it does not run.
    """
    require_admin(actor)
    found = find_shown(await context.read(show_nodes), name, context.store.node_id)
    row = found.row
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[bool]:
        (done,) = drain_nodes(tx, [row.node_id])
        return done, [NodeDrained(*by, None, row.node_id, row.host)] if done else []

    if row.state is NodeState.ACTIVE and await context.change(work):
        return found
    if row.state is NodeState.DRAINING:
        return found
    raise NodeRests(f"the node {row.node_id} on {row.host} does not run")


async def forget_node(
    context: OperationContext,
    actor: Actor,
    name: str,
    progress: Progress = lambda done, total: None,
) -> NodeRow:
    """Remove a node from the list; what it held, others have or get.

    One that runs according to the list is watched for some seconds.

    Args:
        context: of the operation.
        actor: must be an administrator.
        name: its id, the beginning of it, or its host.
        progress: told of the seconds that it is watched.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchNode: there is none.
        NodeLives: it shows that it lives.
        StoreUnavailable: its connections do not end.
    """
    require_admin(actor)
    row = find_shown(await context.read(show_nodes), name, None).row
    standing = context.store.standing
    if row.state in ALIVE:
        epoch = standing.declare_gone(_silent(context, row, progress))
        if epoch is None:
            raise _lives(row)
        standing.clear(row.node_id, epoch)
    elif not row.is_cleared:
        standing.clear(row.node_id, row.epoch)
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[bool]:
        (done,) = forget_nodes(tx, [row.node_id])
        return done, [NodeForgotten(*by, None, row.node_id, row.host)] if done else []

    if not await context.change(work):
        raise _lives(row)
    return row


def _silent(context: OperationContext, row: NodeRow, progress: Progress) -> NodeRow:
    """Watch a node until it is silent for long enough; raises ``NodeLives``."""
    silence = Silence()
    began = time.monotonic()
    while True:
        now = time.monotonic()
        rows = [one for one in context.store.read_now(list_nodes) if one.node_id == row.node_id]
        if [(one.epoch, one.beat, one.state) for one in rows] != [(row.epoch, row.beat, row.state)]:
            raise _lives(row)
        if silence.look(rows, now, time.monotonic()):
            return rows[0]
        progress(int(now - began), int(SILENCE_SECONDS))
        time.sleep(_LOOK_SECONDS)


def _lives(row: NodeRow) -> NodeLives:
    return NodeLives(f"the node {row.node_id} on {row.host} runs: stop its server first")


def find_shown(nodes: Sequence[ShownNode], name: str | None, own: NodeId | None) -> ShownNode:
    """Return the node that a name means, or the own one; raises ``NoSuchNode``."""
    if not nodes:
        raise NoSuchNode(NO_LIST)
    wanted = own if name is None else name
    found = [one for one in nodes if one.row.node_id == wanted]
    if not found and name:
        found = [one for one in nodes if one.row.host == name or one.row.node_id.startswith(name)]
    if not found:
        raise NoSuchNode(f"there is no node {wanted}: `zajil node list` shows all")
    if len(found) > 1:
        ids = ", ".join(one.row.node_id for one in found)
        raise NoSuchNode(f"{name} means several nodes: {ids}")
    return found[0]
