"""``zajil alias``: addresses that stand for others."""

from __future__ import annotations

from typing import Annotated

import typer

from zajil.cli.configured import opened_store
from zajil.cli.output import AsJson, print_json, print_table

alias_app = typer.Typer(name="alias", help="Addresses that stand for others.", no_args_is_help=True)


@alias_app.command("add")
def add(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="In a domain of ours.")],
    targets: Annotated[list[str], typer.Argument(help="Where its mail goes, here or elsewhere.")],
    as_json: AsJson = False,
) -> None:
    """Make an alias, also while the server runs.

    Exit status: 0 done, 1 the address is taken or its domain is not ours, 2 wrong usage.
    """
    from zajil.admin.aliases import add_alias

    with opened_store(context) as store:
        row = add_alias(store, address, targets)
    names = [target.unicode for target in row.targets]
    if as_json:
        print_json({"address": row.address.unicode, "targets": names})
    else:
        print(f"added {row.address.unicode} -> {', '.join(names)}")


@alias_app.command("list")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """List the aliases."""
    from zajil.admin.aliases import show_aliases

    with opened_store(context) as store:
        rows = show_aliases(store)
    found = [(row.address.unicode, [target.unicode for target in row.targets]) for row in rows]
    if as_json:
        print_json({"aliases": [{"address": name, "targets": goals} for name, goals in found]})
    else:
        print_table(["ALIAS", "GOES TO"], [[name, ", ".join(goals)] for name, goals in found])


@alias_app.command("remove")
def remove(
    context: typer.Context, address: Annotated[str, typer.Argument(help="The alias.")]
) -> None:
    """Remove an alias; what it stood for stays.

    Exit status: 0 done, 1 there is no such alias, 2 wrong usage.
    """
    from zajil.admin.aliases import remove_alias

    with opened_store(context) as store:
        remove_alias(store, address)
    print(f"removed {address}")
