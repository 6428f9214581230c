"""``zajil dns``: what others must find in DNS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from zajil.admin.dns_advice import DnsRecord

dns_app = typer.Typer(name="dns", help="What others must find in DNS.", no_args_is_help=True)


@dns_app.command("records")
def records(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(help="A domain of ours, in any form.")],
    as_json: AsJson = False,
) -> None:
    """Print the records to publish so that the domain's mail arrives, here and elsewhere."""
    from zajil.admin.dns_advice import records_for
    from zajil.core.domain import to_ascii
    from zajil.store.dkim_keys import list_dkim_keys

    name = to_ascii(domain)
    with opened_store(context) as store:
        keys = store.read_now(lambda conn: list_dkim_keys(conn, name))
    found = records_for(name, read_configuration(context), keys)
    if as_json:
        print_json({"records": [asdict(record) for record in found]})
    else:
        print_records(found)


def print_records(records: Sequence[DnsRecord]) -> None:
    """Print each record under the sentence that says what it is for."""
    for number, record in enumerate(records, 1):
        print(f"{number}. {record.purpose}")
        dot = "" if record.name.startswith("<") or record.type == "PTR" else "."
        print(f"     {record.name}{dot}  {record.type}  {record.value}")
