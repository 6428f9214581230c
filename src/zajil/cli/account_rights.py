"""``zajil account show``, ``delegate``, ``unhold``: as whom an account sends, and what it sent."""

from __future__ import annotations

from typing import Annotated

import typer

from zajil.cli.account_use import account_to_dict, spell_forwarding, spell_login
from zajil.cli.app_password import app_password_to_dict
from zajil.cli.configured import opened_store
from zajil.cli.output import AsJson, print_json, printable, spell_size, spell_time
from zajil.cli.queue import operator_name


def show_one(
    context: typer.Context,
    who: Annotated[str, typer.Argument(help="Login name or address of the account.")],
    as_json: AsJson = False,
) -> None:
    """Show an account: its addresses, as whom else it may send, how much it has sent.

    Exit status: 0 done, 1 there is no such account, 2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.delegations import show_account

    with opened_store(context) as store:
        found = show_account(store, who, SystemClock().now_ms())
    row = found.row
    if as_json:
        print_json(
            {
                **account_to_dict(row, found.mail, found.last_login),
                "aliases": [one.unicode for one in found.aliases],
                "may_send_as": [one.unicode for one in found.delegated],
                "delegates": [
                    {"address": one.unicode, "login": login} for one, login in found.delegates
                ],
                "app_passwords": [app_password_to_dict(one) for one in found.app_passwords],
                "recipients_this_minute": found.sent_in_minute,
                "recipients_today": found.sent_in_day,
                "strangers_today": found.strangers_in_day,
                "held_ms": found.held_ms,
                "held_mails": found.held_mails,
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
        ("messages", f"{found.mail.messages}, {spell_size(found.mail.size)}"),
        ("last login", spell_login(found.last_login)),
        *([("forwards to", spell_forwarding(row))] if row.forward_to else ()),
        *(("alias", one.unicode) for one in found.aliases),
        *(("may send as", one.unicode) for one in found.delegated),
        *(("delegated", f"{one.unicode} to {login}") for one, login in found.delegates),
        *(("app password", f"{one.name} ({one.scope.value})") for one in found.app_passwords),
        ("sent this minute", f"to {found.sent_in_minute} recipients"),
        ("sent today (UTC)", f"to {found.sent_in_day} recipients"),
        ("strangers today", str(found.strangers_in_day)),
        *_held_lines(found.held_ms, found.held_mails),
    ]
    for label, value in lines:
        print(f"{label:17} {printable(value) or '-'}")


def _held_lines(held_ms: int | None, mails: int) -> list[tuple[str, str]]:
    if held_ms is None:
        return []
    since = f"since {spell_time(held_ms)}: it suddenly wrote to many strangers"
    return [("held", since), ("held back", f"{mails} mails; see `zajil account unhold`")]


def unhold(
    context: typer.Context,
    who: Annotated[str, typer.Argument(help="Login name or address of the account.")],
    discard: Annotated[
        bool, typer.Option("--discard", help="Drop what was held back; nobody is told.")
    ] = False,
    trust: Annotated[
        str, typer.Option(help="So long it is not held again, whatever it sends.")
    ] = "1d",
    as_json: AsJson = False,
) -> None:
    """Send what was held back because an account suddenly wrote to many strangers.

    If a thief sent it, change the password first (`zajil account password`), and use --discard.

    Exit status: 0 done, 1 there is no such account or it is not held, 2 wrong usage.
    """
    from zajil.cli.errors import WrongUsage
    from zajil.core.units import parse_duration
    from zajil.net.system import SystemClock
    from zajil.operations.held_accounts import unhold_account

    try:
        trust_ms = parse_duration(trust)
    except ValueError as error:
        raise WrongUsage(f"--trust: {error}") from None
    with opened_store(context) as store:
        done = unhold_account(
            store,
            who,
            who=operator_name(),
            now_ms=SystemClock().now_ms(),
            trust_ms=trust_ms,
            discards=discard,
        )
    if as_json:
        print_json({"login": done.row.login, "mails": list(done.mail_ids), "discarded": discard})
        return
    verb = "dropped" if discard else "released"
    print(f"let {done.row.login} go, {verb} {len(done.mail_ids)} mails")


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
    from zajil.operations import delegations

    with opened_store(context) as store:
        change = delegations.take_back if remove else delegations.delegate
        row = change(store, address, to)
    print(f"{row.login} may {'no longer ' if remove else ''}send as {printable(address)}")
