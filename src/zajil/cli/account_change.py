"""``zajil account rename``, ``set``, ``admin``, ``forward``: changes of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.account_use import spell_forwarding
from zajil.cli.alias import warn_unknown
from zajil.cli.configured import opened_store
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, printable

if TYPE_CHECKING:
    from zajil.store.people.accounts import AccountRow

Who = Annotated[str, typer.Argument(help="Login name or address of the account.")]


def rename(
    context: typer.Context,
    who: Who,
    address: Annotated[
        str | None, typer.Argument(help="Its new address; default: it stays.", show_default=False)
    ] = None,
    login: Annotated[
        str | None, typer.Option(help="Its new login name; default: it stays.")
    ] = None,
    keep_alias: Annotated[
        bool, typer.Option("--keep-alias", help="Make the old address an alias of the account.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Give an account another address or login name; its mail and its rights follow.

    Passwords and app passwords stay; programs must be told the new name. Without --keep-alias mail
    to the old address is refused.

    Exit status: 0 done, 1 there is no such account or the new name is taken, 2 wrong usage.
    """
    from zajil.core.address import parse_address
    from zajil.operations.account_changes import rename as rename_account

    if address is None and login is None:
        raise WrongUsage("say the new address, or --login, or both")
    if keep_alias and address is None:
        raise WrongUsage("--keep-alias goes with a new address")
    new = None if address is None else parse_address(address)
    with opened_store(context) as store:
        row = rename_account(store, who, address=new, login=login, keeps_alias=keep_alias)
    _print(row, f"renamed: {row.address.unicode}, login {row.login}", as_json)


def set_profile(
    context: typer.Context,
    who: Who,
    name: Annotated[
        str | None, typer.Option(help="Shown before the address in From; may be empty.")
    ] = None,
    admin: Annotated[
        bool | None,
        typer.Option("--admin/--no-admin", help="May see and change the whole server, or not."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change the display name or the role of an account.

    Exit status: 0 done, 1 there is no such account or it is the last administrator, 2 wrong usage.
    """
    if name is None and admin is None:
        raise WrongUsage("say --name, --admin or --no-admin")
    _change(context, who, name, admin, as_json)


def set_admin(
    context: typer.Context,
    who: Who,
    switch: Annotated[str, typer.Argument(metavar="on|off")],
    as_json: AsJson = False,
) -> None:
    """Make an account an administrator, or no longer.

    Exit status: 0 done, 1 there is no such account or it is the last administrator, 2 wrong usage.
    """
    if switch not in ("on", "off"):
        raise WrongUsage(f"{switch!r} is neither on nor off")
    _change(context, who, None, switch == "on", as_json)


def forward(
    context: typer.Context,
    who: Who,
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="Where its mail goes, here or elsewhere; repeatable.", show_default=False
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Whether its mail stays here, too.")
    ] = True,
    off: Annotated[bool, typer.Option("--off", help="Forward its mail no more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forward the mail of an account, and keep a copy or not.

    What is said replaces the forwarding that was there. What goes to another server keeps its
    sender and is sealed, as with an alias; the sender is not told where it goes.

    Exit status: 0 done, 1 there is no such account, or it would be a loop, 2 wrong usage.
    """
    from zajil.operations.account_changes import forward as forward_account

    if bool(to) == off:
        raise WrongUsage("say --to ADDRESS, or --off")
    with opened_store(context) as store:
        row = forward_account(store, who, to or (), keeps_copy=keep)
        warn_unknown(store, row.forward_to, as_json)
    text = f"forwards to {spell_forwarding(row)}" if row.forward_to else "forwards no more"
    _print(row, f"{row.login} {text}", as_json)


def _change(
    context: typer.Context, who: str, name: str | None, admin: bool | None, as_json: bool
) -> None:
    from zajil.operations.account_changes import change_profile

    with opened_store(context) as store:
        row = change_profile(store, who, display_name=name, admin=admin)
    role = "administrator" if row.admin else "no administrator"
    _print(row, f"changed {row.login}: {row.display_name or 'no name'}, {role}", as_json)


def _print(row: AccountRow, text: str, as_json: bool) -> None:
    if not as_json:
        print(printable(text))
        return
    print_json(
        {
            "login": row.login,
            "address": row.address.unicode,
            "name": row.display_name,
            "admin": row.admin,
            "forward_to": [one.unicode for one in row.forward_to],
            "keeps_copy": row.keeps_copy,
        }
    )
