"""``zajil tls reports``: TLS reports about the domains of this server, and those it sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

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
    from zajil.reports.tls.report import PolicyResult, TlsReport
    from zajil.store.reports.received import StoredReport

reports_app = typer.Typer(
    name="reports",
    help="TLS reports: received about local domains, and sent to others.",
    invoke_without_command=True,
)

MEANINGS = {
    "starttls-not-supported": "A mail server in the MX records did not offer STARTTLS.",
    "certificate-host-mismatch": "The certificate is not for the name in the MX record.",
    "certificate-expired": "The certificate has expired.",
    "certificate-not-trusted": "The certificate is not from an authority that the sender trusts.",
    "validation-failure": "The connection was not as secure as the policy demands.",
    "tlsa-invalid": "None of the TLSA records can be used.",
    "dnssec-invalid": "The DNSSEC signatures of the domain are not valid.",
    "dane-required": "The sender requires DANE, and the domain has no TLSA records.",
    "sts-policy-fetch-error": "The MTA-STS policy could not be fetched.",
    "sts-policy-invalid": "The MTA-STS policy is not valid.",
    "sts-webpki-invalid": "The certificate of the MTA-STS policy server is not valid.",
}


@reports_app.callback()
def list_all(
    context: typer.Context,
    domain: Domain = None,
    days: Days = 30,
    limit: Limit = 100,
    proven: Proven = False,
    as_json: AsJson = False,
) -> None:
    """List the reports about local domains, and what failed.

    Exit status: 0 done, 2 wrong usage.
    """
    if context.invoked_subcommand is not None:
        return
    from zajil.core.domain import to_ascii
    from zajil.operations.reports import collect_reports
    from zajil.reports.tls.report import TLS
    from zajil.store.reports.received import ReportQuery, list_reports

    name = to_ascii(domain) if domain else None
    with open_operations(context) as operations:
        operations.run_started(collect_reports, read_configuration(context))
        now_ms = operations.context.clock.now_ms()
    query = ReportQuery(name, now_ms - days * DAY_MS, proven, limit, (TLS,))
    with opened_store(context) as store:
        reports = store.read_now(lambda conn: list_reports(conn, query))
    if as_json:
        print_json({"reports": [asdict(one) for one in reports]})
        return
    _print_reports(reports)
    failed = [one for one in reports if one.messages > one.passed]
    if failed:
        print()
        print(f"`zajil tls reports show {failed[0].id}` shows what failed.")


@reports_app.command("show")
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="As printed by `zajil tls reports`.")],
    as_json: AsJson = False,
) -> None:
    """Show a whole report, and what its failures mean.

    Exit status: 0 done, 1 no such report, 2 wrong usage.
    """
    from zajil.reports.codec import from_store
    from zajil.reports.tls.report import TlsReport
    from zajil.store.reports.received import NoSuchReport, load_report

    with opened_store(context) as store:
        loaded = store.read_now(lambda conn: load_report(conn, number))
    stored, report = loaded.stored, from_store(loaded)
    if not isinstance(report, TlsReport):
        raise NoSuchReport(f"report {number} is not a TLS report")
    if as_json:
        print_json({**asdict(stored), "report": asdict(report)})
        return
    _print_reports([stored])
    _print_report(report)


@reports_app.command("import")
def bring(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="JSON, .gz, .zip, or a whole mail; - reads standard input."
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
    send_due(context, "tls", now=now, as_json=as_json)


def _print_reports(reports: Sequence[StoredReport]) -> None:
    rows = [
        (
            str(one.id),
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
    titles = ("ID", "DOMAIN", "REPORTER", "FROM", "TO", "CONNECTIONS", "FAILED", "PROVEN")
    print_table(titles, rows)


def _print_report(report: TlsReport) -> None:
    for policy in report.policies:
        print()
        print(printable(f"{_NAMES.get(policy.type, policy.type)} of {policy.domain}"))
        for line in policy.text:
            print(printable(f"  {line}"))
        print(f"  connections: {policy.succeeded} succeeded, {policy.failed} failed")
        _print_failures(policy)


_NAMES = {"sts": "MTA-STS policy", "tlsa": "TLSA records", "no-policy-found": "No policy"}


def _print_failures(policy: PolicyResult) -> None:
    for one in policy.failures:
        meaning = MEANINGS.get(one.result_type, "")
        print(printable(f"  {one.count} x {one.result_type}: {meaning}".rstrip(": ")))
        places = [f"server {one.mx_host}" if one.mx_host else "", one.receiving_ip, one.reason]
        details = ", ".join([text for text in places if text])
        if details:
            print(printable(f"      {details}"))
