"""``zajil backup restore`` and ``zajil backup files``: what was backed up comes back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.backup_place import (
    KeyFile,
    Place,
    Which,
    configured_backups,
    facts_of,
    opened_backups,
)
from zajil.cli.errors import WrongUsage
from zajil.cli.output import (
    AsJson,
    print_json,
    printable,
    progress_bar,
    spell_count,
    spell_size,
    spell_time,
)
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.store.backup.restore import RestoredStore


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
    new_uidvalidity: Annotated[
        bool,
        typer.Option(
            "--new-uidvalidity",
            help="Let mail programs download everything again. Without it they download nothing "
            "twice, but some do not notice a message that was deleted or moved after the backup "
            "and is back.",
        ),
    ] = False,
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
            configuration,
            snapshot,
            SystemClock(),
            progress,
            holds_queue=queue == "hold",
            renews_validity=new_uidvalidity,
        )
    if as_json:
        facts = {"held": done.held, "missing": done.missing, **facts_of(done.manifest)}
        print_json({"snapshot": done.name, **facts})
    else:
        _print_restored(done)
    raise typer.Exit(NOT_DONE if done.missing else 0)


def _print_restored(done: RestoredStore) -> None:
    manifest = done.manifest
    print(f"restored snapshot {done.name}, the server of {spell_time(manifest.taken_ms)}:")
    print(
        f"{spell_count(manifest.accounts, 'account')}, "
        f"{spell_count(manifest.messages, 'message')}, {spell_size(manifest.message_bytes)}"
    )
    if done.held:
        print(
            "held in the queue, because it may have been sent after the backup: mail to "
            f"{spell_count(done.held, 'recipient')} (`zajil queue list --state held`)"
        )
    for sentence in manifest.left_out:
        print(printable(f"missing in the backup: {sentence}"))
    print("next: `zajil store check`, then start the server")


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
    from zajil.operations.backup import find_snapshot
    from zajil.operations.backup_files import write_files

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
