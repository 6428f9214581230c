"""``zajil account app-password``: passwords of single mail programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.configured import open_operations, opened_store
from zajil.cli.output import AsJson, Who, print_json, print_table, spell_time
from zajil.core.app_password import Scope

if TYPE_CHECKING:
    from zajil.store.people.app_passwords import AppPasswordRow

app_password_app = typer.Typer(
    name="app-password", help="App passwords: one for each mail program.", no_args_is_help=True
)


@app_password_app.command("add")
def add(
    context: typer.Context,
    who: Who,
    name: Annotated[str, typer.Option(help="Name of the program or device.")],
    scope: Annotated[
        Scope, typer.Option(help="Services it can log in to; never the web.")
    ] = Scope.ALL,
    as_json: AsJson = False,
) -> None:
    """Create an app password and print it. It cannot be shown again: only a hash is stored.

    Exit status: 0 done, 1 no such account, or it has an app password of this name, 2 wrong usage.
    """
    from zajil.operations.app_passwords import create_app_password

    with open_operations(context) as operations:
        made = operations.run(create_app_password, who, name, scope)
    if as_json:
        print_json({"name": name, "scope": scope.value, "password": made.password.text})
        return
    print(f"app password: {made.password.text}")


@app_password_app.command("list")
def show(context: typer.Context, who: Who, as_json: AsJson = False) -> None:
    """List the app passwords of an account, without the passwords themselves.

    Exit status: 0 done, 1 no such account, 2 wrong usage.
    """
    from zajil.operations.app_passwords import show_app_passwords

    with opened_store(context) as store:
        rows = store.read_now(lambda conn: show_app_passwords(conn, who))
    if as_json:
        print_json({"app_passwords": [app_password_to_dict(row) for row in rows]})
        return
    print_table(
        ["NAME", "SCOPE", "BEGINS WITH", "SINCE", "LAST USED"],
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
    name: Annotated[
        str, typer.Argument(help="Name of the app password, or the four characters it begins with.")
    ],
    as_json: AsJson = False,
) -> None:
    """Remove an app password. Sessions that use it end within a second.

    Exit status: 0 done, 1 no such account or app password, 2 wrong usage.
    """
    from zajil.operations.app_passwords import delete_app_password

    with open_operations(context) as operations:
        row = operations.run(delete_app_password, who, name)
    if as_json:
        print_json(app_password_to_dict(row))
        return
    print(f"removed {row.name}")


def app_password_to_dict(row: AppPasswordRow) -> dict[str, Any]:
    """Return an app password as ``--json`` prints it."""
    return {
        "name": row.name,
        "scope": row.scope.value,
        "label": row.label,
        "created_ms": row.created_ms,
        "last_used_ms": row.last_used_ms,
    }
