"""The nodes of a store: servers, each with a data folder, that share one PostgreSQL database.

Laws:
- A node beats: its count grows every ``BEAT_SECONDS``. No clocks are compared: whoever sees a count
  stay the same for ``SILENCE_SECONDS`` by its own clock declares the node gone
  (``store.engine.standing.Silence``).
- A node that was declared gone writes nothing more. First its epoch grows; then its connections,
  which name the epoch, are ended; then its leases are freed. A new connection of a node compares
  the epoch before its first use (``store.engine.postgres``).
- A node may come back: its new workers join with the epoch of now.
- Two servers that start with one id, because a data folder was copied, do not both work under it:
  a worker joins only if no other start entered after that of its own server.
- SQLite has one node, which is the data folder itself: nothing is written here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.clock import Clock
from zajil.core.ids import NodeId
from zajil.core.value_class import value_class
from zajil.store.blobs.location import OBJECT
from zajil.store.engine.batch import Batch, begin_batch
from zajil.store.engine.chores import give_up_all_chores
from zajil.store.engine.dialect import Dialect, database_ms
from zajil.store.engine.errors import GONE, TAKEN, NodeGone, NodeTaken, StoreUnavailable
from zajil.store.engine.migrate import require_floor
from zajil.store.mail.caps import Caps
from zajil.store.mail.maildrops import release_maildrops_of_node
from zajil.store.queue.queue import FreeLeases, free_leases
from zajil.store.schema import blob, node

BEAT_SECONDS = 2.0
SILENCE_SECONDS = 9.0
_PATIENCE_SECONDS = 5.0
"""How long connections may take to end, where nobody waits for a beat meanwhile."""
_LOOK_AGAIN_SECONDS = 0.05


class NodeState(StrEnum):
    """What a node is said to be; the values are stored and never change."""

    ACTIVE = "active"
    DRAINING = "draining"
    """It accepts nothing new (``zajil node drain``), until its next start."""
    STOPPED = "stopped"
    """It ended in an orderly way, or has not begun to serve yet."""
    GONE = "gone"
    """It showed no sign of life, and others took over its work."""


ALIVE = (NodeState.ACTIVE, NodeState.DRAINING)


@value_class(frozen=True, slots=True)
class NodeFacts:
    """What a node says of itself when it starts."""

    host: str
    version: str
    schema: str
    """The newest that its program knows."""


@value_class(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One node, as the store knows it."""

    node_id: NodeId
    host: str
    version: str
    schema: str
    state: NodeState
    epoch: int
    is_cleared: bool
    """Nothing is left of what its processes of older epochs held."""
    beat: int
    age_ms: int
    """Since its last beat, by the clock of the database."""
    started_ms: int
    """By the clock of the database."""
    skew_ms: int
    """Its clock minus that of the database, when it measured last."""
    workers: int
    sessions: int


@value_class(frozen=True, slots=True)
class Beat:
    """A sign of life."""

    node_id: NodeId
    epoch: int
    workers: int | None
    """``None``: unchanged."""
    sessions: int | None


@value_class(frozen=True, slots=True)
class Freed:
    """What a node had held that was gone."""

    recipients: int
    chores: int
    maildrops: int


# ---- one node enters, lives, ends ---------------------------------------------------------------


def enter_node(
    dialect: Dialect,
    node_id: NodeId,
    facts: NodeFacts,
    now_ms: int,
    start_ms: int = 0,
    require: Callable[[Connection], None] = lambda _conn: None,
) -> int:
    """Begin a new epoch of a node before its workers start; nothing of older epochs is left.

    The caller holds the lock of the data folder, so that no process of the node is at work.
    ``require`` raises why the node may not enter; no other one enters meanwhile.

    Returns:
        The time of the start, which no other start of this node has: ``start_ms``, or a new one.

    Raises:
        NodeTaken: another server entered under the same id at this moment.
        StoreUnavailable: connections of an older epoch do not end.
    """
    if not dialect.is_shared:
        return 0
    with dialect.writer.begin() as conn:
        dialect.lock_floor(conn, alone=True)
        require(conn)
        row = _locked(conn, node_id)
        start_ms = start_ms or max(dialect.time_ms(conn), 0 if row is None else row.started_ms + 1)
        epoch = _insert(conn, dialect, node_id) if row is None else row.epoch + 1
        stopped = {"state": NodeState.STOPPED, "is_cleared": False}
        _set(conn, node_id, **stopped, epoch=epoch, started_ms=start_ms)
    clear_node(dialect, node_id, epoch, now_ms)
    with dialect.writer.begin() as conn:
        _require_start(_locked(conn, node_id), start_ms)
        _set(conn, node_id, **_values_of(facts), beat_ms=dialect.time_ms(conn))
    return start_ms


