"""``zajil setup``: set up a new server in one step."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.account import PasswordFile, read_password
from zajil.cli.dns import print_records
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json
from zajil.config.places import CONFIGURATION_FOLDER, DATA_FOLDER, USER, is_system_package

if TYPE_CHECKING:
    from zajil.operations.setup import SetupPlan, SetupResult


def setup(
    domain: Annotated[str, typer.Argument(help="Your mail domain: example.org, زاجل.مصر.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            help="Folder for configuration, keys and mail. Default, if Zajil was installed by the "
            f"package of the system: {CONFIGURATION_FOLDER}, and {DATA_FOLDER} for mail.",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder for mail. Default: data in --dir.")
    ] = None,
    hostname: Annotated[
        str | None, typer.Option(help="Host name of the server. Default: mail. before the domain.")
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option(help="Address of the first account. Default: admin@ the domain."),
    ] = None,
    login: Annotated[
        str | None,
        typer.Option(help="Login name of the first account. Default: derived from the address."),
    ] = None,
    password_file: PasswordFile = None,
    user: Annotated[
        str | None,
        typer.Option(
            help="System user to run as; required if the server is started as root. Default, with "
            f"the package of the system: {USER}."
        ),
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="URL of a PostgreSQL database. Default: SQLite in --dir.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set up a server: configuration, certificate, store, domain, first account. Do not start it.

    Exit status: 0 done, 1 the folder has a server or cannot be written, 2 wrong usage.
    """
    from zajil.net.system import SystemClock, system_random
    from zajil.operations.setup import SetupPlan, set_up

    if folder is None:
        if not is_system_package():
            raise WrongUsage(
                "setup needs --dir FOLDER, the folder for configuration, keys and mail"
            )
        folder, data_dir = CONFIGURATION_FOLDER, data_dir or DATA_FOLDER
        user = user or (USER if os.geteuid() == 0 else None)
    plan = SetupPlan(
        domain=domain,
        folder=folder,
        data_dir=data_dir,
        hostname=hostname,
        admin=admin,
        login=login,
        password=read_password(password_file),
        user=user,
        store_url=database,
    )
    result = set_up(plan, SystemClock(), system_random)
    if as_json:
        print_json(_result_to_dict(result))
    else:
        _print_result(plan, result)


def _result_to_dict(result: SetupResult) -> dict[str, Any]:
    account = result.account
    generated = {} if account.password is None else {"password": account.password}
    return {
        "config": str(result.configuration),
        "ascii_domain": result.domain,
        "account": {"address": account.address.unicode, "login": account.login, **generated},
        "records": [asdict(record) for record in result.records],
    }


def _print_result(plan: SetupPlan, result: SetupResult) -> None:
    account = result.account
    print(f"Your server is in {plan.folder}.\n")
    print(f"First account  {account.address.unicode}, an administrator; it also gets the mail of")
    print("               postmaster@ and abuse@.")
    print(f"Login name     {account.login}")
    if account.password is not None:
        print(f"Password       {account.password}   (shown only now)")
    if plan.user is None and os.geteuid() == 0:
        print("\nWarning: without --user the server runs as root; set server.user to change that.")
    print("\nPublish these records in DNS:\n")
    print_records(result.records)
    print(f"\nThen start it:  zajil serve --config {result.configuration}")
    print(
        "Its certificate is self-signed: other servers accept it, mail programs warn about it. To"
    )
    print(f"use a certificate of a public authority, see [tls] in {result.configuration}.")
