"""``zajil domain``: the domains this server is home to."""

from __future__ import annotations

from typing import Annotated

import typer

from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.output import AsJson, print_json, print_table, spell_time

domain_app = typer.Typer(
    name="domain", help="The domains this server accepts mail for.", no_args_is_help=True
)

Domain = Annotated[str, typer.Argument(help="In any form: زاجل.مصر or xn--mgbkq8e.xn--wgbh1c.")]


@domain_app.command("add")
def add(
    context: typer.Context,
    domain: Domain,
    postmaster: Annotated[
        str | None,
        typer.Option(
            help="Address that gets the mail of postmaster@ and abuse@; default: the first admin."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a domain ours, also while the server runs.

    Exit status: 0 done, 1 it is ours already, 2 wrong usage.
    """
    from zajil.core.address import parse_address
    from zajil.net.system import SystemClock
    from zajil.operations.domains import add_domain

    target = parse_address(postmaster) if postmaster else None
    keys = read_configuration(context).keys
    with opened_store(context) as store:
        name = add_domain(store, domain, target, SystemClock().now_ms(), keys)
    if as_json:
        print_json({"domain": name})
    else:
        print(f"added {name}; see `zajil dns records {domain}` for what to publish")


@domain_app.command("remove")
def remove(context: typer.Context, domain: Domain) -> None:
    """Stop being home to a domain; its accounts and aliases must be gone.

    Exit status: 0 done, 1 it is not ours or somebody still lives in it, 2 wrong usage.
    """
    from zajil.operations.domains import remove_domain

    with opened_store(context) as store:
        name = remove_domain(store, domain)
    print(f"removed {name}")


@domain_app.command("list")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """List the domains."""
    from zajil.core.domain import to_unicode
    from zajil.operations.domains import show_domains

    with opened_store(context) as store:
        rows = show_domains(store)
    if as_json:
        print_json(
            {
                "domains": [
                    {
                        "domain": to_unicode(row.ascii_name),
                        "ascii_domain": row.ascii_name,
                        "created_ms": row.created_ms,
                        "accounts": row.accounts,
                        "aliases": row.aliases,
                    }
                    for row in rows
                ]
            }
        )
        return
    print_table(
        ["DOMAIN", "ACCOUNTS", "ALIASES", "SINCE"],
        [
            [
                to_unicode(row.ascii_name),
                str(row.accounts),
                str(row.aliases),
                spell_time(row.created_ms),
            ]
            for row in rows
        ],
    )
