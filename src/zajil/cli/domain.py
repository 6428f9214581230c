"""``zajil domain``: the domains of this server."""

from __future__ import annotations

from typing import Annotated

import typer

from zajil.cli.catalogue import put_into_shard, require_together, take_out_of_shard
from zajil.cli.configured import open_operations, opened_store, read_configuration
from zajil.cli.output import AsJson, Who, print_json, print_table, spell_time

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

    keys = read_configuration(context).keys
    target = put_into_shard(context, domain)
    if postmaster:
        target = parse_address(postmaster)
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

    require_together(context, domain)
    with open_operations(context) as operations:
        name = operations.run(remove_domain, domain)
    take_out_of_shard(context, name)
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


domain_admin_app = typer.Typer(
    name="admin",
    help="Accounts that administer a domain: its accounts, aliases and quotas.",
    no_args_is_help=True,
)
domain_app.add_typer(domain_admin_app)


@domain_admin_app.command("add")
def add_admin(context: typer.Context, domain: Domain, who: Who) -> None:
    """Let an account administer a domain.

    It changes accounts, aliases and quotas of this domain, on the pages under Administration, and
    resets passwords of its accounts. It cannot change accounts that may do more, nor anything else
    of the server.

    Exit status: 0 done, 1 no such account or domain, or it does so already, 2 wrong usage.
    """
    from zajil.operations.domain_admins import appoint

    with open_operations(context) as operations:
        row = operations.run(appoint, domain, who)
    print(f"{row.login} administers {domain}")


@domain_admin_app.command("remove")
def remove_admin(context: typer.Context, domain: Domain, who: Who) -> None:
    """Make an account an ordinary account of a domain again.

    Exit status: 0 done, 1 no such account, or it does not administer it, 2 wrong usage.
    """
    from zajil.operations.domain_admins import dismiss

    with open_operations(context) as operations:
        row = operations.run(dismiss, domain, who)
    print(f"{row.login} no longer administers {domain}")


@domain_admin_app.command("list")
def list_admins(context: typer.Context, as_json: AsJson = False) -> None:
    """List who administers which domain. Administrators of the server administer all.

    Exit status: 0 done, 2 wrong usage.
    """
    from zajil.core.domain import to_unicode
    from zajil.operations.domain_admins import show_domain_admins

    with opened_store(context) as store:
        admins = store.read_now(show_domain_admins)
    if as_json:
        rows = [{"domain": to_unicode(one.domain), "login": one.row.login} for one in admins]
        print_json({"admins": rows})
        return
    print_table(
        ["DOMAIN", "ACCOUNT", "ADDRESS"],
        [[to_unicode(one.domain), one.row.login, one.row.address.unicode] for one in admins],
    )
