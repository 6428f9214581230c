"""``zajil account show`` and ``delegate``: as whom an account may send, and what it has sent."""

from __future__ import annotations

from typing import Annotated

import typer

from zajil.cli.app_password import app_password_to_dict
from zajil.cli.configured import opened_store
from zajil.cli.output import AsJson, print_json, printable, spell_time


def show_one(
    context: typer.Context,
    who: Annotated[str, typer.Argument(help="Login name or address of the account.")],
    as_json: AsJson = False,
) -> None:
    """Show an account: its addresses, as whom else it may send, how much it has sent.

    Exit status: 0 done, 1 there is no such account, 2 wrong usage.
    """
    from zajil.admin.delegations import show_account
    from zajil.net.system import SystemClock

    with opened_store(context) as store:
        found = show_account(store, who, SystemClock().now_ms())
    row = found.row
    if as_json:
        print_json(
            {
                "login": row.login,
                "address": row.address.unicode,
                "name": row.display_name,
                "admin": row.admin,
                "active": row.active,
                "created_ms": row.created_ms,
                "aliases": [one.unicode for one in found.aliases],
                "may_send_as": [one.unicode for one in found.delegated],
                "delegates": [
                    {"address": one.unicode, "login": login} for one, login in found.delegates
                ],
                "app_passwords": [app_password_to_dict(one) for one in found.app_passwords],
                "recipients_this_minute": found.sent_in_minute,
                "recipients_today": found.sent_in_day,
            }
        )
        return
    lines = [
        ("login", row.login),
        ("address", row.address.unicode),
        ("name", row.display_name),
        ("role", "admin" if row.admin else "-"),
        ("state", "active" if row.active else "suspended"),
        ("since", spell_time(row.created_ms)),
        *(("alias", one.unicode) for one in found.aliases),
        *(("may send as", one.unicode) for one in found.delegated),
        *(("delegated", f"{one.unicode} to {login}") for one, login in found.delegates),
        *(("app password", f"{one.name} ({one.scope.value})") for one in found.app_passwords),
        ("sent this minute", f"to {found.sent_in_minute} recipients"),
        ("sent today (UTC)", f"to {found.sent_in_day} recipients"),
    ]
    for label, value in lines:
        print(f"{label:17} {printable(value) or '-'}")


def delegate(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Of an account of ours, or an alias.")],
    to: Annotated[str, typer.Option(help="Login name or address of who may send as it.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the right back.")] = False,
) -> None:
    """Let an account send as an address of somebody else; it gets no mail by that.

    Holds at once; sessions that are open have or lose the right with their next mail.

    Exit status: 0 done, 1 there is no such account or address, or nothing to change, 2 wrong usage.
    """
    from zajil.admin import delegations

    with opened_store(context) as store:
        change = delegations.take_back if remove else delegations.delegate
        row = change(store, address, to)
    print(f"{row.login} may {'no longer ' if remove else ''}send as {printable(address)}")
