"""The mails that carry aggregate reports of ours.

RFC 9990 section 3.5.2 says the subject, the name and the type of the attachment.
"""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.address import Address
from zajil.message.build import (
    NewAttachment,
    build_message,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.reports.dmarc.report import AggregateReport
from zajil.reports.dmarc.write_xml import write_report
from zajil.reports.packing import pack_report


@dataclass(frozen=True, slots=True)
class ReportMail:
    """What a mail with a report is made from."""

    report: AggregateReport
    submitter: str
    """Our domain: whose report it is."""
    sender: Address
    recipients: tuple[Address, ...]
    message_id: str
    now_ms: int


def report_file_name(report: AggregateReport, submitter: str) -> str:
    """Return the name of the attachment (RFC 9990 section 3.5.2)."""
    unique = "".join(letter for letter in report.report_id.partition("@")[0] if letter.isalnum())
    period = f"{report.begin_s}!{report.end_s}"
    return f"{submitter}!{report.policy.domain}!{period}!{unique}.xml.gz"


def report_subject(report: AggregateReport, submitter: str) -> str:
    """Return the Subject (RFC 9990 section 3.5.2)."""
    return (
        f"Report Domain: {report.policy.domain} Submitter: {submitter} "
        f"Report-ID: <{report.report_id}>"
    )


def build_report_mail(mail: ReportMail) -> bytes:
    """Write the whole message."""
    report = mail.report
    header = [
        write_address_field("From", [("", mail.sender)], utf8=False),
        write_address_field("To", [("", one) for one in mail.recipients], utf8=False),
        write_text_field("Subject", report_subject(report, mail.submitter), utf8=False),
        write_raw_field("Date", format_date(mail.now_ms)),
        write_raw_field("Message-ID", mail.message_id),
        # RFC 3834 section 5: nobody shall answer it by a machine.
        write_raw_field("Auto-Submitted", "auto-generated"),
    ]
    text = (
        f"This is a DMARC aggregate report from {report.organization} about "
        f"{report.policy.domain}.\n"
        f"It tells of {report.messages} messages, of which {report.passed} passed DMARC.\n"
        f"The domain's DMARC record asks for it; the attachment is for programs.\n"
    )
    name = report_file_name(report, mail.submitter)
    attachment = NewAttachment(name, "application/gzip", pack_report(write_report(report)))
    unique = "".join(letter for letter in report.report_id if letter.isalnum())
    return build_message(header, text, attachments=[attachment], unique=unique)
