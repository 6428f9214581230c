"""``zajil probe``: test this machine and its network before mail depends on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from zajil.cli.asking import TIMEOUT_SECONDS, NameserverOption, TimeoutOption, run_with_resolver
from zajil.cli.configured import read_configuration
from zajil.cli.output import AsJson, print_json, printable

if TYPE_CHECKING:
    from zajil.operations.probe import Probe

_WORDS = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM", "skipped": "not tried"}


def probe(
    context: typer.Context,
    mail_domain: Annotated[
        str, typer.Option(help="Domain whose mail servers must be reachable on port 25.")
    ] = "gmail.com",
    nameserver: NameserverOption = None,
    timeout: TimeoutOption = TIMEOUT_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Test what mail needs of this machine: port 25, names, resolver, disk, clock, ports.

    Ports that the running server itself listens on are not tested.

    Exit status: 0 no problem, 1 there is one, 2 wrong usage.
    """
    from dataclasses import replace

    from zajil.core.domain import to_ascii
    from zajil.operations.probe import has_problem
    from zajil.operations.probes import PUBLIC, probe_all
    from zajil.store.engine.folder import is_served

    configuration = read_configuration(context)
    folder = configuration.server.data_dir
    targets = replace(PUBLIC, mail_domain=to_ascii(mail_domain))
    found = run_with_resolver(
        lambda resolve: probe_all(
            configuration, folder, resolve, targets, is_running=is_served(folder)
        ),
        nameserver,
        timeout,
        configuration.dns.nameservers,
    )
    if as_json:
        print_json({"probes": [{**asdict(one), "sentence": str(one)} for one in found]})
    else:
        print_probes(found)
    raise typer.Exit(1 if has_problem(found) else 0)


def print_probes(found: Sequence[Probe]) -> None:
    """Print each finding on a line, and what to do below it."""
    for one in found:
        text = printable(one.text.format_map(one.facts))
        print(f"  {_WORDS[one.level]:<10} {one.name:<17} {text}")
        if one.advice:
            print(f"  {'':<10} {'':<17} {printable(one.advice.format_map(one.facts))}")
