"""``zajil upgrade``: the store of another version, tried, upgraded, and taken back."""

from __future__ import annotations

import typer

from zajil.cli.configured import read_configuration
from zajil.cli.output import AsJson, print_json, progress_bar

upgrade_app = typer.Typer(
    name="upgrade", help="Upgrade the store to a new version, or back.", no_args_is_help=True
)


@upgrade_app.command("run")
def run(context: typer.Context, as_json: AsJson = False) -> None:
    """Upgrade the tables of the store after a new version of Zajil was installed.

    Stop the server first. A SQLite database is copied to the folder before-upgrade in
    server.data_dir before anything is changed; of a PostgreSQL database make a dump yourself.

    Exit status: 0 done or nothing to do, 1 failed (the server is running, or no space for the
    copy), 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.upgrade import bring_up_to_date

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
            print(f"copy of the old store: {done.copy} (remove it when you no longer need it)")


@upgrade_app.command("undo")
def undo(context: typer.Context, as_json: AsJson = False) -> None:
    """Return the store to the schema before the last upgrade. Mail received since stays.

    Stop the server first, run this command of the newer version, then install the older version:
    the newer one upgrades the store again when it starts. A SQLite database is copied first, as
    before an upgrade.

    Exit status: 0 done, 1 failed (there is no upgrade that can be undone, the server is running,
    or no space for the copy), 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.upgrade import undo_last_upgrade

    configuration = read_configuration(context)
    with progress_bar("copying the store", quiet=as_json) as progress:
        done = undo_last_upgrade(configuration, SystemClock(), progress)
    if as_json:
        copy = str(done.copy) if done.copy else None
        print_json({"from": done.needed, "to": done.found, "copy": copy})
        return
    print(f"returned the store from schema {done.needed} to {done.found}")
    if done.copy is not None:
        print(f"copy of the newer store: {done.copy} (remove it when you no longer need it)")
    print("now install the version that you had before; this version would upgrade it again")
