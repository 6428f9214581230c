"""``zajil backup``: copies of the whole server in another place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.backup_account import restore_account
from zajil.cli.backup_place import (
    KeyFile,
    Place,
    Which,
    configured_backups,
    found_options,
    opened_backups,
)
from zajil.cli.configured import configuration_file, read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import (
    AsJson,
    print_json,
    print_table,
    printable,
    progress_bar,
    spell_size,
    spell_time,
)
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.store.backup.manifest import Manifest

backup_app = typer.Typer(
    name="backup", help="Copies of the whole server in another place.", no_args_is_help=True
)
backup_app.command("restore-account")(restore_account)


@backup_app.command("create")
def create(
    context: typer.Context, place: Place = None, key_file: KeyFile = None, as_json: AsJson = False
) -> None:
    """Make a backup: accounts, mail, queue, keys, the configuration and the files it names.

    The server may be running. What the last backup has is not written again. A backup that was
    interrupted leaves nothing that looks like one; run the command again, it goes on from there.

    Exit status: 0 done, 1 failed, or something was left out, 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.backup import create_backup

    configuration = configured_backups(context, place, key_file)
    with progress_bar("backing up", quiet=as_json) as progress:
        done = create_backup(configuration, configuration_file(context), SystemClock(), progress)
    if as_json:
        print_json({"snapshot": done.name, **_facts(done.manifest)})
    else:
        manifest = done.manifest
        print(f"snapshot {done.name}")
        print(
            f"{manifest.accounts} accounts, {manifest.messages} messages, "
            f"{spell_size(manifest.message_bytes)}; {spell_size(manifest.added_bytes)} were added "
            f"to the target in {max(0, manifest.ended_ms - manifest.begun_ms) / 1000:.1f} s"
        )
        for sentence in manifest.left_out:
            print(printable(f"left out: {sentence}"))
    raise typer.Exit(NOT_DONE if done.manifest.left_out else 0)


@backup_app.command("list")
def list_(
    context: typer.Context, place: Place = None, key_file: KeyFile = None, as_json: AsJson = False
) -> None:
    """List the snapshots, the oldest first.

    Exit status: 0 done, 1 the target cannot be read, or a snapshot is damaged, 2 wrong usage.
    """
    from zajil.store.backup.manifest import read_manifest, require_marker, snapshot_names
    from zajil.store.backup.target import DamagedBackup

    backups = opened_backups(context, place, key_file)
    require_marker(backups.target, backups.seal)
    found: list[tuple[str, Manifest | None]] = []
    for name in snapshot_names(backups.target):
        try:
            found.append((name, read_manifest(backups.target, backups.seal, name)))
        except DamagedBackup:
            found.append((name, None))
    damaged = [name for name, manifest in found if manifest is None]
    if as_json:
        rows = [
            {"snapshot": name, **({"damaged": True} if one is None else _facts(one))}
            for name, one in found
        ]
        print_json({"snapshots": rows})
    elif not found:
        print(f"{backups.target.place} contains no snapshot yet")
    else:
        print_table(
            ["SNAPSHOT", "TIME", "ACCOUNTS", "MESSAGES", "SIZE", "ADDED", "NOTES"],
            [_line(name, manifest) for name, manifest in found],
        )
    raise typer.Exit(NOT_DONE if damaged else 0)


