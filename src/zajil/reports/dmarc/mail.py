"""The mails that carry reports: how ours are written, and where theirs have the report.

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
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.reports.dmarc.failure import FailureReport, read_failure_report
from zajil.reports.dmarc.read_xml import read_report
from zajil.reports.dmarc.report import AggregateReport
from zajil.reports.dmarc.write_xml import write_report
from zajil.reports.packing import MAX_PACKED, BadReport, is_packed, pack_report, unpack_report

MAX_TRIED = 4
"""Attachments that are looked into: a report is the only one of its mail."""

_XML_TYPES = frozenset({"text/xml", "application/xml"})
_PACKED_TYPES = frozenset(
    {
        *("application/gzip", "application/x-gzip", "application/gzip-compressed"),
        *("application/zip", "application/x-zip-compressed", "application/x-zip"),
        "application/octet-stream",
    }
)
_HEADER_TYPES = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
)


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


# ---- theirs -------------------------------------------------------------------------------------


def read_report_mail(message: bytes) -> AggregateReport | FailureReport:
    """Find the report in a mail, and read it.

    Raises:
        BadReport: there is none, or it cannot be read.
    """
    root = parse_message(message)
    parts = [part for _, part in root.walk()]
    for place, part in enumerate(parts):
        if part.type == "message/feedback-report":
            return _read_failure(message, part, parts[place + 1 :])
    error = BadReport("there is no report in it")
    tried = 0
    for part in parts:
        if not _may_be_report(part):
            continue
        if (tried := tried + 1) > MAX_TRIED:
            break
        try:
            return read_packed_report(_content(message, part))
        except BadReport as why:
            error = why
    raise error


def read_packed_report(data: bytes) -> AggregateReport:
    """Read a report, packed or not.

    Raises:
        BadReport: it cannot be read.
    """
    return read_report(unpack_report(data))


def looks_like_report(data: bytes) -> bool:
    """Whether a file is a report by itself, and no mail that carries one."""
    return is_packed(data) or data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _may_be_report(part: Part) -> bool:
    if part.is_multipart or part.is_message:
        return False
    name = (part.filename or "").lower()
    return (
        part.type in _XML_TYPES
        or part.type in _PACKED_TYPES
        or name.endswith((".xml", ".xml.gz", ".gz", ".zip"))
    )


def _content(message: bytes, part: Part) -> bytes:
    # Base64 takes four thirds, and line ends.
    if part.body_end - part.body_start > MAX_PACKED * 3 // 2:
        raise BadReport("the report is too large")
    return part.content(message)


def _read_failure(message: bytes, part: Part, after: list[Part]) -> FailureReport:
    enclosed = next((one for one in after if one.type in _HEADER_TYPES), None)
    header = b"" if enclosed is None else _content(message, enclosed)
    return read_failure_report(_content(message, part), header)
