"""``zajil domain``: the domains of this server."""

from __future__ import annotations

from typing import Annotated

import typer

from zajil.cli.configured import open_operations, opened_store, read_configuration
from zajil.cli.output import AsJson, print_json, print_table, spell_time

domain_app = typer.Typer(
    name="domain", help="Domains that this server accepts mail for.", no_args_is_help=True
)

Domain = Annotated[
    str, typer.Argument(help="Unicode or ASCII form: زاجل.مصر or xn--mgbkq8e.xn--wgbh1c.")
]


@domain_app.command("add")
def add(
    context: typer.Context,
    domain: Domain,
    postmaster: Annotated[
        str | None,
        typer.Option(help="Target of postmaster@ and abuse@. Default: the first administrator."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a domain and create its DKIM keys. The server may be running.

    Exit status: 0 done, 1 the domain exists, 2 wrong usage.
    """
    from zajil.core.address import parse_address
    from zajil.operations.domains import add_domain

    target = parse_address(postmaster) if postmaster else None
    keys = read_configuration(context).keys
    with open_operations(context) as operations:
        name = operations.run(add_domain, domain, target, keys)
    if as_json:
        print_json({"domain": name})
    else:
        print(f"added {name}; `zajil dns records {domain}` prints the DNS records to publish")


@domain_app.command("remove")
def remove(context: typer.Context, domain: Domain) -> None:
    """Remove a domain. Its accounts and aliases must be removed first.

    Exit status: 0 done, 1 unknown domain, or it still has accounts or aliases, 2 wrong usage.
    """
    from zajil.operations.domains import remove_domain

    with open_operations(context) as operations:
        name = operations.run(remove_domain, domain)
    print(f"removed {name}")


@domain_app.command("list")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """List the domains.

    Exit status: 0 done, 2 wrong usage.
    """
    from zajil.core.domain import to_unicode
    from zajil.store.people.domains import list_domains

    with opened_store(context) as store:
        rows = store.read_now(list_domains)
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
