"""`zajil lab`: several mail domains on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def lab(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when everything answers.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", help="Keep everything here; default: a temporary folder, removed at the end."
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Worker processes of each domain's server.")
    ] = 2,
    accounts: Annotated[
        int, typer.Option(min=0, max=100_000, help="Add so many accounts to each domain.")
    ] = 0,
    database: Annotated[
        str | None,
        typer.Option(
            help="URL of a PostgreSQL server, or `embedded` for the one from the wheel; "
            "default: a SQLite file each."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override an option in all domains."),
    ] = None,
    send: Annotated[
        bool,
        typer.Option("--send", help="Send a letter to each domain, show its journey, and end."),
    ] = False,
    stop_on_eof: Annotated[
        int | None,
        typer.Option(help="End when this descriptor ends: its other end is gone.", hidden=True),
    ] = None,
) -> None:
    """Start several mail domains on this machine, each a real server, until Ctrl-C.

    Exit status: 0 ended in order (with --send: every letter arrived), 1 it could not be done,
    2 wrong usage.
    """
    from zajil.lab.run import LabRequest, run_lab

    request = LabRequest(
        folder=folder,
        more_accounts=accounts,
        workers=workers,
        database=database,
        overrides=overrides or (),
        as_json=as_json,
        send=send,
        stop_fd=stop_on_eof,
    )
    raise typer.Exit(run_lab(request))
