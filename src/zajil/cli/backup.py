"""``zajil backup``: copies of the whole server in another place."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.backup_account import restore_account
from zajil.cli.backup_bytes import restore_bytes
from zajil.cli.backup_place import (
    InBackground,
    KeyFile,
    Place,
    Which,
    configured_backups,
    facts_of,
    found_options,
    lower_priority,
    opened_backups,
)
from zajil.cli.backup_restore import files, restore
from zajil.cli.configured import configuration_file, read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import (
    AsJson,
    print_json,
    print_table,
    printable,
    progress_bar,
    spell_count,
    spell_size,
    spell_time,
)
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.store.backup.manifest import Manifest

backup_app = typer.Typer(
    name="backup", help="Copies of the whole server in another place.", no_args_is_help=True
)


@backup_app.command("create")
def create(
    context: typer.Context,
    place: Place = None,
    key_file: KeyFile = None,
    background: InBackground = False,
    as_json: AsJson = False,
) -> None:
    """Make a backup: accounts, mail, queue, keys, the configuration and the files it names.

    The server may be running. What the last backup has is not written again. A backup that was
    interrupted leaves nothing that looks like one; run the command again, it goes on from there.

    Exit status: 0 done, 1 failed, or something was left out, 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.backup import create_backup

    lower_priority(wanted=background)
    configuration = configured_backups(context, place, key_file)
    with progress_bar("backing up", quiet=as_json) as progress:
        done = create_backup(configuration, configuration_file(context), SystemClock(), progress)
    if as_json:
        print_json({"snapshot": done.name, **facts_of(done.manifest)})
    else:
        manifest = done.manifest
        backup = configuration.backup
        secrecy = "not encrypted" if backup.key_file is None else "encrypted"
        print(f"snapshot {done.name} in {backup.target}, {secrecy}")
        print(
            f"{spell_count(manifest.accounts, 'account')}, "
            f"{spell_count(manifest.messages, 'message')}, "
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
            {"snapshot": name, **({"damaged": True} if one is None else facts_of(one))}
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


backup_app.command("restore")(restore)
backup_app.command("restore-account")(restore_account)
backup_app.command("restore-bytes")(restore_bytes)
backup_app.command("files")(files)


@backup_app.command("verify")
def verify(
    context: typer.Context,
    snapshot: Which = None,
    part: Annotated[
        str,
        typer.Option(
            "--part",
            metavar="NUMBER/PARTS",
            help="Read one part of all objects: 1/7 today, 2/7 tomorrow ...",
        ),
    ] = "1/1",
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Delete damaged objects, so that the next backup writes them again. Snapshots "
            "that need them stay damaged.",
        ),
    ] = False,
    place: Place = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Read all snapshots, or one, as a restore would, and say what is damaged.

    Every object is read and decoded, and each message is compared with its digest. Do this from
    time to time: a backup that was never read is none.

    Exit status: 0 nothing is damaged, 1 something is, or the target cannot be read, 2 wrong usage.
    """
    from zajil.operations.backup import verify_backups

    chosen = _part(part)
    backups = opened_backups(context, place, key_file)
    with progress_bar("verifying", quiet=as_json) as progress:
        done, removed = verify_backups(backups, snapshot, chosen, progress, repairs=repair)
    if as_json:
        print_json({**asdict(done), "ok": not done.faults, "removed": removed})
    else:
        for fault in done.faults:
            print(printable(f"snapshot {fault.snapshot}: {fault.what}"))
        print(
            f"read {spell_count(done.snapshots, 'snapshot')}, "
            f"{spell_count(done.objects, 'object')}, "
            f"{spell_count(done.messages, 'message')}, {spell_size(done.size)}: "
            + (spell_count(len(done.faults), "fault") if done.faults else "nothing is damaged")
        )
        if removed:
            print(f"deleted {spell_count(removed, 'damaged object')}; next: `zajil backup create`")
    raise typer.Exit(NOT_DONE if done.faults else 0)


def _part(text: str) -> tuple[int, int]:
    number, slash, parts = text.partition("/")
    if slash and number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts):
        return int(number), int(parts)
    raise WrongUsage(f"--part: {text!r} is not a number of a part and of parts, like 1/7")


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
    background: InBackground = False,
    as_json: AsJson = False,
) -> None:
    """Delete old snapshots, and objects that no snapshot needs any more.

    Exit status: 0 done, 1 failed, or a damaged snapshot prevents it, 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.backup import prune_backups

    lower_priority(wanted=background)
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
            f"{verb} {spell_count(len(done.snapshots), 'snapshot')}, "
            f"{spell_count(done.objects, 'object')}, {spell_size(done.size)}; "
            f"kept {spell_count(len(done.kept), 'snapshot')}"
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
