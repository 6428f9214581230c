"""``zajil alias``: addresses that stand for others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import opened_store
from zajil.cli.output import AsJson, print_json, print_table, printable

if TYPE_CHECKING:
    from zajil.core.address import Address
    from zajil.store.engine.open import Store
    from zajil.store.people.aliases import AliasRow

alias_app = typer.Typer(name="alias", help="Addresses that lead to others.", no_args_is_help=True)


Alias = Annotated[
    str,
    typer.Argument(help="In a domain of ours; *@DOMAIN gets the mail of all addresses nobody has."),
]
Targets = Annotated[list[str], typer.Argument(help="Where its mail goes, here or elsewhere.")]


@alias_app.command("add")
def add(context: typer.Context, address: Alias, targets: Targets, as_json: AsJson = False) -> None:
    """Make an alias, or add targets to one, also while the server runs.

    Exit status: 0 done, 1 the address is taken, its domain is not ours, or it would be a loop,
    2 wrong usage.
    """
    from zajil.operations.aliases import add_alias

    with opened_store(context) as store:
        changed = add_alias(store, address, targets)
        warn_unknown(store, changed.row.targets, as_json)
    _print("added" if changed.is_new else "changed", changed.row, as_json)


@alias_app.command("set")
def set_targets(
    context: typer.Context, address: Alias, targets: Targets, as_json: AsJson = False
) -> None:
    """Let an alias lead to these targets and no others, also while the server runs.

    Exit status: 0 done, 1 there is no such alias, or it would be a loop, 2 wrong usage.
    """
    from zajil.operations.aliases import set_alias

    with opened_store(context) as store:
        row = set_alias(store, address, targets)
        warn_unknown(store, row.targets, as_json)
    _print("changed", row, as_json)


@alias_app.command("list")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """List the aliases."""
    from zajil.operations.aliases import show_aliases

    with opened_store(context) as store:
        rows = show_aliases(store)
    found = [(row.address.unicode, [target.unicode for target in row.targets]) for row in rows]
    if as_json:
        print_json({"aliases": [{"address": name, "targets": goals} for name, goals in found]})
    else:
        print_table(["ALIAS", "GOES TO"], [[name, ", ".join(goals)] for name, goals in found])


@alias_app.command("remove")
def remove(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="The alias.")],
    targets: Annotated[
        list[str] | None,
        typer.Argument(help="Only these targets; default: the whole alias.", show_default=False),
    ] = None,
) -> None:
    """Remove an alias, or some of its targets; what it leads to stays.

    Exit status: 0 done, 1 there is no such alias or target, or it is the last, 2 wrong usage.
    """
    from zajil.operations.aliases import remove_alias, remove_targets

    with opened_store(context) as store:
        if targets:
            row = remove_targets(store, address, targets)
        else:
            remove_alias(store, address)
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


def warn_unknown(store: Store, targets: Sequence[Address], as_json: bool) -> None:
    """Say on stderr which targets are nobody's yet: mail for them goes nowhere."""
    from zajil.operations.reach import find_unknown

    for one in () if as_json else find_unknown(store, targets):
        print(f"nobody here has the address {printable(one.unicode)} yet", file=sys.stderr)
