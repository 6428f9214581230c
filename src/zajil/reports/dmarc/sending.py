"""What aggregate reports to others have of their own (RFC 9990 section 3): consent, the mail."""

from __future__ import annotations

from zajil.core.directory import REPORTS_LOCAL_PART
from zajil.dns.flow import Flow
from zajil.reports.dmarc.codec import decode_details, decode_row
from zajil.reports.dmarc.consent import find_consent
from zajil.reports.dmarc.mail import ReportMail, build_report_mail
from zajil.reports.dmarc.report import DMARC, AggregateReport
from zajil.reports.kind import Destinations, ReportKind, ReportOrder, WrittenReport

GENERATOR = "Zajil"


class DmarcReports(ReportKind):
    """Aggregate reports of DMARC."""

    name = DMARC
    title = "DMARC report"
    local_part = REPORTS_LOCAL_PART

    def __init__(self, contact: str) -> None:
        """Make the kind; ``contact`` stands in each report (``check.dmarc.report_contact``)."""
        self._contact = contact

    def find_destinations(self, domain: str, details: str) -> Flow[Destinations]:
        """Return which of the places that the record names take reports on its domain."""
        _, report_to = decode_details(details)
        return find_consent(domain, report_to)

    def write(self, order: ReportOrder) -> WrittenReport:
        """Write the mail with the XML in it."""
        report = self.make(order)
        message = build_report_mail(
            ReportMail(
                report,
                order.submitter,
                order.sender,
                order.recipients,
                f"<{order.report_id}>",
                order.at_ms,
            )
        )
        return WrittenReport(message, f"{report.messages} messages")

    def make(self, order: ReportOrder) -> AggregateReport:
        """Make the report as values."""
        policy, _ = decode_details(order.details)
        return AggregateReport(
            organization=order.submitter,
            email=str(order.sender),
            report_id=order.report_id,
            begin_s=order.begin_s,
            end_s=order.end_s,
            policy=policy,
            rows=tuple([decode_row(content, count) for content, count in order.rows]),
            contact=self._contact,
            generator=GENERATOR,
        )
