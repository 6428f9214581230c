"""``zajil account rename``, ``set``, ``admin``, ``forward``, ``delegate``, ``release``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.account_show import account_to_dict, spell_forwarding
from zajil.cli.alias import warn_unknown
from zajil.cli.catalogue import keeping_track
from zajil.cli.configured import open_operations
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, Who, duration_ms, print_json, printable
from zajil.cli.quota import parse_quota_messages, parse_quota_size, spell_own_quota

if TYPE_CHECKING:
    from zajil.store.people.accounts import AccountRow


def rename(
    context: typer.Context,
    who: Who,
    address: Annotated[
        str | None, typer.Argument(help="New address. Default: unchanged.", show_default=False)
    ] = None,
    login: Annotated[str | None, typer.Option(help="New login name. Default: unchanged.")] = None,
    keep_alias: Annotated[
        bool, typer.Option("--keep-alias", help="Make the old address an alias of the account.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change the address or the login name of an account. Its mail and its rights are kept.

    Passwords and app passwords are kept, but mail programs must use the new name. Without
    --keep-alias, mail to the old address is refused.

    Exit status: 0 done, 1 no such account, or the new name exists, 2 wrong usage.
    """
    from zajil.core.address import parse_address
    from zajil.operations.account_changes import rename as rename_account
    from zajil.operations.accounts import find_account

    if address is None and login is None:
        raise WrongUsage("give a new address, or --login, or both")
    if keep_alias and address is None:
        raise WrongUsage("--keep-alias requires a new address")
    new = None if address is None else parse_address(address)
    with open_operations(context) as operations:
        before = operations.read(lambda conn: find_account(conn, who))
        with keeping_track(context, before, is_removed=False) as note:
            row = operations.run(
                rename_account, who, address=new, login=login, keeps_alias=keep_alias
            )
            note(row)
    _print(row, f"renamed: {row.address.unicode}, login {row.login}", as_json)


def set_profile(
    context: typer.Context,
    who: Who,
    name: Annotated[
        str | None, typer.Option(help="Display name, shown in From; may be empty.")
    ] = None,
    admin: Annotated[
        bool | None,
        typer.Option("--admin/--no-admin", help="Whether the account is an administrator."),
    ] = None,
    quota: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Maximum size of its mail, such as 2GiB; 'none': no limit; 'default': mail.quota.",
        ),
    ] = None,
    quota_messages: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="Maximum number of its messages; 'none': no limit; 'default': "
            "limits.messages_per_account.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change the display name, the role or the quota of an account.

    An account that has more than a new quota keeps it, and gets no more.

    Exit status: 0 done, 1 no such account, or it is the last administrator, 2 wrong usage.
    """
    if name is None and admin is None and quota is None and quota_messages is None:
        raise WrongUsage("give --name, --admin, --no-admin, --quota or --quota-messages")
    if quota is not None or quota_messages is not None:
        size = None if quota is None else parse_quota_size(quota)
        messages = None if quota_messages is None else parse_quota_messages(quota_messages)
        _limit(context, who, size, messages, as_json)
    if name is not None or admin is not None:
        _change(context, who, name, admin, as_json)


def set_admin(
    context: typer.Context,
    who: Who,
    switch: Annotated[str, typer.Argument(metavar="on|off")],
    as_json: AsJson = False,
) -> None:
    """Make an account an administrator, or an ordinary account again.

    Exit status: 0 done, 1 no such account, or it is the last administrator, 2 wrong usage.
    """
    if switch not in ("on", "off"):
        raise WrongUsage(f"{switch!r} is neither on nor off")
    _change(context, who, None, switch == "on", as_json)


def forward(
    context: typer.Context,
    who: Who,
    to: Annotated[
        list[str] | None,
        typer.Option(help="Address to forward to; repeatable.", show_default=False),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Whether to keep a copy of forwarded mail.")
    ] = True,
    off: Annotated[bool, typer.Option("--off", help="Turn forwarding off.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forward the mail of an account to other addresses.

    This replaces the forwarding that was set before. Mail that goes to another server keeps its
    sender and gets an ARC seal, as with an alias. The sender does not learn the new address.

    Exit status: 0 done, 1 no such account, or the mail would loop, 2 wrong usage.
    """
    from zajil.operations.account_changes import forward as forward_account

    if bool(to) == off:
        raise WrongUsage("give --to ADDRESS, or --off")
    with open_operations(context) as operations:
        row = operations.run(forward_account, who, to or (), keeps_copy=keep)
        warn_unknown(operations, row.forward_to, as_json)
    text = f"forwards to {spell_forwarding(row)}" if row.forward_to else "does not forward"
    _print(row, f"{row.login} {text}", as_json)


def delegate(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Address of a local account or alias.")],
    to: Annotated[str, typer.Option(help="Login name or address of the account to allow.")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove the permission.")] = False,
) -> None:
    """Allow an account to send as an address of another account. It gets no mail for it.

    The change takes effect with the next mail, also in open sessions.

    Exit status: 0 done, 1 no such account or address, or nothing to change, 2 wrong usage.
    """
    from zajil.operations import delegations

    with open_operations(context) as operations:
        change = delegations.revoke_delegation if remove else delegations.delegate
        row = operations.run(change, address, to)
    print(f"{row.login} may {'no longer ' if remove else ''}send as {printable(address)}")


def release(
    context: typer.Context,
    who: Who,
    discard: Annotated[
        bool, typer.Option("--discard", help="Drop the held mail without notifying its sender.")
    ] = False,
    trust: Annotated[
        str,
        typer.Option(metavar="DURATION", help="Do not hold the account again for this long."),
    ] = "1d",
    as_json: AsJson = False,
) -> None:
    """Release an account that is held because it suddenly wrote to many new recipients.

    Its held mail is sent. If the account was stolen, change its password first (`zajil account
    password`) and use --discard.

    Exit status: 0 done, 1 no such account, or it is not held, 2 wrong usage.
    """
    from zajil.operations.account_changes import release as release_account

    exempt_ms = duration_ms(trust, "--trust")
    with open_operations(context) as operations:
        done = operations.run(release_account, who, exempt_ms=exempt_ms, discards=discard)
    if as_json:
        print_json({"login": done.row.login, "mails": list(done.mail_ids), "discarded": discard})
        return
    verb = "dropped" if discard else "released"
    print(f"released {done.row.login}; {verb} mails: {len(done.mail_ids)}")


def _limit(
    context: typer.Context,
    who: str,
    size: int | str | None,
    messages: int | str | None,
    as_json: bool,
) -> None:
    from zajil.operations.account_changes import limit

    with open_operations(context) as operations:
        row = operations.run(limit, who, size=size, messages=messages)
    text = f"changed {row.login}: {spell_own_quota(row)}"
    _print(row, text, as_json)


def _change(
    context: typer.Context, who: str, name: str | None, admin: bool | None, as_json: bool
) -> None:
    from zajil.operations.account_changes import change_profile

    with open_operations(context) as operations:
        row = operations.run(change_profile, who, display_name=name, admin=admin)
    role = "administrator" if row.admin else "ordinary account"
    _print(row, f"changed {row.login}: {row.display_name or 'no name'}, {role}", as_json)


def _print(row: AccountRow, text: str, as_json: bool) -> None:
    if as_json:
        print_json(account_to_dict(row))
    else:
        print(printable(text))
