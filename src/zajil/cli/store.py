"""``zajil store``: where mail lies."""

from __future__ import annotations

import typer

from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.output import AsJson, print_json

store_app = typer.Typer(name="store", help="Where mail lies.", no_args_is_help=True)


@store_app.command("check")
def check(context: typer.Context, as_json: AsJson = False) -> None:
    """Open the store, bring its tables up to date, and say what is in it.

    Exit status: 0 it can be used, 1 it cannot, 2 wrong usage.
    """
    from zajil.admin.store import describe_store

    configuration = read_configuration(context)
    with opened_store(context) as store:
        facts = describe_store(store, configuration)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<16}{value}")


@store_app.command("sweep")
def sweep(context: typer.Context, as_json: AsJson = False) -> None:
    """Remove files of large messages that crashes left without an owner."""
    with opened_store(context) as store:
        removed = store.sweep()
    if as_json:
        print_json({"removed": removed})
    else:
        print(f"removed {removed} files")
