"""Targets of the fuzzer for reports of DMARC."""

from __future__ import annotations

import gzip
from contextlib import suppress
from dataclasses import fields
from typing import Any

from kit.fuzz import Target
from kit.fuzz_seeds import ARCHIVES
from kit.reports import OLD_REPORT, REPORT
from zajil.reports.dmarc.codec import from_store, to_store
from zajil.reports.dmarc.consent import parse_destination
from zajil.reports.dmarc.failure import MAX_HEADER, FailureReport, read_failure_report
from zajil.reports.dmarc.read_xml import read_report
from zajil.reports.dmarc.report import AggregateReport
from zajil.reports.dmarc.write_xml import write_report
from zajil.reports.packing import MAX_UNPACKED, BadReport, pack_report, unpack_report
from zajil.store.reports.received import LoadedReport, StoredReport

_XML = (
    *(
        write_report(REPORT),
        OLD_REPORT,
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + OLD_REPORT,
        b"<a>" * 99,
    ),
    *(OLD_REPORT.replace(b">", b">x", 9), OLD_REPORT.replace(b"<", b"< ", 9), b"<feedback/>"),
    *(
        OLD_REPORT[:300],
        OLD_REPORT.replace(b"192.0.2", b"x"),
        OLD_REPORT.replace(b"<count>", b"<count>x"),
    ),
    OLD_REPORT.replace(b"<domain>", b"<domain>.."),
)
_MARKS = (b"<!DOCTYPE x [", b"<!ENTITY a 'b'>", b"&a;", b"<record>", b"</record>", b"<![CDATA[")
_FEEDBACK = (
    b"Feedback-Type: auth-failure\r\nAuth-Failure: dmarc\r\nReported-Domain: north.test\r\n"
    b"Source-IP: 192.0.2.2\r\nIncidents: 3\r\nArrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"Original-Mail-From: <a@b.test>\r\n\r\nFrom: amal@north.test\r\n",
)
_PACKED = (
    *(b"\x1f\x8b\x08x", b"PK\x03\x04" + bytes(9), b"x", gzip.compress(b"x" * 9_000_000, mtime=0)),
    *(ARCHIVES[0], ARCHIVES[4], ARCHIVES[5], ARCHIVES[8]),
    gzip.compress(OLD_REPORT, mtime=0),
    b"PK\x03\x04" + bytes(26) + OLD_REPORT,
)


def report_targets() -> list[Target]:
    """Return the targets."""
    return [
        Target("dmarc-report-xml", _xml, _XML, _MARKS),
        Target("dmarc-report-file", _file, _PACKED, (b"\x1f\x8b\x08", b"PK\x03\x04", b"\x08\x00")),
        Target("feedback-report", _feedback, _FEEDBACK, (b"(", b"\r\n ", b"=?utf-8?q?", b"<>")),
        Target("report-address", _address, (b"mailto:a@b.test!10m",), (b"%0d%0a", b"!", b"?")),
    ]


def _xml(data: bytes) -> None:
    try:
        report = read_report(data)
    except BadReport:
        return
    again = read_report(write_report(report))
    assert (again.rows, again.policy) == (report.rows, report.policy)
    assert _through_the_store(report) == report


def _file(data: bytes) -> None:
    with suppress(BadReport):
        found = unpack_report(data)
        assert len(found) <= MAX_UNPACKED
        assert unpack_report(pack_report(found)) == found


def _feedback(data: bytes) -> None:
    body, _, header = data.partition(b"\r\n\r\n")
    with suppress(BadReport):
        report = read_failure_report(body, header)
        assert len(report.header) <= MAX_HEADER
        assert "\0" not in report.header
        assert _through_the_store(report) == report


def _through_the_store(
    report: AggregateReport | FailureReport,
) -> AggregateReport | FailureReport:
    """Return a report as it comes back out of the columns that the store keeps."""
    new = to_store(report, sender="", is_proven=False, received_ms=0)
    columns: dict[str, Any] = {
        field.name: getattr(new, field.name, 0) for field in fields(StoredReport)
    }
    rows = tuple([(row.content, row.count) for row in new.rows])
    return from_store(LoadedReport(StoredReport(**columns), new.content, rows))


def _address(data: bytes) -> None:
    found = parse_destination(data.decode("latin-1"))
    assert found is None or not set("\r\n\0") & set(str(found))
