"""``zajil node``: the servers that share a store in PostgreSQL."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.configured import open_operations, opened_store
from zajil.cli.output import (
    AsJson,
    print_json,
    print_table,
    printable,
    progress_bar,
    spell_age,
    spell_time,
)

if TYPE_CHECKING:
    from zajil.operations.nodes import ShownNode
    from zajil.operations.run import Runner

node_app = typer.Typer(
    name="node",
    help="Nodes: the servers that share a store in PostgreSQL.",
    no_args_is_help=True,
)

_NODE = "Id of the node, the beginning of it, or the name of its host."
_TITLES = (
    *("NODE", "HOST", "VERSION", "SCHEMA", "STATE", "BEAT", "CLOCK"),
    *("WORKERS", "SESSIONS", "DELIVERIES", "STARTED"),
)
_LOOK_SECONDS = 0.5
_BEATS = 3
"""Until each worker of a node has seen that it is drained, and its sessions were counted."""


@node_app.command("list")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """List the nodes, whether they run, and what they do.

    States: active; draining and drained (`zajil node drain`); stopped; gone: it showed no sign of
    life for some seconds, and others took over its work. CLOCK is the difference between the clock
    of the node and that of the database. If an upgrade of the store is not finished, a line says
    what it waits for.

    Exit status: 0 all nodes run or were stopped, 1 a node is gone, 2 wrong usage.
    """
    from zajil.operations.nodes import NO_LIST, show_nodes, tell_unfinished_upgrade
    from zajil.store.engine.nodes import NodeState

    with opened_store(context) as store:
        nodes, own = store.read_now(show_nodes), store.node_id
        upgrade = store.read_now(tell_unfinished_upgrade)
    if as_json:
        listed = [{**_as_json(one), "own": one.row.node_id == own} for one in nodes]
        print_json({"nodes": listed, "upgrade": upgrade})
    elif not nodes:
        print(NO_LIST)
    else:
        print_table(_TITLES, [_cells(one) for one in nodes])
        if upgrade:
            print(printable(upgrade))
    if any(one.row.state is NodeState.GONE for one in nodes):
        raise typer.Exit(1)


def _state(one: ShownNode) -> str:
    return "drained" if one.is_drained else one.row.state.value


def _as_json(one: ShownNode) -> dict[str, Any]:
    row = one.row
    return {
        "id": row.node_id,
        "host": row.host,
        "version": row.version,
        "schema": row.schema,
        "state": _state(one),
        "epoch": row.epoch,
        "beat_age_ms": row.age_ms,
        "clock_skew_ms": row.skew_ms,
        "workers": row.workers,
        "sessions": row.sessions,
        "deliveries": one.leases,
        "started_ms": row.started_ms,
    }


def _cells(one: ShownNode) -> tuple[str, ...]:
    row = one.row
    return (
        row.node_id,
        row.host,
        row.version,
        row.schema,
        _state(one),
        f"{spell_age(row.age_ms)} ago",
        f"{round(row.skew_ms / 1000, 1) + 0.0:+.1f} s",
        str(row.workers),
        str(row.sessions),
        str(one.leases),
        spell_time(row.started_ms),
    )


@node_app.command("drain")
def drain(
    context: typer.Context,
    node: Annotated[
        str | None, typer.Argument(help=f"{_NODE} Default: the node of this configuration.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until nothing is under way on the node.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Have a node accept nothing new: new connections and mail go to the others.

    The node stops listening, gives up its background tasks and ends the deliveries that are under
    way. Open sessions go on for server.reload_grace. Its /ready answers 503 at once. The next start
    of its server ends this.

    Exit status: 0 done, 1 failed (the node does not run), 2 wrong usage.
    """
    from zajil.operations.nodes import drain_node

    with open_operations(context) as operations:
        found = operations.run(drain_node, node)
        if wait:
            found = _wait(operations, found, quiet=as_json)
    row = found.row
    if as_json:
        print_json({"id": row.node_id, "host": row.host, "drained": wait and found.is_drained})
    elif wait and found.is_drained:
        print(f"the node {row.node_id} on {printable(row.host)} is drained: stop its server")
    else:
        print(
            f"the node {row.node_id} on {printable(row.host)} accepts nothing new; "
            "`zajil node list` shows what is still under way"
        )


def _wait(operations: Runner, found: ShownNode, *, quiet: bool) -> ShownNode:
    """Wait until a node is drained, or does not run any more."""
    from zajil.operations.nodes import find_shown, show_nodes
    from zajil.store.engine.nodes import ALIVE

    node_id, beat, most = found.row.node_id, found.row.beat, 1
    with progress_bar("draining the node", quiet=quiet) as progress:
        while True:
            found = find_shown(operations.read(show_nodes), node_id, None)
            left = found.row.sessions + found.leases
            most = max(most, left)
            progress(most - left, most)
            has_seen = found.row.beat >= beat + _BEATS
            if (found.is_drained and has_seen) or found.row.state not in ALIVE:
                return found
            time.sleep(_LOOK_SECONDS)


@node_app.command("forget")
def forget(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help=_NODE)],
    as_json: AsJson = False,
) -> None:
    """Remove a node from the list that has stopped for good or is gone.

    One that runs according to the list is watched for nine seconds first.

    Exit status: 0 done, 1 failed (the node runs, there is none), 2 wrong usage.
    """
    from zajil.operations.nodes import forget_node

    with (
        open_operations(context) as operations,
        progress_bar("watching the node", quiet=as_json) as progress,
    ):
        row = operations.run(forget_node, node, progress)
    if as_json:
        print_json({"id": row.node_id, "host": row.host})
    else:
        print(f"forgot the node {row.node_id} on {printable(row.host)}")
