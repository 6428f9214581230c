"""Targets of the fuzzer for reports of DMARC."""

from __future__ import annotations

import gzip
from contextlib import suppress
from dataclasses import fields
from typing import Any

from kit.fuzz import Target
from kit.fuzz_seeds import ARCHIVES
from kit.mail import NOON_MS
from kit.reports import OLD_REPORT, REPORT, TLS_REPORT
from zajil.core.address import parse_address
from zajil.dns.flow import Answer, Outcome
from zajil.mailauth.tls_session import NO_POLICY, TlsFailure, TlsPolicy, TlsProblem, TlsSession
from zajil.reports.codec import from_store, to_store
from zajil.reports.dmarc.consent import parse_destination
from zajil.reports.dmarc.failure import MAX_HEADER, read_failure_report
from zajil.reports.dmarc.read_xml import read_report
from zajil.reports.dmarc.write_xml import write_report
from zajil.reports.incoming import AnyReport, read_report_mail
from zajil.reports.kind import ReportOrder
from zajil.reports.packing import MAX_UNPACKED, BadReport, pack_report, unpack_report
from zajil.reports.tls.counts import TlsCounts
from zajil.reports.tls.json_format import MAX_TEXT, read_tls_report, write_tls_report
from zajil.reports.tls.report import TLS_INTERVAL_MS, TlsReport
from zajil.reports.tls.sending import TlsReports, read_tls_record
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
_TLS = (
    write_tls_report(TLS_REPORT),
    b'{"policies":[{"policy":{"policy-domain":"a.test"}}],"date-range":{"start-datetime":'
    b'"2026-01-01T00:00:00","end-datetime":"2026-01-01T23:59:59Z"}}',
    b"[]",
    b"[" * 5000,
)
_TLS_TEXTS = (b"certificate has expired", b"a\r\nSubject: x", "انتهت".encode())
_RECORD = b"v=TLSRPTv1; rua=mailto:a@b.test,https://c.test"
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
        Target("tls-report-json", _tls, _TLS, (b'"policies":[', b"{}", b"null", b"\\ud800")),
        Target("tls-session", _tls_session, _TLS_TEXTS, (b"\r\n", b"\x00", b'"', b"=_")),
        Target("tls-report-record", _tls_record, (_RECORD,), (b";", b"=", b",")),
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


def _through_the_store(report: AnyReport) -> AnyReport:
    """Return a report as it comes back out of the columns that the store keeps."""
    new = to_store(report, sender="", is_proven=False, received_ms=0)
    columns: dict[str, Any] = {
        field.name: getattr(new, field.name, 0) for field in fields(StoredReport)
    }
    rows = tuple([(row.content, row.count) for row in new.rows])
    return from_store(LoadedReport(StoredReport(**columns), new.content, rows))


def _tls(data: bytes) -> None:
    with suppress(BadReport):
        report = read_tls_report(data)
        assert read_tls_report(write_tls_report(report)) == report
        assert _through_the_store(report) == report


def _tls_session(data: bytes) -> None:
    """What a hostile server says ends up in the report about it, and nowhere else."""
    text = data.decode("utf-8", "replace").replace("\0", "?")[:MAX_TEXT]
    policy = TlsPolicy("sts", (text,), (text,))
    failed = TlsSession(policy, TlsProblem(TlsFailure.OTHER, text), text, "192.0.2.1")
    counts = TlsCounts(lambda _: None, TLS_INTERVAL_MS)
    for session in (failed, failed, TlsSession(NO_POLICY)):
        counts.note(0, "north.test", session)
    (interval,) = counts.take()
    sender = parse_address("tls-reports@south.test")
    order = ReportOrder(
        domain="north.test",
        begin_s=0,
        end_s=1,
        details=interval.details,
        rows=tuple([(row.content, row.count) for row in interval.rows]),
        submitter="mx.south.test",
        sender=sender,
        recipients=(sender,),
        report_id="1@mx.south.test",
        at_ms=NOON_MS,
    )
    report = read_report_mail(TlsReports().write(order).message)
    assert isinstance(report, TlsReport)
    assert (report.sessions, report.succeeded) == (3, 1)
    assert report.policies[0].failures[0].reason == text


def _tls_record(data: bytes) -> None:
    text = data.decode("latin-1")
    assert "" not in read_tls_record((text,))
    flow = TlsReports().find_destinations("north.test", "")
    question = next(flow)
    with suppress(StopIteration):
        flow.send(Answer(question=question, outcome=Outcome.FOUND, values=(text,)))


def _address(data: bytes) -> None:
    found = parse_destination(data.decode("latin-1"))
    assert found is None or not set("\r\n\0") & set(str(found))
