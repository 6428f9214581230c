"""What TLS reports to others have of their own: where they go, what is in them (RFC 8460)."""

from __future__ import annotations

from zajil.core.directory import TLS_REPORTS_LOCAL_PART
from zajil.dns.flow import Flow, Outcome, Question
from zajil.reports.dmarc.consent import parse_destination
from zajil.reports.kind import Destinations, ReportKind, ReportOrder, WrittenReport
from zajil.reports.tls.counts import sum_up
from zajil.reports.tls.mail import build_tls_report_mail
from zajil.reports.tls.report import TLS, TlsReport

MAX_DESTINATIONS = 2
"""Addresses of one record that get the report."""


class TlsReports(ReportKind):
    """TLS reports."""

    name = TLS
    title = "TLS report"
    local_part = TLS_REPORTS_LOCAL_PART

    def find_destinations(self, domain: str, details: str) -> Flow[Destinations]:
        """Return the addresses in the record ``_smtp._tls`` of the domain (section 3)."""
        answer = yield Question(f"_smtp._tls.{domain}", "TXT")
        if answer.outcome is Outcome.FAILED:
            return Destinations((), (f"DNS gave no answer for _smtp._tls.{domain}.",), True)
        uris = read_tls_record(answer.values if answer.outcome is Outcome.FOUND else ())
        if not uris:
            return Destinations((), (f"{domain} asks for no TLS reports.",))
        found = [address for uri in uris if (address := parse_destination(uri)) is not None]
        # Reports by HTTPS (RFC 8460 section 5.4) are not sent; the record may name both.
        refused = () if found else (f"{domain} takes TLS reports only by HTTPS.",)
        return Destinations(tuple(dict.fromkeys(found))[:MAX_DESTINATIONS], refused)

    def write(self, order: ReportOrder) -> WrittenReport:
        """Write the mail with the JSON in it."""
        report = TlsReport(
            organization=order.submitter,
            contact=str(order.sender),
            report_id=order.report_id,
            begin_s=order.begin_s,
            end_s=order.end_s,
            policies=sum_up(order.domain, order.rows),
        )
        message = build_tls_report_mail(report, order.sender, order.recipients, order.at_ms)
        return WrittenReport(message, f"connections: {report.sessions}")


def read_tls_record(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the places for reports in TXT records; none: there is no valid record.

    RFC 8460 section 3: other records are ignored, and several count as none.
    """
    records = [value for value in values if _is_record(value)]
    if len(records) != 1:
        return ()
    for field in records[0].split(";")[1:]:
        name, equals, value = field.partition("=")
        if equals and name.strip() == "rua":
            return tuple([uri.strip() for uri in value.split(",") if uri.strip()])
    return ()


def _is_record(value: str) -> bool:
    name, _, version = value.partition(";")[0].partition("=")
    return name.strip() == "v" and version.strip() == "TLSRPTv1"
