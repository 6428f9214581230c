"""``zajil store``: the database and the files of the server."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.output import AsJson, print_json, printable, progress_bar
from zajil.cli.upgrade import run
from zajil.core.errors import NOT_DONE

store_app = typer.Typer(
    name="store", help="The database and the files of the server.", no_args_is_help=True
)


@store_app.command("create")
def create(context: typer.Context, as_json: AsJson = False) -> None:
    """Create an empty store as configured. An existing store is not changed.

    Only this command and `zajil setup` create a store.

    Exit status: 0 done, 1 a store exists, or it cannot be created, 2 wrong usage.
    """
    from zajil.operations.store import make_store

    configuration = read_configuration(context)
    make_store(configuration)
    if as_json:
        print_json({"data_dir": str(configuration.server.data_dir)})
    else:
        print(
            "created an empty store; go on with `zajil domain add` and `zajil account add --admin`"
        )


store_app.command("upgrade", hidden=True)(run)


@store_app.command("check")
def check(
    context: typer.Context,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Repair what can be repaired without loss: wrong counts and sizes, orphans.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the store: missing content, wrong counts, orphans.

    It reads the whole database, and checks that the file of each large message exists, without
    reading it. The server may be running. With --repair, repaired damage is listed first.

    Exit status: 0 no damage, 1 damage was found, or the store cannot be read, 2 wrong usage.
    """
    from zajil.operations.store import check_store, describe_store

    configuration = read_configuration(context)
    with opened_store(context) as store:
        facts = describe_store(store, configuration)
        with progress_bar("checking the store", quiet=as_json) as progress:
            found, left = check_store(store, configuration, repairs=repair, progress=progress)
    mended = [one for one in found if one not in left]
    if as_json:
        findings = [asdict(one) for one in left]
        print_json(
            {**facts, "ok": not left, "findings": findings, "repaired": [asdict(m) for m in mended]}
        )
    else:
        for name, value in facts.items():
            print(f"{name.replace('_', ' '):<16}{value}")
        for one in mended:
            print(printable(f"repaired: {one.what}: {one.reason}"))
        for one in left:
            print(printable(f"{one.what}: {one.reason} ({one.kind}); {one.advice}"))
        print(_verdict({one.kind for one in left}))
    raise typer.Exit(NOT_DONE if left else 0)


def _verdict(kinds: set[str]) -> str:
    if not kinds:
        return "the store is not damaged"
    return (
        "nothing is damaged, but space is short"
        if kinds == {"no-space"}
        else "the store is damaged"
    )


@store_app.command("reindex")
def reindex(context: typer.Context, as_json: AsJson = False) -> None:
    """Rebuild the summaries of all messages and the index that searches use.

    The server writes both by itself. Run this command after a message with missing content was
    restored, or if the release notes say so. The server may be running.

    Exit status: 0 done, 1 the store cannot be read or written, 2 wrong usage.
    """
    from zajil.operations.store import reindex_store

    with (
        opened_store(context) as store,
        progress_bar("indexing the messages", quiet=as_json) as progress,
    ):
        count = reindex_store(store, progress)
    if as_json:
        print_json({"messages": count})
    else:
        print(f"indexed {count} messages")


@store_app.command("sweep")
def sweep(context: typer.Context, as_json: AsJson = False) -> None:
    """Remove files of large messages that were left behind by crashes.

    Exit status: 0 done, 2 wrong usage.
    """
    with opened_store(context) as store:
        removed = store.sweep()
    if as_json:
        print_json({"removed": removed})
    else:
        print(f"removed {removed} files")
