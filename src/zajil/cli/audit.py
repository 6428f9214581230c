"""``zajil audit``: who changed what."""

from __future__ import annotations

from typing import Annotated

import typer

from zajil.cli.configured import opened_store
from zajil.cli.output import AsJson, Since, parse_since, print_json, print_table, spell_time


def audit(
    context: typer.Context,
    about: Annotated[
        str | None,
        typer.Argument(
            help="Login name or address of an account, an alias, or a domain. Default: all.",
            show_default=False,
        ),
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option(help="Only changes made by this login name or user of this machine."),
    ] = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of rows.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List changes of accounts, aliases, domains, keys and the queue, newest first.

    It shows who made each change, and from where. Changes are kept for tracking.retention.

    Exit status: 0 done, also if there is none, 2 wrong usage.
    """
    from zajil.operations.audit import audit_to_dict, show_audit

    since_ms = parse_since(since)
    with opened_store(context) as store:
        found = store.read_now(
            lambda conn: show_audit(conn, about=about, actor=actor, since_ms=since_ms, limit=limit)
        )
    changes = [audit_to_dict(event) for event in found]
    if as_json:
        print_json({"changes": changes})
        return
    print_table(
        ["TIME", "BY", "CHANGE"],
        [[spell_time(one["at_ms"]), one["by"], one["text"]] for one in changes],
    )
