"""``zajil dmarc reports``: what others saw of our domains, and what we tell them of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.configured import opened_store, read_configuration
from zajil.cli.message_file import read_bounded
from zajil.cli.output import AsJson, print_json, print_table, printable, spell_time

if TYPE_CHECKING:
    from zajil.operations.dmarc_reports import ReportSurroundings
    from zajil.reports.dmarc.failure import FailureReport
    from zajil.reports.dmarc.report import AggregateReport, ReportRow
    from zajil.store.reports.received import SourceSummary, StoredReport

_DAY_MS = 86_400_000

reports_app = typer.Typer(
    name="reports",
    help="Reports of others about our domains, and ours to them.",
    invoke_without_command=True,
)


@reports_app.callback()
def list_all(
    context: typer.Context,
    domain: Annotated[
        str | None, typer.Option(help="About one domain of ours; default: all.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Received in the last so many days.")] = 30,
    limit: Annotated[int, typer.Option(min=1, help="At most so many of each list.")] = 100,
    proven: Annotated[
        bool, typer.Option("--proven", help="Only those whose own mail passed DMARC.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the reports about our domains, and what they say of each source of mail.

    A source is new if the first report of it is in the last tenth of the time.

    Exit status: 0 done, 2 wrong usage.
    """
    if context.invoked_subcommand is not None:
        return
    from zajil.core.domain import to_ascii
    from zajil.net.system import SystemClock
    from zajil.operations.dmarc_reports import collect_reports
    from zajil.store.reports.received import ReportQuery, list_reports, summarize_sources

    now_ms = SystemClock().now_ms()
    name = to_ascii(domain) if domain else None
    query = ReportQuery(name, now_ms - days * _DAY_MS, proven, limit)
    with opened_store(context) as store:
        collect_reports(store, _surroundings(context))
    with opened_store(context) as store:
        reports = store.read_now(lambda conn: list_reports(conn, query))
        sources = store.read_now(lambda conn: summarize_sources(conn, query))
    new_since_ms = now_ms - days * _DAY_MS // 10
    if as_json:
        found = [_source_dict(one, new_since_ms) for one in sources]
        print_json({"reports": [asdict(one) for one in reports], "sources": found})
        return
    _print_reports(reports)
    _print_sources(sources, new_since_ms)


@reports_app.command("show")
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="As the list shows it.")],
    as_json: AsJson = False,
) -> None:
    """Show one report with everything in it.

    Exit status: 0 done, 1 there is no such report, 2 wrong usage.
    """
    from zajil.reports.dmarc.codec import from_store
    from zajil.reports.dmarc.report import AggregateReport
    from zajil.store.reports.received import load_report

    with opened_store(context) as store:
        loaded = store.read_now(lambda conn: load_report(conn, number))
    stored, report = loaded.stored, from_store(loaded)
    if as_json:
        print_json({**asdict(stored), "report": asdict(report)})
        return
    _print_reports([stored])
    print()
    if isinstance(report, AggregateReport):
        _print_aggregate(report)
    else:
        _print_failure(report)


@reports_app.command("import")
def bring(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="XML, .gz, .zip, or a whole mail; - reads stdin.")
    ],
    as_json: AsJson = False,
) -> None:
    """Keep a report that came another way, as if it had come by mail.

    Exit status: 0 done, or it was there already; 1 it is no report, or not about a domain of ours;
    2 wrong usage.
    """
    from zajil.net.system import SystemClock
    from zajil.operations.dmarc_reports import import_report

    content = read_bounded(file)
    with opened_store(context) as store:
        number = import_report(store, content, SystemClock().now_ms())
    if as_json:
        print_json({"id": number, "new": number is not None})
    elif number is None:
        print("this report is there already")
    else:
        print(f"kept as report {number}")


@reports_app.command("send")
def send(
    context: typer.Context,
    now: Annotated[
        bool, typer.Option("--now", help="Report on the intervals that are still open, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send the reports that are due; a running server does it by itself.

    Exit status: 0 done, also if there was none; 2 wrong usage.
    """
    from zajil.operations.dmarc_reports import send_reports

    with opened_store(context) as store:
        sent = send_reports(store, _surroundings(context), at_once=now)
    if as_json:
        found = [
            {
                "domain": one.domain,
                "begin_ms": one.begin_ms,
                "outcome": one.outcome,
                "recipients": [str(address) for address in one.recipients],
            }
            for one in sent
        ]
        print_json({"sent": found})
        return
    for one in sent:
        print(printable(f"{one.domain}: {one.outcome}"))
    if not sent:
        print("nothing is due" if now else "nothing is due; --now ends the open intervals")


def _surroundings(context: typer.Context) -> ReportSurroundings:
    from zajil.net.system import SystemClock, system_random
    from zajil.operations.dmarc_reports import ReportSurroundings

    return ReportSurroundings(read_configuration(context), SystemClock(), system_random)


def _source_dict(source: SourceSummary, new_since_ms: int) -> dict[str, Any]:
    return {**asdict(source), "new": source.first_ms >= new_since_ms}


def _print_reports(reports: Sequence[StoredReport]) -> None:
    rows = [
        (
            str(one.id),
            one.kind,
            one.domain,
            one.organization[:40] or one.sender,
            spell_time(one.begin_ms),
            spell_time(one.end_ms),
            str(one.messages),
            str(one.messages - one.passed),
            "yes" if one.is_proven else "no",
        )
        for one in reports
    ]
    titles = ("ID", "KIND", "DOMAIN", "REPORTER", "FROM", "TO", "MAILS", "FAILED", "PROVEN")
    print_table(titles, rows)


def _print_sources(sources: Sequence[SourceSummary], new_since_ms: int) -> None:
    if not sources:
        return
    print()
    rows = [
        (
            one.domain,
            one.source_ip,
            str(one.messages),
            str(one.passed),
            str(one.messages - one.passed),
            str(one.dkim_passed),
            str(one.spf_passed),
            spell_time(one.last_ms),
            "new" if one.first_ms >= new_since_ms else "",
        )
        for one in sources
    ]
    print_table(("DOMAIN", "SOURCE", "MAILS", "PASSED", "FAILED", "DKIM", "SPF", "LAST", ""), rows)


def _print_aggregate(report: AggregateReport) -> None:
    policy = report.policy
    print(printable(f"policy of {policy.domain}: p={policy.policy} sp={policy.subdomain_policy}"))
    for error in report.errors:
        print(printable(f"error: {error}"))
    rows = [
        (
            row.source_ip,
            str(row.count),
            row.disposition,
            row.dkim,
            row.spf,
            row.header_from,
            row.envelope_from or "",
            _details(row),
        )
        for row in report.rows
    ]
    titles = ("SOURCE", "MAILS", "DONE", "DKIM", "SPF", "FROM", "MAIL FROM", "RESULTS")
    print_table(titles, rows)


def _details(row: ReportRow) -> str:
    return ", ".join(
        [
            *[f"dkim={one.result} {one.domain}/{one.selector}" for one in row.dkim_results[:3]],
            *[f"spf={one.result} {one.domain}" for one in row.spf_results],
            *[f"{one.type} {one.comment}".strip() for one in row.overrides],
        ]
    )


def _print_failure(report: FailureReport) -> None:
    for name, value in asdict(report).items():
        if value and name != "header":
            print(printable(f"{name.replace('_', ' ')}: {value}"))
    print()
    for line in report.header.splitlines():
        print(printable(line))