def join_node(
    dialect: Dialect, node_id: NodeId, facts: NodeFacts, now_ms: int, start_ms: int = 0
) -> int:
    """Return the epoch of a node to a worker that starts; it is active from then on.

    Args:
        dialect: the database.
        node_id: the node.
        facts: what the program says of itself.
        now_ms: the time.
        start_ms: what ``enter_node`` returned to the server; 0: there is none.

    Raises:
        NodeTaken: another server has entered under the same id since.
        WrongSchema: a newer version changed the tables meanwhile.
        StoreUnavailable: connections of an older epoch do not end.
    """
    if not dialect.is_shared:
        return 0
    with dialect.reader.connect() as conn:
        row = find_node(conn, node_id)
    if row is None:
        enter_node(dialect, node_id, facts, now_ms, start_ms)
    elif row.state not in ALIVE and not row.is_cleared:
        clear_node(dialect, node_id, row.epoch, now_ms)
    with dialect.writer.begin() as conn:
        dialect.lock_floor(conn, alone=False)
        require_floor(conn)
        found = _locked(conn, node_id)
        if found is None:
            raise StoreUnavailable("the row of this node was removed while it started")
        if start_ms:
            _require_start(found, start_ms)
        if found.state not in ALIVE:
            given = {"beat": found.beat + 1, "beat_ms": dialect.time_ms(conn)}
            _set(conn, node_id, state=NodeState.ACTIVE, **_values_of(facts), **given)
        return int(found.epoch)


def beat_node(dialect: Dialect, item: Beat, clock: Clock) -> list[NodeRow]:
    """Show that a node lives, with what it measured of its clock; return all nodes.

    Raises:
        NodeGone: it was declared gone.
        StoreUnavailable, sa.exc.DBAPIError: the database cannot be reached.
    """
    # The writer's thread has one connection; the other one waits for nobody who reads.
    with dialect.writer.begin() as conn:
        dialect.be_patient(conn, int(BEAT_SECONDS * 1000))
        asked_ms = clock.now_ms()
        at_ms = dialect.time_ms(conn)
        skew_ms = (asked_ms + clock.now_ms()) // 2 - at_ms
        beaten = conn.execute(
            sa.update(node)
            .where(node.c.id == item.node_id, node.c.epoch == item.epoch, node.c.state.in_(ALIVE))
            .values(
                beat=node.c.beat + 1,
                beat_ms=at_ms,
                skew_ms=skew_ms,
                workers=sa.func.coalesce(item.workers, node.c.workers),
                sessions=sa.func.coalesce(item.sessions, node.c.sessions),
            )
        )
        if beaten.rowcount != 1:
            raise NodeGone(GONE)
        return list_nodes(conn)


def stop_node(dialect: Dialect, node_id: NodeId, start_ms: int) -> None:
    """Note that all processes of the node of a start have ended in an orderly way."""
    if dialect.is_shared:
        with dialect.writer.begin() as conn:
            mine = sa.and_(node.c.id == node_id, node.c.started_ms == start_ms)
            stopped = sa.update(node).values(state=NodeState.STOPPED, sessions=0)
            conn.execute(stopped.where(mine, node.c.state.in_(ALIVE)))


# ---- a node is gone -----------------------------------------------------------------------------


def declare_gone(dialect: Dialect, seen: NodeRow) -> int | None:
    """Say that a silent node is gone, if its row is as it was seen.

    Returns:
        The epoch from which on its processes may write again; ``None``: it lives, or another node
        was quicker.
    """
    with dialect.writer.begin() as conn:
        row = _locked(conn, seen.node_id)
        if row is None or row.state not in ALIVE:
            return None
        if (row.epoch, row.beat) != (seen.epoch, seen.beat):
            return None
        epoch = int(row.epoch) + 1
        gone = {"epoch": epoch, "is_cleared": False, "sessions": 0}
        _set(conn, seen.node_id, state=NodeState.GONE, **gone)
        return epoch


def clear_node(
    dialect: Dialect, node_id: NodeId, epoch: int, now_ms: int, seconds: float = _PATIENCE_SECONDS
) -> Freed | None:
    """End the connections that a node has from older epochs, then free what it held.

    Safe to repeat, by several nodes at a time.

    Returns:
        What it had held; ``None``: another process did it, or the node has come back.

    Raises:
        StoreUnavailable: its connections do not end.
    """
    end = time.monotonic() + seconds
    while dialect.end_connections(node_id, epoch):
        if time.monotonic() >= end:
            raise StoreUnavailable(f"connections of node {node_id} to the database do not end")
        time.sleep(_LOOK_AGAIN_SECONDS)
    with dialect.writer.begin() as conn:
        row = _locked(conn, node_id)
        if row is None or row.epoch != epoch or row.state in ALIVE or row.is_cleared:
            return None
        # Others hear of the queue by their next look, within a second.
        begin_batch(conn, Batch(lambda: None, now_ms, Caps()))
        name = f"{node_id}/"
        freed = Freed(
            free_leases(conn, [FreeLeases(name, now_ms)])[0],
            give_up_all_chores(conn, [name])[0],
            release_maildrops_of_node(conn, [name])[0],
        )
        _set(conn, node_id, is_cleared=True)
        return freed


