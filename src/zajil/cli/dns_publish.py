"""``zajil dns publish``: write DNS records by the API of a provider."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.asking import TIMEOUT_SECONDS, NameserverOption, run_with_resolver
from zajil.cli.configured import read_configuration
from zajil.cli.dns_check import Domains, wanted_records
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, print_json, printable

if TYPE_CHECKING:
    from zajil.operations.dns_publish import PlannedChange


def publish(
    context: typer.Context,
    domains: Domains = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    nameserver: NameserverOption = None,
    as_json: AsJson = False,
) -> None:
    """Write missing and wrong DNS records at the provider of dns_provider.name, after a plan.

    Records of others are not removed: other mail servers, addresses and services are listed and
    stay. An SPF record keeps all that it permits.

    Exit status: 0 done or nothing to do, 1 the provider refused, or an unknown domain, 2 wrong
    usage.
    """
    from zajil.operations.dns_publish import apply_changes, count_steps, plan_changes
    from zajil.resolver.provider import open_provider

    configuration = read_configuration(context)
    records = [
        one for found in wanted_records(context, configuration, domains).values() for one in found
    ]
    provider = open_provider(configuration.dns_provider)
    planned = run_with_resolver(
        lambda resolve: plan_changes(records, provider, resolve),
        nameserver,
        TIMEOUT_SECONDS,
        configuration.dns.nameservers,
    )
    steps = count_steps(planned)
    number = steps.get("add", 0) + steps.get("replace", 0)
    if as_json and (dry_run or yes):
        print_json({"changes": [_to_dict(one) for one in planned]})
    elif as_json:
        raise WrongUsage("--json needs --dry-run or --yes")
    else:
        _print_plan(planned)
    if dry_run or not number:
        if not as_json:
            print(f"Would write {_spell(number)}." if number else "Nothing to write.")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise WrongUsage("this writes DNS records; confirm with --yes, or use --dry-run")
        typer.confirm(f"Write {_spell(number)}?", abort=True)
    written = apply_changes(planned, provider)
    if not as_json:
        print(f"Wrote {_spell(written)}. See when others find them: zajil dns check --watch")


def _spell(number: int) -> str:
    return "1 record" if number == 1 else f"{number} records"


_TITLES = {
    "add": "add",
    "replace": "replace",
    "leave": "leave",
    "by hand": "by hand",
}


def _print_plan(planned: Sequence[PlannedChange]) -> None:
    for one in planned:
        record = one.record
        value = one.value if one.step in ("add", "replace") else record.value
        print(f"  {_TITLES[one.step]:<8} {record.type:<5} {record.name}  {printable(value)}")
        for text in one.existing:
            print(f"           {'':<5} is now: {printable(text)}")
        if one.note:
            print(f"           {'':<5} {printable(one.note)}")
    if planned:
        print()


def _to_dict(one: PlannedChange) -> dict[str, object]:
    return {
        "step": one.step,
        "zone": one.zone,
        "name": one.record.name,
        "type": one.record.type,
        "value": one.value,
        "existing": list(one.existing),
        "note": one.note,
    }
