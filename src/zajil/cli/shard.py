"""``zajil shard``: further stores for some of the domains."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer

from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.output import AsJson, print_json, print_table, printable

shard_app = typer.Typer(
    name="shard", help="Further stores for some of the domains.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Name of the shard, as in store.shards.")]


@shard_app.command("create")
def create(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Create the store of a shard that store.shards names. The server may be running.

    The server uses the shard after its next start. An interrupted command is continued by the next
    one.

    Exit status: 0 done, 1 it exists, or one of the databases cannot be used, 2 wrong usage.
    """
    from zajil.operations.shards import make_shard

    made = make_shard(read_configuration(context), name)
    if as_json:
        print_json(asdict(made))
        return
    print(f"created the shard {name}; restart the server, on all nodes, then add domains:")
    print(f"zajil --shard {name} domain add DOMAIN")


@shard_app.command("list")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """List the shards, the domains in each, and whether its store can be used.

    Exit status: 0 done, 1 the store cannot be read, 2 wrong usage.
    """
    from zajil.core.domain import to_unicode
    from zajil.operations.shards import find_problem, list_shard_states

    configuration = read_configuration(context)
    with opened_store(context) as store:
        states = store.read_now(lambda conn: list_shard_states(configuration, conn))
    states = [
        replace(one, problem=find_problem(configuration, one.name))
        if one.is_configured and one.number is not None
        else one
        for one in states
    ]
    if as_json:
        print_json({"shards": [asdict(state) for state in states]})
        return
    rows = []
    for state in states:
        problem = printable(state.problem) if state.is_configured else "not in store.shards"
        if state.number is None:
            problem = f"create it: zajil shard create {state.name}"
        domains = ", ".join(to_unicode(name) for name in state.domains)
        rows.append([state.name, domains or "-", str(state.single), problem])
    print_table(["SHARD", "DOMAINS", "SINGLE ACCOUNTS", ""], rows)
