"""The mails that carry reports of others: where the report is, and what kind it is."""

from __future__ import annotations

from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.reports.dmarc.failure import FailureReport, read_failure_report
from zajil.reports.dmarc.read_xml import read_report
from zajil.reports.dmarc.report import AggregateReport
from zajil.reports.packing import MAX_PACKED, BadReport, is_packed, unpack_report
from zajil.reports.tls.json_format import read_tls_report
from zajil.reports.tls.mail import PACKED_TYPE, PLAIN_TYPE
from zajil.reports.tls.report import TlsReport

AnyReport = AggregateReport | FailureReport | TlsReport

MAX_TRIED = 4
"""Attachments that are looked into: a report is the only one of its mail."""

_XML_TYPES = frozenset({"text/xml", "application/xml"})
_PACKED_TYPES = frozenset(
    {
        *("application/gzip", "application/x-gzip", "application/gzip-compressed"),
        *("application/zip", "application/x-zip-compressed", "application/x-zip"),
        *("application/octet-stream", PACKED_TYPE, PLAIN_TYPE, "application/json"),
    }
)
_HEADER_TYPES = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
)


def read_report_mail(message: bytes) -> AnyReport:
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


def read_packed_report(data: bytes) -> AggregateReport | TlsReport:
    """Read a report, packed or not: XML of DMARC or JSON of TLS.

    Raises:
        BadReport: it cannot be read.
    """
    found = unpack_report(data)
    return read_tls_report(found) if _begins_with(found, b"{") else read_report(found)


def looks_like_report(data: bytes) -> bool:
    """Whether a file is a report by itself, and no mail that carries one."""
    return is_packed(data) or _begins_with(data, b"<") or _begins_with(data, b"{")


def _begins_with(data: bytes, mark: bytes) -> bool:
    return data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(mark)


def _may_be_report(part: Part) -> bool:
    if part.is_multipart or part.is_message:
        return False
    name = (part.filename or "").lower()
    return (
        part.type in _XML_TYPES
        or part.type in _PACKED_TYPES
        or name.endswith((".xml", ".json", ".gz", ".zip"))
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
