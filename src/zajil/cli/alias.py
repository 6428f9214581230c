"""``zajil alias``: addresses that deliver to other addresses."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import open_operations, opened_store
from zajil.cli.output import AsJson, print_json, print_table, printable

if TYPE_CHECKING:
    from zajil.core.address import Address
    from zajil.operations.run import Runner
    from zajil.store.people.aliases import AliasRow

alias_app = typer.Typer(
    name="alias", help="Aliases: addresses that deliver to others.", no_args_is_help=True
)


Alias = Annotated[
    str,
    typer.Argument(help="Address in a local domain; *@DOMAIN is the catch-all of the domain."),
]
Targets = Annotated[list[str], typer.Argument(help="Local or remote addresses.")]


@alias_app.command("add")
def add(context: typer.Context, address: Alias, targets: Targets, as_json: AsJson = False) -> None:
    """Create an alias, or add targets to one. The server may be running.

    Exit status: 0 done, 1 the address is an account, its domain is not local, or the alias would
    loop, 2 wrong usage.
    """
    from zajil.operations.aliases import add_alias

    with open_operations(context) as operations:
        changed = operations.run(add_alias, address, targets)
        warn_unknown(operations, changed.row.targets, as_json)
    _print("added" if changed.is_new else "changed", changed.row, as_json)


@alias_app.command("set")
def set_targets(
    context: typer.Context, address: Alias, targets: Targets, as_json: AsJson = False
) -> None:
    """Replace the targets of an alias. The server may be running.

    Exit status: 0 done, 1 no such alias, or it would loop, 2 wrong usage.
    """
    from zajil.operations.aliases import set_alias

    with open_operations(context) as operations:
        row = operations.run(set_alias, address, targets)
        warn_unknown(operations, row.targets, as_json)
    _print("changed", row, as_json)


@alias_app.command("list")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """List the aliases.

    Exit status: 0 done, 2 wrong usage.
    """
    from zajil.store.people.aliases import list_aliases

    with opened_store(context) as store:
        rows = store.read_now(list_aliases)
    found = [(row.address.unicode, [target.unicode for target in row.targets]) for row in rows]
    if as_json:
        print_json({"aliases": [{"address": name, "targets": goals} for name, goals in found]})
    else:
        print_table(["ALIAS", "TARGETS"], [[name, ", ".join(goals)] for name, goals in found])


@alias_app.command("remove")
def remove(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="The alias.")],
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Remove only these targets. Default: the whole alias.", show_default=False
        ),
    ] = None,
) -> None:
    """Remove an alias, or some of its targets.

    Exit status: 0 done, 1 no such alias or target, or it is the last target, 2 wrong usage.
    """
    from zajil.operations.aliases import remove_alias, remove_targets

    with open_operations(context) as operations:
        if targets:
            row = operations.run(remove_targets, address, targets)
        else:
            operations.run(remove_alias, address)
    if targets:
        _print("changed", row, as_json=False)
    else:
        print(f"removed {address}")


def _print(verb: str, row: AliasRow, as_json: bool) -> None:
    names = [target.unicode for target in row.targets]
    if as_json:
        print_json({"address": row.address.unicode, "targets": names})
    else:
        print(f"{verb} {row.address.unicode} -> {', '.join(names)}")


def warn_unknown(operations: Runner, targets: Sequence[Address], as_json: bool) -> None:
    """Warn on standard error about local targets that do not exist."""
    from zajil.operations.aliases import find_unknown

    if as_json:
        return
    for one in operations.read(lambda conn: find_unknown(conn, targets)):
        print(f"warning: there is no address {printable(one.unicode)} yet", file=sys.stderr)
