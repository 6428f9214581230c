"""``zajil dmarc reports``: DMARC reports about the domains of this server, and those it sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zajil.cli.configured import open_operations, opened_store, read_configuration
from zajil.cli.output import AsJson, print_json, print_table, printable, spell_time
from zajil.cli.report_commands import (
    DAY_MS,
    Days,
    Domain,
    Limit,
    Now,
    Proven,
    import_file,
    send_due,
)

if TYPE_CHECKING:
    from zajil.reports.dmarc.failure import FailureReport
    from zajil.reports.dmarc.report import AggregateReport, ReportRow
    from zajil.store.reports.received import SourceSummary, StoredReport

reports_app = typer.Typer(
    name="reports",
    help="DMARC reports: received about local domains, and sent to others.",
    invoke_without_command=True,
)


@reports_app.callback()
def list_all(
    context: typer.Context,
    domain: Domain = None,
    days: Days = 30,
    limit: Limit = 100,
    proven: Proven = False,
    as_json: AsJson = False,
) -> None:
    """List the reports about local domains, and a summary for each source of mail.

    A source is new if it was first reported in the last tenth of the period.

    Exit status: 0 done, 2 wrong usage.
    """
    if context.invoked_subcommand is not None:
        return
    from zajil.core.domain import to_ascii
    from zajil.operations.reports import collect_reports
    from zajil.store.reports.received import ReportQuery, list_reports, summarize_sources

    name = to_ascii(domain) if domain else None
    with open_operations(context) as operations:
        operations.run_started(collect_reports, read_configuration(context))
        now_ms = operations.context.clock.now_ms()
    query = ReportQuery(name, now_ms - days * DAY_MS, proven, limit)
    with opened_store(context) as store:
        reports = store.read_now(lambda conn: list_reports(conn, query))
        sources = store.read_now(lambda conn: summarize_sources(conn, query))
    new_since_ms = now_ms - days * DAY_MS // 10
    if as_json:
        found = [_source_dict(one, new_since_ms) for one in sources]
        print_json({"reports": [asdict(one) for one in reports], "sources": found})
        return
    _print_reports(reports)
    _print_sources(sources, new_since_ms)


@reports_app.command("show")
def show(
    context: typer.Context,
    number: Annotated[
        int, typer.Argument(metavar="ID", help="As printed by `zajil dmarc reports`.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show a whole report.

    Exit status: 0 done, 1 no such report, 2 wrong usage.
    """
    from zajil.reports.codec import from_store
    from zajil.reports.dmarc.report import AggregateReport
    from zajil.reports.tls.report import TlsReport
    from zajil.store.reports.received import NoSuchReport, load_report

    with opened_store(context) as store:
        loaded = store.read_now(lambda conn: load_report(conn, number))
    stored, report = loaded.stored, from_store(loaded)
    if isinstance(report, TlsReport):
        raise NoSuchReport(f"report {number} is not a DMARC report")
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
        str,
        typer.Argument(
            metavar="FILE", help="XML, .gz, .zip, or a whole mail; - reads standard input."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Import a report from a file, as if it had been received by mail.

    Exit status: 0 done, or it was imported before; 1 not a report, or about another domain;
    2 wrong usage.
    """
    import_file(context, file, as_json=as_json)


@reports_app.command("send")
def send(context: typer.Context, now: Now = False, as_json: AsJson = False) -> None:
    """Send the reports that are due. A running server does this by itself.

    Exit status: 0 done, also if none was due; 2 wrong usage.
    """
    send_due(context, "dmarc", now=now, as_json=as_json)


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
