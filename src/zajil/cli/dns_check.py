"""``zajil dns check``: compare the DNS records of domains with what DNS says."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.asking import TIMEOUT_SECONDS, NameserverOption, TimeoutOption, run_with_resolver
from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.errors import WrongUsage
from zajil.cli.output import AsJson, duration_ms, print_json, printable

if TYPE_CHECKING:
    from zajil.config.options import Configuration
    from zajil.dns.flow import Resolve
    from zajil.operations.dns_check import CheckedRecord
    from zajil.operations.dns_record import DnsRecord

Domains = Annotated[
    list[str] | None,
    typer.Argument(help="Domains of this server. Default: all.", show_default=False),
]


def check(
    context: typer.Context,
    domains: Domains = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Repeat until all records are right.")
    ] = False,
    every: Annotated[
        str, typer.Option(metavar="DURATION", help="With --watch: time between two checks.")
    ] = "30s",
    nameserver: NameserverOption = None,
    timeout: TimeoutOption = TIMEOUT_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Compare the DNS records of domains with what DNS says now.

    Where the resolver does not have a record, the name servers of the zone are asked too: a record
    that was just published is reported with the time until old answers expire.

    Exit status: 0 all records are right, 1 a record is missing or different, or a domain is
    unknown, 2 wrong usage.
    """
    import time

    from zajil.operations.dns_check import is_all_right

    if watch and as_json:
        raise WrongUsage("--watch and --json cannot be combined")
    pause_ms = duration_ms(every, "--every")
    configuration = read_configuration(context)
    before: dict[str, str] = {}
    while True:
        # Anew each time: the server makes keys and opens accounts while others wait for DNS.
        records = wanted_records(context, configuration, domains)
        checked = _look_up(records, nameserver, timeout, configuration.dns.nameservers)
        if as_json:
            print_json({"domains": {name: _to_list(found) for name, found in checked.items()}})
        else:
            before = _print_changes(checked, before)
            sys.stdout.flush()  # it is read while we wait, also in a file
        good = all(is_all_right(found) for found in checked.values())
        if good or not watch:
            break
        time.sleep(max(pause_ms, 1000) / 1000)
    if not as_json:
        print("All records are right." if good else _summary(checked, watch=watch))
    raise typer.Exit(0 if good else 1)


def wanted_records(
    context: typer.Context, configuration: Configuration, domains: Sequence[str] | None
) -> dict[str, list[DnsRecord]]:
    """Return the records that each domain should have."""
    from zajil.core.domain import to_ascii
    from zajil.operations.dns_advice import all_records

    names = [to_ascii(one) for one in domains or ()]
    with opened_store(context) as store:
        return store.read_now(lambda conn: all_records(conn, configuration, names))


def _look_up(
    records: Mapping[str, Sequence[DnsRecord]],
    nameserver: str | None,
    timeout: float,
    configured: tuple[str, ...],
) -> dict[str, list[CheckedRecord]]:
    from zajil.net.system import system_random
    from zajil.operations.dns_check import check_dns
    from zajil.resolver.authority import Authorities

    async def look_up(resolve: Resolve) -> dict[str, list[CheckedRecord]]:
        ask_zone = Authorities(resolve, system_random, timeout).ask
        return {
            name: await check_dns(wanted, resolve, ask_zone) for name, wanted in records.items()
        }

    return run_with_resolver(look_up, nameserver, timeout, configured)


WORDS = {
    "found": "ok",
    "missing": "MISSING",
    "other": "DIFFERENT",
    "optional": "optional",
    "unknown": "NO ANSWER",
    "unchecked": "-",
    "cached": "WAITING",
    "unsigned": "no DNSSEC",
}


def _print_changes(
    checked: Mapping[str, Sequence[CheckedRecord]], before: Mapping[str, str]
) -> dict[str, str]:
    """Print the records whose state changed; returns the state of each."""
    now: dict[str, str] = {}
    for domain, found in checked.items():
        changed = []
        for one in found:
            key = f"{domain} {one.record.line}"
            now[key] = one.state
            if before.get(key) != one.state:
                changed.append(one)
        if changed:
            print(f"{_title(domain)}\n")
            for one in changed:
                _print_one(one)
            print()
    return now


def _title(domain: str) -> str:
    from zajil.core.domain import to_unicode

    shown = to_unicode(domain)
    return domain if shown == domain else f"{shown} ({domain})"


def _print_one(one: CheckedRecord) -> None:
    from zajil.cli.output import spell_age
    from zajil.operations.dns_check import ADVICE, is_good

    record = one.record
    print(f"  {WORDS[one.state]:<10} {record.type:<5} {record.name}")
    if is_good(one) and one.state != "unsigned":
        return
    print(f"             {ADVICE[one.state]}")
    if one.state in ("missing", "other"):
        print(f"             Should be:  {record.value}")
    for value in one.found:
        print(f"             Is now:     {printable(value)}")
    if one.ttl_seconds and one.state in ("cached", "other"):
        print(
            f"             The resolver keeps its answer for {spell_age(one.ttl_seconds * 1000)}."
        )


def _summary(checked: Mapping[str, Sequence[CheckedRecord]], *, watch: bool) -> str:
    from zajil.operations.dns_check import is_good

    number = sum(not is_good(one) for found in checked.values() for one in found)
    records = "1 record needs" if number == 1 else f"{number} records need"
    return f"{records} your attention." + (
        "" if watch else " Repeat with --watch until all are right."
    )


def _to_list(found: Sequence[CheckedRecord]) -> list[dict[str, Any]]:
    from zajil.operations.dns_check import ADVICE

    return [
        {
            **asdict(one.record),
            "state": one.state,
            "found": list(one.found),
            "authentic": one.authentic,
            "ttl_seconds": one.ttl_seconds,
            "advice": ADVICE.get(one.state, ""),
        }
        for one in found
    ]
