"""``zajil dns``: the DNS records to publish, and whether they are published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli import dns_check, dns_publish
from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from zajil.operations.dns_record import DnsRecord

dns_app = typer.Typer(
    name="dns", help="The DNS records to publish, and their state.", no_args_is_help=True
)
dns_app.command("check")(dns_check.check)
dns_app.command("publish")(dns_publish.publish)


@dns_app.command("records")
def records(
    context: typer.Context,
    domain: Annotated[
        str, typer.Argument(help="A domain of this server, in Unicode or ASCII form.")
    ],
    as_zone: Annotated[bool, typer.Option("--zone", help="Print a zone file.")] = False,
    without_soa: Annotated[
        bool,
        typer.Option(
            "--without-soa", help="With --zone: leave out SOA and NS, for a zone that exists."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the DNS records that a domain needs to receive and send mail.

    Exit status: 0 done, 1 unknown domain, 2 wrong usage.
    """
    from zajil.core.domain import to_ascii
    from zajil.net.system import SystemClock
    from zajil.operations.dns_advice import all_records
    from zajil.operations.zone_file import zone_file

    if without_soa and not as_zone:
        raise WrongUsage("--without-soa requires --zone")
    if as_zone and as_json:
        raise WrongUsage("--zone and --json cannot be combined")
    name = to_ascii(domain)
    configuration = read_configuration(context)
    with opened_store(context) as store:
        (found,) = store.read_now(lambda conn: all_records(conn, configuration, [name])).values()
    if as_zone:
        hostname, now_ms = configuration.server.hostname, SystemClock().now_ms()
        print(zone_file(name, hostname, found, now_ms, whole=not without_soa), end="")
    elif as_json:
        print_json({"records": [asdict(record) for record in found]})
    else:
        print_records(found)


def print_records(records: Sequence[DnsRecord]) -> None:
    """Print each record under a sentence that describes its purpose."""
    for number, record in enumerate(records, 1):
        print(f"{number}. {record.purpose}{' (Optional.)' if record.is_optional else ''}")
        dot = "" if record.name.startswith("<") or record.type == "PTR" else "."
        print(f"     {record.name}{dot}  {record.type}  {record.value}")
