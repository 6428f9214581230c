"""The mails that carry TLS reports (RFC 8460 section 5.3)."""

from __future__ import annotations

from zajil.core.address import Address
from zajil.message.build import (
    NewAttachment,
    file_entity,
    multipart_entity,
    text_entity,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.reports.packing import pack_report
from zajil.reports.tls.json_format import write_tls_report
from zajil.reports.tls.report import TlsReport

PACKED_TYPE = "application/tlsrpt+gzip"
PLAIN_TYPE = "application/tlsrpt+json"


def build_tls_report_mail(
    report: TlsReport, sender: Address, recipients: tuple[Address, ...], now_ms: int
) -> bytes:
    """Write the whole message; its Message-ID is the id of the report."""
    submitter = report.organization
    subject = (
        f"Report Domain: {report.domain} Submitter: {submitter} Report-ID: <{report.report_id}>"
    )
    header = [
        write_address_field("From", [("", sender)], utf8=False),
        write_address_field("To", [("", one) for one in recipients], utf8=False),
        write_text_field("Subject", subject, utf8=False),
        write_raw_field("Date", format_date(now_ms)),
        write_raw_field("Message-ID", f"<{report.report_id}>"),
        write_raw_field("TLS-Report-Domain", report.domain),
        write_raw_field("TLS-Report-Submitter", submitter),
        # RFC 8689 section 5: a report on broken TLS must not wait for TLS.
        write_raw_field("TLS-Required", "No"),
        # RFC 3834 section 5: nobody shall answer it by a machine.
        write_raw_field("Auto-Submitted", "auto-generated"),
    ]
    failed = report.sessions - report.succeeded
    text = (
        f"This is a TLS report from {submitter} about {report.domain} (RFC 8460).\n"
        f"Connections: {report.sessions}, failed: {failed}.\n"
        "The domain's record _smtp._tls asks for it; the attachment is for programs.\n"
    )
    unique = "".join(letter for letter in report.report_id if letter.isalnum())
    period = f"{report.begin_s}!{report.end_s}"
    name = f"{submitter}!{report.domain}!{period}!{unique[:20]}.json.gz"
    attachment = NewAttachment(name, PACKED_TYPE, pack_report(write_tls_report(report)))
    parts = [text_entity(text), file_entity(attachment)]
    entity = multipart_entity("report", parts, unique, [("report-type", "tlsrpt")])
    return b"".join(header) + b"MIME-Version: 1.0\r\n" + entity
