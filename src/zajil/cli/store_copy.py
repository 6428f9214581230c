"""``zajil store copy``: from SQLite to PostgreSQL."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, printable, progress_bar, spell_count

if TYPE_CHECKING:
    from zajil.store.copy.move import MovedStore


def copy(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="Address of a PostgreSQL database, as for store.url."),
    ] = None,
    url_file: Annotated[
        Path | None,
        typer.Option(
            "--url-file",
            metavar="FILE",
            help="File that contains the address: others see arguments, and a password in them.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy the store from SQLite to PostgreSQL and compare it; the old one takes no more writes.

    The server may be running. It works as usual while messages are copied, and can only be read
    while rows are copied, and afterwards: new mail is deferred until the server is restarted with
    the new store.url. Messages in files stay where they are. An interrupted copy changes nothing;
    run the command again to go on. The schema of the database must have no tables.

    Exit status: 0 done, 1 it failed, and the old store is unchanged, 2 wrong usage.
    """
    from zajil.cli.account import read_password
    from zajil.operations.store import copy_store

    if (url is None) == (url_file is None):
        raise WrongUsage("name the database: either URL or --url-file FILE")
    address = url or read_password(url_file, "the address of the database") or ""
    configuration = read_configuration(context)
    moved = copy_store(configuration, address, partial(progress_bar, quiet=as_json))
    if as_json:
        print_json(asdict(moved))
    else:
        _tell(moved)


def _tell(moved: MovedStore) -> None:
    print(
        f"copied and compared: {spell_count(moved.messages, 'message')}, "
        f"{spell_count(moved.rows, 'row')} in {moved.tables} tables"
    )
    if moved.in_files:
        print(
            f"{spell_count(moved.in_files, 'large message')} in files or S3 and not in the "
            "database: unchanged; keep the data folder"
        )
    if moved.replaced:
        print(
            f"{spell_count(moved.replaced, 'text')} had the character U+0000, which PostgreSQL "
            "cannot store: it is U+FFFD now"
        )
    print(printable(f"the store is now {moved.place}"))
    print(
        "the old one takes no more writes: set store.url to the new address, and restart the server"
    )
