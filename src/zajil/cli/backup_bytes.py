"""``zajil backup restore-bytes``: the bytes of messages that the store has lost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from zajil.cli.backup_place import KeyFile, Place, Which, opened_backups
from zajil.cli.configured import opened_store
from zajil.cli.output import (
    AsJson,
    print_json,
    printable,
    progress_bar,
    spell_count,
    spell_size,
)
from zajil.core.errors import NOT_DONE


def restore_bytes(
    context: typer.Context,
    contents: Annotated[
        bool,
        typer.Option("--contents", help="Read all messages and compare their bytes with digests."),
    ] = False,
    snapshot: Which = None,
    place: Place = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Restore the bytes of messages whose file or object is missing or damaged.

    The server may be running. Messages keep their place, UID and flags: only their bytes are taken
    from the backup, if it has the same. What is missing in this snapshot may be in an older one.

    Exit status: 0 done, or nothing is missing; 1 some were not restored; 2 wrong usage.
    """
    from zajil.operations.backup import find_snapshot
    from zajil.store.restore.lost_bytes import find_lost
    from zajil.store.restore.lost_bytes import restore_bytes as restore

    found = find_snapshot(opened_backups(context, place, key_file), snapshot)
    with opened_store(context) as store:
        with progress_bar("checking the messages", quiet=as_json) as progress:
            lost = find_lost(store, contents=contents, progress=progress)
        with progress_bar("restoring the bytes", quiet=as_json) as progress:
            done = restore(store, found, lost, progress)
    if as_json:
        print_json({"snapshot": found.name, "lost": len(lost)} | asdict(done))
    elif not lost:
        print("no message lacks its bytes")
    else:
        restored = f"{spell_count(done.messages, 'message')}, {spell_size(done.bytes)}"
        print(printable(f"restored the bytes of {restored} from snapshot {found.name}"))
        for sentence in done.left:
            print(printable(f"not restored: {sentence}"))
    raise typer.Exit(NOT_DONE if done.left else 0)
