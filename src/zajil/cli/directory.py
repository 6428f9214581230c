"""``zajil directory``: people of an LDAP directory as accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import open_operations, read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import (
    AsJson,
    print_json,
    print_table,
    printable,
    progress_bar,
    spell_size,
    spell_time,
)
from zajil.core.errors import NOT_DONE

if TYPE_CHECKING:
    from zajil.config.options_directory import DirectoryOptions
    from zajil.login.directory.ldap import DirectoryPeople
    from zajil.operations.directory_sync import SyncOutcome

directory_app = typer.Typer(
    name="directory", help="People of an LDAP directory as accounts.", no_args_is_help=True
)


@directory_app.command("check")
def check(
    context: typer.Context,
    who: Annotated[
        str | None,
        typer.Argument(help="Address of a person whose password is tried; it is asked for."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the directory, and show who is found and what is left out. Nothing is changed.

    Exit status: 0 done, 1 the directory cannot be asked, or the password is wrong, 2 wrong usage.
    """
    from zajil.login.directory.ldap import read_people

    options = read_configuration(context).directory
    if not options.urls:
        raise WrongUsage("directory.urls is not set: there is no directory")
    found = read_people(options)
    if who is not None:
        chosen = [one for one in found.people if who in (str(one.address), one.address.unicode)]
        if not chosen:
            raise WrongUsage(f"{who} is not an address in the directory")
        password = typer.prompt("Password", hide_input=True)
        right = _try_password(options, chosen[0].subject, password)
        print(f"{printable(chosen[0].dn)}: the password is {'right' if right else 'wrong'}")
        if not right:
            raise typer.Exit(NOT_DONE)
        return
    _print_people(found, as_json)


def _print_people(found: DirectoryPeople, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "people": [
                    {
                        "address": one.address.unicode,
                        "dn": one.dn,
                        "login": one.login,
                        "name": one.display_name,
                        "aliases": [alias.unicode for alias in one.aliases],
                        "quota": one.quota,
                        "disabled": one.is_disabled,
                        "admin": one.is_admin,
                    }
                    for one in found.people
                ],
                "left_out": [{"dn": one.dn, "reason": one.reason} for one in found.left_out],
            }
        )
        return
    print_table(
        ["ADDRESS", "LOGIN", "NAME", "ALIASES", "QUOTA", "STATE"],
        [
            [
                one.address.unicode,
                one.login or "-",
                one.display_name,
                str(len(one.aliases)),
                "-" if one.quota is None else spell_size(one.quota) if one.quota else "none",
                "disabled" if one.is_disabled else "admin" if one.is_admin else "",
            ]
            for one in found.people
        ],
    )
    for left in found.left_out:
        print(f"left out: {printable(left.dn)}: {printable(left.reason)}")
    print(f"people: {len(found.people)}; left out: {len(found.left_out)}")


def _try_password(options: DirectoryOptions, subject: str, password: str) -> bool:
    import asyncio

    from zajil.login.directory.ldap import LdapPasswords

    async def ask() -> bool:
        passwords = LdapPasswords(options)
        try:
            return await passwords.check(subject, password)
        finally:
            await passwords.close()

    return asyncio.run(ask())


@directory_app.command("sync")
def sync(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done and change nothing.")
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt",
            help="Link people with accounts that have their address. They then log in with the "
            "password of the directory; their own one is removed.",
        ),
    ] = False,
    accept_losses: Annotated[
        bool,
        typer.Option("--accept-losses", help="Suspend accounts even if very many people are gone."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let the accounts follow the directory now. The server does the same by itself.

    New people get an account. A new address renames the account; mail and passwords of programs are
    kept, and the old address becomes an alias. Who is gone or disabled is suspended, never deleted.

    Exit status: 0 done, 1 the directory cannot be asked, or has lost too many people; nothing was
    changed, 2 wrong usage.
    """
    from zajil.operations.directory_sync import sync_directory

    options = read_configuration(context).directory
    if not options.urls:
        raise WrongUsage("directory.urls is not set: there is no directory")
    with (
        open_operations(context) as operations,
        progress_bar("comparing accounts", quiet=as_json) as progress,
    ):
        outcome = operations.run(
            sync_directory,
            options,
            dry_run=dry_run,
            adopts=adopt,
            accepts_losses=accept_losses,
            progress=progress,
        )
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "created": outcome.created,
                "changed": outcome.changed,
                "suspended": outcome.suspended,
                "unchanged": outcome.unchanged,
                "left_out": [{"who": who, "reason": reason} for who, reason in outcome.problems],
            }
        )
    else:
        _print_outcome(outcome, dry_run)


def _print_outcome(outcome: SyncOutcome, dry_run: bool) -> None:
    for verb, people in (
        ("created", outcome.created),
        ("changed", outcome.changed),
        ("suspended", outcome.suspended),
    ):
        for address in people:
            print(f"{'would be ' if dry_run else ''}{verb}: {printable(address)}")
    for who, reason in outcome.problems:
        print(f"left out: {printable(who)}: {printable(reason)}")
    print(
        f"created: {len(outcome.created)}; changed: {len(outcome.changed)}; suspended: "
        f"{len(outcome.suspended)}; unchanged: {outcome.unchanged}; left out: "
        f"{len(outcome.problems)}"
    )


@directory_app.command("show")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show which accounts come from the directory, and when they were compared with it last.

    Exit status: 0 done, 1 the last comparison failed, 2 wrong usage.
    """
    from zajil.operations.directory_sync import show_directory

    with open_operations(context) as operations:
        shown = operations.read(show_directory)
    state = shown.state
    problem = state.reason if state is not None and state.problem else ""
    if as_json:
        print_json(
            {
                "compared_ms": state.done_ms or None if state is not None else None,
                "problem": problem or None,
                "accounts": [
                    {
                        "address": row.address.unicode,
                        "login": row.login,
                        "id": identity.subject,
                        "suspended_by_directory": identity.suspended,
                        "active": row.active,
                    }
                    for row, identity in shown.accounts
                ],
            }
        )
    else:
        print_table(
            ["ADDRESS", "LOGIN", "STATE", "ID IN THE DIRECTORY"],
            [
                [
                    row.address.unicode,
                    row.login,
                    "active" if row.active else "gone" if identity.suspended else "suspended",
                    identity.subject,
                ]
                for row, identity in shown.accounts
            ],
        )
        if not read_configuration(context).directory.urls:
            print("directory.urls is not set: accounts are compared with no directory")
        last = "never" if state is None or not state.done_ms else spell_time(state.done_ms)
        print(f"compared with the directory: {last}")
        if problem:
            print(f"failed since: {printable(problem)}")
    if problem:
        raise typer.Exit(NOT_DONE)