@backup_app.command("restore")
def restore(
    context: typer.Context,
    snapshot: Which = None,
    queue: Annotated[
        str,
        typer.Option(
            "--queue",
            metavar="hold|keep",
            help="What becomes of mail that waited for delivery. hold: it is held until you decide "
            "(`zajil queue release`, `zajil queue delete`), because it may have been sent after "
            "the backup. keep: it is sent.",
        ),
    ] = "hold",
    place: Place = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Restore everything into an empty data folder, or an empty schema of PostgreSQL.

    The database may be another kind than that of the backup. An existing store is not changed: move
    the data folder away first. A restore that was interrupted leaves no store; run it again.
    `zajil backup files` restores the configuration.

    Exit status: 0 done, 1 failed, or messages are missing in the backup, 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.backup import restore_backup

    if queue not in ("hold", "keep"):
        raise WrongUsage(f"--queue: {queue!r} is neither hold nor keep")
    configuration = configured_backups(context, place, key_file)
    with progress_bar("restoring", quiet=as_json) as progress:
        done = restore_backup(
            configuration, snapshot, SystemClock(), progress, holds_queue=queue == "hold"
        )
    if as_json:
        facts = {"held": done.held, "missing": done.missing, **_facts(done.manifest)}
        print_json({"snapshot": done.name, **facts})
    else:
        manifest = done.manifest
        print(f"restored snapshot {done.name}, the server of {spell_time(manifest.taken_ms)}:")
        print(
            f"{manifest.accounts} accounts, {manifest.messages} messages, "
            f"{spell_size(manifest.message_bytes)}"
        )
        if done.held:
            print(
                "held in the queue, because it may have been sent after the backup: mail to "
                f"{done.held} recipients (`zajil queue list --state held`)"
            )
        for sentence in manifest.left_out:
            print(printable(f"missing in the backup: {sentence}"))
        print("next: `zajil store check`, then start the server")
    raise typer.Exit(NOT_DONE if done.missing else 0)


@backup_app.command("files")
def files(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Where to write them: /etc/zajil/zajil.toml is written to "
            "FOLDER/etc/zajil/zajil.toml. With / each is where it was.",
        ),
    ],
    snapshot: Which = None,
    place: Place = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the configuration of a backup, and the files that it names, below a folder.

    With --target this works without a configuration, on a new machine. Files that exist are not
    replaced.

    Exit status: 0 done, 1 the backup cannot be read, or a file exists or cannot be written,
    2 wrong usage.
    """
    from zajil.operations.backup import find_snapshot, write_files

    found = find_snapshot(opened_backups(context, place, key_file), snapshot)
    written = write_files(found, folder)
    if as_json:
        print_json(
            {
                "snapshot": found.name,
                "written": [str(one.path) for one in written if one.is_new],
                "kept": [str(one.path) for one in written if not one.is_new],
            }
        )
    else:
        for one in written:
            text = f"wrote {one.path}" if one.is_new else f"kept {one.path}: it exists"
            print(printable(text))
    raise typer.Exit(0 if all([one.is_new for one in written]) else NOT_DONE)


@backup_app.command("prune")
def prune(
    context: typer.Context,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="Number of latest snapshots to keep. Default: backup.keep."),
    ] = None,
    keep_days: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of days of which the last snapshot is kept. Default: backup.keep_days.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted; delete nothing.")
    ] = False,
    place: Place = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Delete old snapshots, and objects that no snapshot needs any more.

    Exit status: 0 done, 1 failed, or a damaged snapshot prevents it, 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.backup import prune_backups

    options = found_options(context, place, key_file)
    chosen = {"keep": keep, "keep_days": keep_days}
    options = options.model_copy(
        update={name: value for name, value in chosen.items() if value is not None}
    )
    with progress_bar("deleting objects", quiet=as_json) as progress:
        done = prune_backups(options, SystemClock(), progress, dry_run=dry_run)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "kept": list(done.kept),
                "deleted": list(done.snapshots),
                "objects": done.objects,
                "bytes": done.size,
                "unreadable": list(done.unreadable),
            }
        )
    else:
        verb = "would delete" if dry_run else "deleted"
        print(
            f"{verb} {len(done.snapshots)} snapshots, {done.objects} objects, "
            f"{spell_size(done.size)}; {len(done.kept)} snapshots are kept"
        )
        for name in done.unreadable:
            print(f"snapshot {name} is damaged: because of it no object was deleted")
    raise typer.Exit(NOT_DONE if done.unreadable else 0)


@backup_app.command("key")
def key(context: typer.Context, key_file: KeyFile = None) -> None:
    """Create the key file that backups are encrypted with.

    Keep a copy of it in another place than the server and the backups: without the key nobody can
    read them, you included.

    Exit status: 0 done, 1 it exists, or cannot be written, 2 wrong usage.
    """
    from zajil.operations.backup import make_key

    user = None
    if key_file is None:
        configuration = read_configuration(context)
        key_file, user = configuration.backup.key_file, configuration.server.user
    if key_file is None:
        raise WrongUsage(
            "backup.key_file is not set: set it in the configuration, or use --key-file"
        )
    make_key(key_file, user)
    print(printable(f"created {key_file}"))
    print(
        "Keep a copy of it in another place than the server and the backups: without this key "
        "nobody can read them."
    )


# ---- what they print ---------------------------------------------------------------------------


def _facts(manifest: Manifest) -> dict[str, Any]:
    return {
        "at": spell_time(manifest.taken_ms),
        "schema": manifest.schema,
        "program": manifest.program,
        "database": manifest.database,
        "accounts": manifest.accounts,
        "messages": manifest.messages,
        "message_bytes": manifest.message_bytes,
        "added_bytes": manifest.added_bytes,
        "seconds": round((manifest.ended_ms - manifest.begun_ms) / 1000, 1),
        "left_out": list(manifest.left_out),
    }


def _line(name: str, manifest: Manifest | None) -> list[str]:
    if manifest is None:
        return [name, "-", "-", "-", "-", "-", "damaged"]
    left = len(manifest.left_out)
    return [
        name,
        spell_time(manifest.taken_ms),
        str(manifest.accounts),
        str(manifest.messages),
        spell_size(manifest.message_bytes),
        spell_size(manifest.added_bytes),
        f"{left} left out" if left else "",
    ]
