"""``zajil account``: whose mail it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from zajil.cli.account_change import forward, rename, set_admin, set_profile
from zajil.cli.account_rights import delegate, show_one, unhold
from zajil.cli.app_password import app_password_app
from zajil.cli.configured import opened_store
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, print_table, spell_size, spell_time

account_app = typer.Typer(name="account", help="The accounts of this server.", no_args_is_help=True)
account_app.add_typer(app_password_app)
account_app.command("show")(show_one)
account_app.command("rename")(rename)
account_app.command("set")(set_profile)
account_app.command("admin")(set_admin)
account_app.command("forward")(forward)
account_app.command("delegate")(delegate)
account_app.command("unhold")(unhold)

Who = Annotated[str, typer.Argument(help="Login name or address of the account.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        help="Its first line is the password; '-' reads it from stdin. "
        "Default: one is made up and printed.",
    ),
]


@account_app.command("add")
def add(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="In a domain of ours.")],
    login: Annotated[
        str | None,
        typer.Option(help="ASCII name to log in with; default: made from the address."),
    ] = None,
    name: Annotated[str, typer.Option(help="Shown before the address in From.")] = "",
    admin: Annotated[
        bool, typer.Option("--admin", help="May see and change the whole server.")
    ] = False,
    password_file: PasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Make an account with its mailboxes, also while the server runs.

    Exit status: 0 done, 1 the address is taken or its domain is not ours, 2 wrong usage.
    """
    from zajil.core.address import parse_address
    from zajil.net.system import SystemClock, system_random
    from zajil.operations.accounts import add_account

    parsed = parse_address(address)
    password = read_password(password_file)
    with opened_store(context) as store:
        added = add_account(
            store,
            parsed,
            login=login,
            password=password,
            display_name=name,
            admin=admin,
            now_ms=SystemClock().now_ms(),
            random=system_random,
        )
    if as_json:
        made_up = {} if added.password is None else {"password": added.password}
        print_json({"address": added.address.unicode, "login": added.login, **made_up})
        return
    print(f"added {added.address.unicode}, login {added.login}")
    if added.password is not None:
        print(f"password: {added.password}")


@account_app.command("list")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """List the accounts."""
    from zajil.cli.account_use import account_to_dict, spell_login
    from zajil.operations.accounts import show_accounts

    with opened_store(context) as store:
        found = show_accounts(store)
    if as_json:
        accounts = [account_to_dict(one.row, one.mail, one.last_login) for one in found]
        print_json({"accounts": accounts})
        return
    print_table(
        ["LOGIN", "ADDRESS", "ROLE", "STATE", "SINCE", "MESSAGES", "SIZE", "LAST LOGIN"],
        [
            [
                one.row.login,
                one.row.address.unicode,
                "admin" if one.row.admin else "-",
                "active" if one.row.active else "suspended",
                spell_time(one.row.created_ms),
                str(one.mail.messages),
                spell_size(one.mail.size),
                spell_login(one.last_login),
            ]
            for one in found
        ],
    )


@account_app.command("password")
def password(
    context: typer.Context, who: Who, password_file: PasswordFile = None, as_json: AsJson = False
) -> None:
    """Change a password; browsers that are logged in have to log in again.

    Exit status: 0 done, 1 there is no such account, 2 wrong usage.
    """
    from zajil.net.system import system_random
    from zajil.operations.accounts import change_password

    given = read_password(password_file)
    with opened_store(context) as store:
        made_up = change_password(store, who, given, system_random)
    if as_json:
        print_json({"password": made_up} if made_up is not None else {})
    elif made_up is not None:
        print(f"password: {made_up}")
    else:
        print("changed")


@account_app.command("suspend")
def suspend(context: typer.Context, who: Who) -> None:
    """Let nobody log in; mail for it is deferred by its senders, none is lost.

    Exit status: 0 done, 1 there is no such account, 2 wrong usage.
    """
    from zajil.operations.accounts import suspend_account

    with opened_store(context) as store:
        row = suspend_account(store, who)
    print(f"suspended {row.login}")


@account_app.command("resume")
def resume(context: typer.Context, who: Who) -> None:
    """Undo `zajil account suspend`.

    Exit status: 0 done, 1 there is no such account, 2 wrong usage.
    """
    from zajil.operations.accounts import resume_account

    with opened_store(context) as store:
        row = resume_account(store, who)
    print(f"resumed {row.login}")


@account_app.command("remove")
def remove(
    context: typer.Context,
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove an account with all its mail, for good.

    Exit status: 0 done, 1 there is no such account or an alias goes to it alone, 2 wrong usage.
    """
    from zajil.operations.accounts import find_account, remove_account

    with opened_store(context) as store:
        row = find_account(store, who)
        if not yes:
            if not sys.stdin.isatty():
                raise WrongUsage("all mail of the account would be gone for good; say --yes")
            typer.confirm(f"Remove {row.address.unicode} and all its mail?", abort=True)
        remove_account(store, row.login)
    print(f"removed {row.login}")


def read_password(file: Path | None) -> str | None:
    """Give the first line of a file or of stdin; ``None``: none was named.

    Raises:
        WrongUsage: it cannot be read.
    """
    if file is None:
        return None
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise WrongUsage(f"cannot read the password from {file}: {reason}") from None
    return text.split("\n", 1)[0].rstrip("\r")
