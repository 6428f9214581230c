"""``zajil setup``: a new server in one step."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from zajil.cli.account import PasswordFile, read_password
from zajil.cli.dns import print_records
from zajil.cli.output import AsJson, print_json


def setup(
    domain: Annotated[str, typer.Argument(help="Your mail domain: example.org, زاجل.مصر.")],
    folder: Annotated[
        Path, typer.Option("--dir", help="Where configuration, keys and mail shall lie.")
    ],
    hostname: Annotated[
        str | None, typer.Option(help="The server's own name; default: mail. before the domain.")
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option(help="Address of the first account; default: admin@ the domain."),
    ] = None,
    login: Annotated[
        str | None, typer.Option(help="Its ASCII log-in name; default: made from the address.")
    ] = None,
    password_file: PasswordFile = None,
    user: Annotated[
        str | None,
        typer.Option(help="User of this machine to run as; needed when the server starts as root."),
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="URL of a PostgreSQL database; default: SQLite in --dir.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a server: configuration, certificate, store, domain, first account; nothing is started.

    Exit status: 0 done, 1 the folder holds a server or cannot be written, 2 wrong usage.
    """
    from zajil.net.system import SystemClock, system_random
    from zajil.operations.setup import SetupPlan, set_up

    plan = SetupPlan(
        domain=domain,
        folder=folder,
        hostname=hostname,
        admin=admin,
        login=login,
        password=read_password(password_file),
        user=user,
        store_url=database,
    )
    result = set_up(plan, SystemClock(), system_random)
    account = result.account
    if as_json:
        made_up = {} if account.password is None else {"password": account.password}
        print_json(
            {
                "config": str(result.configuration),
                "ascii_domain": result.domain,
                "account": {"address": account.address.unicode, "login": account.login, **made_up},
                "records": [asdict(record) for record in result.records],
            }
        )
        return
    print(f"Your server is in {folder}.\n")
    print(f"First account  {account.address.unicode}, for an admin; it also gets the mail of")
    print("               postmaster@ and abuse@.")
    print(f"Log-in name    {account.login}")
    if account.password is not None:
        print(f"Password       {account.password}   (shown only now)")
    if user is None and os.geteuid() == 0:
        print("\nWarning: without --user the server runs as root; set server.user to change that.")
    print("\nPublish these records in DNS:\n")
    print_records(result.records)
    print(f"\nThen start it:  zajil serve --config {result.configuration}")
    print("Its certificate is self-signed: other servers accept it, mail programs ask once. Put a")
    print(f"certificate of a public authority in its place: see [tls] in {result.configuration}.")
