"""``zajil lab``: several mail domains on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def lab(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when all servers are ready.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", help="Folder for all data. Default: a temporary folder, removed at the end."
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Number of worker processes of each server.")
    ] = 2,
    accounts: Annotated[
        int, typer.Option(min=0, max=100_000, help="Number of accounts to add to each domain.")
    ] = 0,
    database: Annotated[
        str | None,
        typer.Option(
            help="URL of a PostgreSQL server, or `embedded` for the one that is installed with "
            "the tests. Default: SQLite."
        ),
    ] = None,
    nodes: Annotated[
        int,
        typer.Option(
            min=1,
            max=5,
            help="Number of servers of the first domain, behind a TCP balancer. More than one "
            "need --database.",
        ),
    ] = 1,
    objects: Annotated[
        str | None,
        typer.Option(
            "--s3",
            help="Keep large messages in S3: https://KEY:SECRET@HOST/BUCKET, s3://BUCKET, or "
            "`embedded` for the S3 server that is installed with the tests.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a configuration option of all servers; repeatable.",
        ),
    ] = None,
    send: Annotated[
        bool,
        typer.Option("--send", help="Send a message to each domain, show its journey, and end."),
    ] = False,
    stop_on_eof: Annotated[
        int | None,
        typer.Option(help="End when this descriptor is closed at its other end.", hidden=True),
    ] = None,
) -> None:
    """Start several mail domains on this machine, each a real server, until Ctrl-C.

    Exit status: 0 ended (with --send: every message arrived), 1 failed, 2 wrong usage.
    """
    from zajil.lab.run import LabRequest, run_lab

    request = LabRequest(
        folder=folder,
        more_accounts=accounts,
        workers=workers,
        database=database,
        nodes=nodes,
        objects=objects,
        overrides=overrides or (),
        as_json=as_json,
        send=send,
        stop_fd=stop_on_eof,
    )
    raise typer.Exit(run_lab(request))
