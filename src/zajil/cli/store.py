"""``zajil store``: where mail lies."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.output import AsJson, print_json, printable, progress_bar
from zajil.core.errors import NOT_DONE

store_app = typer.Typer(
    name="store", help="The database and the files of the server.", no_args_is_help=True
)


@store_app.command("create")
def create(context: typer.Context, as_json: AsJson = False) -> None:
    """Make an empty store where the configuration says; what is there already is not touched.

    `zajil setup` makes one too. Nothing else does: a store that is missing is a fault.

    Exit status: 0 done, 1 there is one already or it cannot be made, 2 wrong usage.
    """
    from zajil.operations.store import make_store

    configuration = read_configuration(context)
    make_store(configuration)
    if as_json:
        print_json({"data_dir": str(configuration.server.data_dir)})
    else:
        print("made an empty store; zajil domain add and zajil account add --admin fill it")


@store_app.command("upgrade")
def upgrade(context: typer.Context, as_json: AsJson = False) -> None:
    """Bring the tables of the store up to date, after a new version of Zajil was installed.

    Stop the server first. A SQLite database is copied before anything is changed, and the copy
    stays in the folder before-upgrade of server.data_dir; dump a PostgreSQL database yourself.

    Exit status: 0 done or nothing to do, 1 it could not be done (a server runs, no space for the
    copy), 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.store import bring_up_to_date

    configuration = read_configuration(context)
    with progress_bar("copying the store", quiet=as_json) as progress:
        done = bring_up_to_date(configuration, SystemClock(), progress)
    if as_json:
        found = {"found": done.found, "needed": done.needed} if done else {}
        print_json(
            {
                "upgraded": done is not None,
                **found,
                "copy": str(done.copy) if done and done.copy else None,
            }
        )
    elif done is None:
        print("the store is up to date")
    else:
        print(f"upgraded the store from schema {done.found} to {done.needed}")
        if done.copy is not None:
            print(f"the store as it was: {done.copy} (remove it when you no longer need it)")


@store_app.command("check")
def check(
    context: typer.Context,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Mend what loses nothing: wrong counts and sizes, what has no owner."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is in the store, and find what is damaged: bytes that are missing, counts, orphans.

    It reads the whole database, and looks for the file of each large message, not at its bytes.
    The server may run meanwhile. With --repair, what is left is listed after what was mended.

    Exit status: 0 all is right, 1 something is damaged or the store cannot be read, 2 wrong usage.
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
            print(printable(f"mended: {one.what}: {one.reason}"))
        for one in left:
            print(printable(f"{one.what}: {one.reason} ({one.kind}); {one.advice}"))
        print(_verdict({one.kind for one in left}))
    raise typer.Exit(NOT_DONE if left else 0)


def _verdict(kinds: set[str]) -> str:
    if not kinds:
        return "the store is right"
    return (
        "nothing is damaged, but space is short"
        if kinds == {"no-space"}
        else "the store is damaged"
    )


@store_app.command("reindex")
def reindex(context: typer.Context, as_json: AsJson = False) -> None:
    """Write the summaries of all messages anew: what lists and IMAP show without reading a message.

    The server writes them by itself, of new mail and after an upgrade. Run this when a message was
    restored whose bytes were missing, or when a release note asks for it. The server may run.

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
    """Remove files of large messages that crashes left without an owner."""
    with opened_store(context) as store:
        removed = store.sweep()
    if as_json:
        print_json({"removed": removed})
    else:
        print(f"removed {removed} files")