# ---- what an operator does ----------------------------------------------------------------------


def drain_nodes(tx: Connection, items: Sequence[NodeId]) -> list[bool]:
    """Have nodes accept nothing new; return of each whether it was active or drains already.

    Unit of work: idempotent.
    """
    drains = [
        sa.update(node)
        .where(node.c.id == node_id, node.c.state.in_(ALIVE))
        .values(state=NodeState.DRAINING)
        for node_id in items
    ]
    return [tx.execute(one).rowcount == 1 for one in drains]


def forget_nodes(tx: Connection, items: Sequence[NodeId]) -> list[bool]:
    """Remove nodes that have stopped or are gone; return of each whether it was so.

    Unit of work: idempotent.
    """
    removes = [
        sa.delete(node).where(node.c.id == node_id, node.c.state.not_in(ALIVE), node.c.is_cleared)
        for node_id in items
    ]
    return [tx.execute(one).rowcount == 1 for one in removes]


# ---- queries ------------------------------------------------------------------------------------


def list_nodes(conn: Connection) -> list[NodeRow]:
    """Return all nodes, those that started first in front."""
    return [_row_of(row) for row in conn.execute(_rows(conn))]


def find_node(conn: Connection, node_id: NodeId) -> NodeRow | None:
    """Return one node; ``None``: there is none of this id."""
    row = conn.execute(_rows(conn).where(node.c.id == node_id)).one_or_none()
    return None if row is None else _row_of(row)


def has_other_nodes(conn: Connection, node_id: NodeId) -> bool:
    """Return whether the store has another node, whether it runs or not."""
    return conn.scalar(sa.select(node.c.id).where(node.c.id != node_id).limit(1)) is not None


def has_local_files(conn: Connection) -> bool:
    """Return whether the bytes of some message are in a file of a node."""
    is_file = sa.and_(blob.c.location.is_not(None), blob.c.location.not_like(f"{OBJECT}%"))
    return conn.scalar(sa.select(blob.c.id).where(is_file).limit(1)) is not None


# ---- inside -------------------------------------------------------------------------------------


def _rows(conn: Connection) -> sa.Select[Any]:
    return sa.select(node, (database_ms(conn) - node.c.beat_ms).label("age_ms")).order_by(
        node.c.started_ms, node.c.id
    )


def _row_of(row: Any) -> NodeRow:
    return NodeRow(
        node_id=NodeId(row.id),
        host=row.host,
        version=row.version,
        schema=row.schema,
        state=NodeState(row.state),
        epoch=row.epoch,
        is_cleared=row.is_cleared,
        beat=row.beat,
        age_ms=max(0, int(row.age_ms)),
        started_ms=row.started_ms,
        skew_ms=row.skew_ms,
        workers=row.workers,
        sessions=row.sessions,
    )


def _values_of(facts: NodeFacts) -> dict[str, object]:
    return {"host": facts.host, "version": facts.version, "schema": facts.schema}


def _require_start(row: Any, start_ms: int) -> None:
    """Raise ``NodeTaken`` if the row of a node is that of another start."""
    if row is not None and row.started_ms != start_ms:
        raise NodeTaken(TAKEN)


def _locked(conn: Connection, node_id: NodeId) -> Any:
    """Lock a node until the end of the transaction, and return its row."""
    return conn.execute(sa.select(node).where(node.c.id == node_id).with_for_update()).one_or_none()


def _insert(conn: Connection, dialect: Dialect, node_id: NodeId) -> int:
    """Insert a node; its epoch is a time, so that one that was forgotten never gets an old one."""
    at_ms = dialect.time_ms(conn)
    given = {"beat": 0, "beat_ms": at_ms, "started_ms": at_ms, "skew_ms": 0}
    named = {"host": "", "version": "", "schema": "", "state": NodeState.STOPPED, "epoch": at_ms}
    counts = {"workers": 0, "sessions": 0, "is_cleared": False}
    conn.execute(sa.insert(node).values(id=node_id, **named, **given, **counts))
    return at_ms


def _set(conn: Connection, node_id: NodeId, **values: object) -> None:
    conn.execute(sa.update(node).where(node.c.id == node_id).values(**values))
