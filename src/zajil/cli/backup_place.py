"""Where the backups are that a command means: by its options, or by the configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.configured import configuration_file, read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import spell_time

if TYPE_CHECKING:
    from zajil.config.options import Configuration
    from zajil.config.options_backup import BackupOptions
    from zajil.operations.backup import Backups
    from zajil.store.backup.manifest import Manifest

Place = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="PLACE",
        help="Folder or s3://BUCKET/PREFIX. Default: backup.target.",
        show_default=False,
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="Key of encrypted backups. Default: backup.key_file.",
        show_default=False,
    ),
]
InBackground = Annotated[
    bool,
    typer.Option("--background", help="Run with low priority, as the server does.", hidden=True),
]
Which = Annotated[
    str | None,
    typer.Option(
        "--snapshot",
        metavar="NAME",
        help="A snapshot by the beginning of its name, such as 20261130: the last that begins so. "
        "Default: the last of all.",
        show_default=False,
    ),
]


def lower_priority(*, wanted: bool) -> None:
    """Let everything else go first: mail, above all."""
    if wanted:
        os.nice(_NICE)


_NICE = 10


def configured_backups(
    context: typer.Context, place: str | None, key_file: Path | None
) -> Configuration:
    """Return the configuration, with the options of the command line in it."""
    configuration = read_configuration(context)
    options = _options(configuration.backup, place, key_file)
    return configuration.model_copy(update={"backup": options})


def _options(options: BackupOptions, place: str | None, key_file: Path | None) -> BackupOptions:
    from zajil.config.options_backup import read_place

    changes: dict[str, Any] = {}
    if place is not None:
        try:
            changes["target"] = read_place(place)
        except ValueError as error:
            raise WrongUsage(f"--target: {error}") from None
        if place != options.target:
            changes["key_file"] = None  # the key is that of the configured target
    if key_file is not None:
        changes["key_file"] = key_file
    return options.model_copy(update=changes)


def opened_backups(context: typer.Context, place: str | None, key_file: Path | None) -> Backups:
    """Return the backups that a command reads."""
    from zajil.operations.backup import open_backups

    return open_backups(found_options(context, place, key_file))


def found_options(
    context: typer.Context, place: str | None, key_file: Path | None
) -> BackupOptions:
    """Return the options of backups; with ``--target`` no configuration is needed."""
    from zajil.config.options_backup import BackupOptions

    options = BackupOptions()
    if place is None or _has_configuration(context):
        options = read_configuration(context).backup
    return _options(options, place, key_file)


def _has_configuration(context: typer.Context) -> bool:
    try:
        return configuration_file(context).exists()
    except WrongUsage:
        return False


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """Return what ``--json`` prints of a snapshot."""
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
