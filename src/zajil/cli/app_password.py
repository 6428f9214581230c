"""``zajil account app-password``: what one program logs in with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.configured import opened_store
from zajil.cli.output import AsJson, print_json, print_table, spell_time
from zajil.core.app_password import Scope

if TYPE_CHECKING:
    from zajil.store.people.app_passwords import AppPasswordRow

app_password_app = typer.Typer(
    name="app-password", help="Passwords that one program logs in with.", no_args_is_help=True
)

Who = Annotated[str, typer.Argument(help="Login name or address of the account.")]


@app_password_app.command("add")
def add(
    context: typer.Context,
    who: Who,
    name: Annotated[str, typer.Option(help="The owner's word for it: the program or device.")],
    scope: Annotated[
        Scope, typer.Option(help="What it opens; none of them opens the web.")
    ] = Scope.ALL,
    as_json: AsJson = False,
) -> None:
    """Make an app password and print it, this once: only a hash of it is kept.

    Exit status: 0 done, 1 there is no such account or it has one of this name, 2 wrong usage.
    """
    from zajil.net.system import SystemClock, system_random
    from zajil.operations.app_passwords import create_app_password

    with opened_store(context) as store:
        made = create_app_password(
            store, who, name, scope, now_ms=SystemClock().now_ms(), random=system_random
        )
    if as_json:
        print_json({"name": name, "scope": scope.value, "password": made.text})
        return
    print(f"app password: {made.text}")


@app_password_app.command("list")
def show(context: typer.Context, who: Who, as_json: AsJson = False) -> None:
    """List the app passwords of an account, as far as they are kept.

    Exit status: 0 done, 1 there is no such account, 2 wrong usage.
    """
    from zajil.operations.accounts import find_account
    from zajil.operations.app_passwords import show_app_passwords

    with opened_store(context) as store:
        rows = show_app_passwords(store, find_account(store, who).account_id)
    if as_json:
        print_json({"app_passwords": [app_password_to_dict(row) for row in rows]})
        return
    print_table(
        ["NAME", "SCOPE", "BEGINS", "SINCE", "LAST USED"],
        [
            [
                row.name,
                row.scope.value,
                row.label,
                spell_time(row.created_ms),
                spell_time(row.last_used_ms) if row.last_used_ms is not None else "never",
            ]
            for row in rows
        ],
    )


@app_password_app.command("remove")
def remove(
    context: typer.Context,
    who: Who,
    name: Annotated[str, typer.Argument(help="Its name, or the four letters it begins with.")],
    as_json: AsJson = False,
) -> None:
    """Remove an app password; what is open by it ends within a second.

    Exit status: 0 done, 1 there is no such account or app password, 2 wrong usage.
    """
    from zajil.operations.app_passwords import delete_app_password

    with opened_store(context) as store:
        row = delete_app_password(store, who, name)
    if as_json:
        print_json(app_password_to_dict(row))
        return
    print(f"removed {row.name}")


def app_password_to_dict(row: AppPasswordRow) -> dict[str, Any]:
    """Give one as ``--json`` prints it."""
    return {
        "name": row.name,
        "scope": row.scope.value,
        "label": row.label,
        "created_ms": row.created_ms,
        "last_used_ms": row.last_used_ms,
    }
