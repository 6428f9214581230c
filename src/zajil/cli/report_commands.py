"""What the commands for DMARC and TLS reports have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zajil.cli.configured import open_operations, read_configuration
from zajil.cli.message_file import read_bounded
from zajil.cli.output import log_to_stderr, print_json, printable

if TYPE_CHECKING:
    from zajil.reports.sending import Sent

DAY_MS = 86_400_000

Domain = Annotated[str | None, typer.Option(help="Only reports about this domain. Default: all.")]
Days = Annotated[int, typer.Option(min=1, help="Only reports received in this many days.")]
Limit = Annotated[int, typer.Option(min=1, help="Maximum number of rows in each list.")]
Proven = Annotated[bool, typer.Option("--proven", help="Only reports whose own mail passed DMARC.")]
Now = Annotated[bool, typer.Option("--now", help="Also report on intervals that have not ended.")]


def import_file(context: typer.Context, file: str, *, as_json: bool) -> None:
    """Import a report and print its number."""
    from zajil.operations.reports import import_report

    content = read_bounded(file)
    with open_operations(context) as operations:
        number = operations.run(import_report, content)
    if as_json:
        print_json({"id": number, "new": number is not None})
    elif number is None:
        print("this report was imported before")
    else:
        print(f"imported as report {number}")


def send_due(
    context: typer.Context, kind: Literal["dmarc", "tls"], *, now: bool, as_json: bool
) -> None:
    """Send what is due, and print what came of it."""
    from zajil.operations.reports import send_reports

    log_to_stderr()
    with open_operations(context) as operations:
        sent = operations.run_started(send_reports, read_configuration(context), kind, at_once=now)
    if as_json:
        print_json({"sent": [_to_dict(one) for one in sent]})
        return
    for one in sent:
        print(printable(f"{one.domain}: {one.outcome}"))
    if not sent:
        hint = "" if now else "; --now also reports on intervals that have not ended"
        print(f"nothing is due{hint}")


def _to_dict(one: Sent) -> dict[str, object]:
    return {
        "domain": one.domain,
        "begin_ms": one.begin_ms,
        "outcome": one.outcome,
        "recipients": [str(address) for address in one.recipients],
    }
