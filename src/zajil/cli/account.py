"""``zajil account``: create, suspend and remove accounts, and set their passwords."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from zajil.cli import account_change, account_move, account_person, account_show
from zajil.cli.account_lists import add_csv
from zajil.cli.app_password import app_password_app
from zajil.cli.catalogue import forget_missing_account, keeping_track
from zajil.cli.configured import open_operations
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, Who, print_json, printable

account_app = typer.Typer(name="account", help="Accounts of this server.", no_args_is_help=True)
account_app.add_typer(app_password_app)
account_app.command("list")(account_show.show)
account_app.command("show")(account_show.show_one)
account_app.command("rename")(account_change.rename)
account_app.command("set")(account_change.set_profile)
account_app.command("admin")(account_change.set_admin)
account_app.command("forward")(account_change.forward)
account_app.command("delegate")(account_change.delegate)
account_app.command("release")(account_change.release)
account_app.command("move")(account_move.move)
account_app.command("export")(account_person.export)
account_app.command("erase")(account_person.erase)

PasswordFile = Annotated[
    Path | None,
    typer.Option(
        help="File whose first line is the password; - reads standard input. "
        "Default: a password is generated and printed.",
    ),
]


@account_app.command("add")
def add(
    context: typer.Context,
    address: Annotated[
        str | None, typer.Argument(help="Address of the account, in a local domain.")
    ] = None,
    login: Annotated[
        str | None,
        typer.Option(help="Login name, in ASCII. Default: derived from the address."),
    ] = None,
    name: Annotated[str, typer.Option(help="Display name, shown in From.")] = "",
    admin: Annotated[
        bool, typer.Option("--admin", help="Make the account an administrator.")
    ] = False,
    password_file: PasswordFile = None,
    from_csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Create the accounts of a CSV file; - reads standard input. Its first line names "
            "the columns: address, name, login, quota, password.",
        ),
    ] = None,
    passwords_to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="New file for generated passwords, for --from-csv. Only its owner can read it.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="For --from-csv: check every line, change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create an account with its mailboxes, or many with --from-csv. The server may be running.

    With --from-csv, a line that cannot be used is listed with its number and the others are
    created. Accounts that exist are left as they are, so that the command can be run again.

    Exit status: 0 done, 1 the address exists, its domain is not local, or lines of the file were
    left out, 2 wrong usage.
    """
    from zajil.core.address import parse_address
    from zajil.operations.accounts import add_account

    if from_csv is not None:
        if address is not None or login or name or admin or password_file is not None:
            raise WrongUsage("--from-csv takes addresses, names and passwords from the file")
        add_csv(context, from_csv, passwords_to, dry_run, as_json)
        return
    if address is None or passwords_to is not None or dry_run:
        raise WrongUsage("give an ADDRESS, or --from-csv FILE")

    parsed = parse_address(address)
    password = read_password(password_file)
    with open_operations(context) as operations:
        added = operations.run(
            add_account, parsed, login=login, password=password, display_name=name, admin=admin
        )
    if as_json:
        generated = {} if added.password is None else {"password": added.password}
        print_json({"address": added.address.unicode, "login": added.login, **generated})
        return
    print(f"added {added.address.unicode}, login {added.login}")
    if added.password is not None:
        print(f"password: {added.password}")


@account_app.command("password")
def password(
    context: typer.Context, who: Who, password_file: PasswordFile = None, as_json: AsJson = False
) -> None:
    """Set the password of an account. Its web sessions end.

    Exit status: 0 done, 1 no such account, 2 wrong usage.
    """
    from zajil.operations.accounts import change_password

    given = read_password(password_file)
    with open_operations(context) as operations:
        generated = operations.run(change_password, who, given)
    if as_json:
        print_json({"password": generated} if generated is not None else {})
    elif generated is not None:
        print(f"password: {generated}")
    else:
        print("changed")


@account_app.command("reset-second-factors")
def reset_second_factors(context: typer.Context, who: Who) -> None:
    """Remove the authenticator app, passkeys and recovery codes of an account.

    For an owner who lost them: afterwards the password alone opens the web pages, and mail programs
    again. Exit status: 0 done, 1 no such account, or it has no second factor, 2 wrong usage.
    """
    from zajil.operations.second_factors import reset_second_factors as reset

    with open_operations(context) as operations:
        row = operations.run(reset, who)
    print(f"removed the second factors of {row.login}")


@account_app.command("unlink")
def unlink(
    context: typer.Context,
    who: Who,
    source: Annotated[
        str, typer.Argument(help="ldap, or the issuer; `zajil account show` names them.")
    ],
) -> None:
    """Remove the link of an account with a directory or an OpenID provider.

    An account whose password was in the directory has none afterwards: set one with `zajil account
    password`. Exit status: 0 done, 1 no such account or link, 2 wrong usage.
    """
    from zajil.operations.unlink import unlink_account

    with open_operations(context) as operations:
        row = operations.run(unlink_account, who, source)
    print(f"{row.login} is no longer linked with {source}")


@account_app.command("suspend")
def suspend(context: typer.Context, who: Who) -> None:
    """Suspend an account: it cannot log in, and mail for it is deferred.

    Exit status: 0 done, 1 no such account, 2 wrong usage.
    """
    from zajil.operations.accounts import suspend_account

    with open_operations(context) as operations:
        row = operations.run(suspend_account, who)
    print(f"suspended {row.login}")


@account_app.command("resume")
def resume(context: typer.Context, who: Who) -> None:
    """Resume a suspended account.

    Exit status: 0 done, 1 no such account, 2 wrong usage.
    """
    from zajil.operations.accounts import resume_account

    with open_operations(context) as operations:
        row = operations.run(resume_account, who)
    print(f"resumed {row.login}")


@account_app.command("remove")
def remove(
    context: typer.Context,
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove an account and all its mail. This cannot be undone.

    Exit status: 0 done, 1 no such account, or it is the only target of an alias, 2 wrong usage.
    """
    from zajil.operations.accounts import find_account, remove_account
    from zajil.store.people.accounts import NoSuchAccount

    with open_operations(context) as operations:
        try:
            row = operations.read(lambda conn: find_account(conn, who))
        except NoSuchAccount:
            if not forget_missing_account(context, who):
                raise
            print(f"removed {printable(who)} from the catalogue: its shard does not have it")
            return
        if not yes:
            if not sys.stdin.isatty():
                raise WrongUsage("this removes all mail of the account; confirm with --yes")
            typer.confirm(f"Remove {row.address.unicode} and all its mail?", abort=True)
        with keeping_track(context, row):
            operations.run(remove_account, row.login)
    print(f"removed {row.login}")


def read_password(file: Path | None, what: str = "the password") -> str | None:
    """Return the first line of a file or of standard input; ``None``: no file was given.

    Args:
        file: ``-``: standard input.
        what: that line is, for the error.

    Raises:
        WrongUsage: the file cannot be read, or its first line is empty.
    """
    if file is None:
        return None
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise WrongUsage(f"cannot read {what} from {file}: {reason}") from None
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise WrongUsage(f"cannot read {what} from {file}: its first line is empty")
    return line
