"""``zajil upgrade``: the store of another version, tried, upgraded, and taken back."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import Root, configuration_file, read_configuration
from zajil.cli.output import AsJson, print_json, printable, progress_bar, spell_size
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.operations.upgrade import Rehearsal
    from zajil.store.engine.rehearsal import RehearsedMigration

upgrade_app = typer.Typer(
    name="upgrade", help="Upgrade the store to a new version, or back.", no_args_is_help=True
)


@upgrade_app.command("rehearse")
def rehearse(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="FOLDER",
            help="Folder for the copy of a SQLite database. Default: server.data_dir.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try the upgrade of the store on a copy, and print what it does. The server may be running.

    Prints what each migration does, its duration and the rows it changes, then the space and the
    time that the upgrade needs, damage in the upgraded copy, and configuration options that were
    renamed or removed. Nothing is changed; the copy is removed at the end. The copy of a PostgreSQL
    database is a schema beside it, which requires the privilege CREATE on the database.

    Exit status: 0 the upgrade works, 1 it does not, the copy is damaged or cannot be made, or the
    configuration has to be changed, 2 wrong usage.
    """
    from zajil.config.load import load_older_configuration
    from zajil.net.system import SystemClock
    from zajil.operations.upgrade import rehearse_upgrade

    root: Root = context.find_root().obj
    file = configuration_file(context)
    configuration, changes = load_older_configuration(file, root.overrides)
    done = rehearse_upgrade(
        configuration, SystemClock(), folder, partial(progress_bar, quiet=as_json)
    )
    sentences = [str(one) for one in changes]
    if as_json:
        print_json({**asdict(done), "ok": not (done.damage or changes), "options": sentences})
    else:
        _print_rehearsal(done, sentences)
    raise typer.Exit(NOT_DONE if done.damage or changes else 0)


def _print_rehearsal(done: Rehearsal, options: list[str]) -> None:
    if not done.migrations and done.found > done.needed:
        print(f"the store has schema {done.found} of a newer version: nothing to upgrade")
    elif not done.migrations:
        print(f"the store has schema {done.found}, which this version needs: nothing to upgrade")
    for one in done.migrations:
        when = "" if one.is_expansion else "; runs when no node has an older version"
        print(
            f"{one.schema}  {one.seconds:6.1f} s  {_changes(one)}{when if done.is_rolling else ''}"
        )
        print(f"      {one.what}")
    if done.migrations:
        print(
            f"upgraded a copy of the store from schema {done.found} to {done.needed}; the store "
            "is unchanged"
        )
        print(
            f"the upgrade takes about {max(1, round(done.seconds))} s and needs "
            f"{spell_size(done.space)} of free space (database: {spell_size(done.size)})"
        )
        if not all(one.can_undo for one in done.migrations):
            way = "the copy that it makes, or a backup" if done.makes_copy else "a backup"
            print(f"it cannot be undone: the way back is {way}")
    for damage in done.damage:
        print(printable(f"damaged: {damage.what}: {damage.reason}"))
    if not done.damage:
        print("the copy is not damaged")
    for sentence in options:
        print(printable(f"change the configuration first: {sentence}"))


def _changes(one: RehearsedMigration) -> str:
    """Return what a migration did to tables and rows, in one line."""
    parts = [f"new {name}" for name in one.added]
    parts += [f"{name} removed" for name in one.removed]
    for name, count in one.rows.items():
        parts.append(f"{count} {'row' if count == 1 else 'rows'} of {name} changed")
    return ", ".join(parts) or "nothing to change"


@upgrade_app.command("run")
def run(context: typer.Context, as_json: AsJson = False) -> None:
    """Upgrade the tables of the store after a new version of Zajil was installed.

    With SQLite, stop the server first. The database is copied to the folder before-upgrade in
    server.data_dir before anything is changed; of a PostgreSQL database create a backup yourself.
    With PostgreSQL, nodes of the version before may be running: what they cannot work with waits
    until none of them does, and is done by the next start of a server or by this command.

    Exit status: 0 done or nothing to do, 1 failed (the server is running, or no space for the
    copy) or something waits for older nodes, 2 wrong usage.
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
                "upgraded": done is not None and done.needed != done.found,
                **found,
                "copy": str(done.copy) if done and done.copy else None,
                "waits_for": done.waits if done else "",
            }
        )
    elif done is None:
        print("the store is up to date")
    elif done.needed == done.found:
        print(f"the store keeps schema {done.found} for now")
    else:
        print(f"upgraded the store from schema {done.found} to {done.needed}")
        if done.copy is not None:
            print(f"copy of the old store: {done.copy} (remove it when you no longer need it)")
    if done is not None and done.waits:
        if not as_json:
            print(f"the rest waits until these nodes are upgraded or stopped: {done.waits}")
        raise typer.Exit(NOT_DONE)


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
