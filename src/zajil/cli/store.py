"""``zajil store``: where mail lies."""

from __future__ import annotations

import typer

from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.output import AsJson, print_json, progress_bar

store_app = typer.Typer(name="store", help="Where mail lies.", no_args_is_help=True)


@store_app.command("create")
def create(context: typer.Context, as_json: AsJson = False) -> None:
    """Make an empty store where the configuration says; what is there already is not touched.

    `zajil setup` makes one too. Nothing else does: a store that is missing is a fault.

    Exit status: 0 done, 1 there is one already or it cannot be made, 2 wrong usage.
    """
    from zajil.admin.store import make_store

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
    from zajil.admin.store import bring_up_to_date
    from zajil.net.system import SystemClock

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
def check(context: typer.Context, as_json: AsJson = False) -> None:
    """Open the store, and say what is in it.

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
