"""TLS reports: their JSON, the mails that carry them, what is counted (RFC 8460)."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.policy import default

import pytest

from kit.reports import BEGIN_S, TLS_REPORT
from zajil.core.address import parse_address
from zajil.mailauth.tls_session import (
    NO_POLICY,
    TlsFailure,
    TlsPolicy,
    TlsProblem,
    TlsSession,
)
from zajil.reports.incoming import looks_like_report, read_packed_report, read_report_mail
from zajil.reports.packing import BadReport, pack_report, unpack_report
from zajil.reports.tls.counts import TlsCounts, decode_session, encode_session, sum_up
from zajil.reports.tls.json_format import read_tls_report, write_tls_report
from zajil.reports.tls.mail import build_tls_report_mail
from zajil.reports.tls.report import TLS_INTERVAL_MS, TlsReport
from zajil.reports.tls.sending import read_tls_record
from zajil.store.reports.intervals import CountedInterval

# RFC 8460 appendix B, with "policy-string" as several reporters write it: one text.
EXAMPLE = b"""{
  "organization-name": "Company-X",
  "date-range": {
    "start-datetime": "2016-04-01T00:00:00Z",
    "end-datetime": "2016-04-01T23:59:59Z"
  },
  "contact-info": "sts-reporting@company-x.example",
  "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
  "policies": [{
    "policy": {
      "policy-type": "sts",
      "policy-string": "version: STSv1",
      "policy-domain": "Company-Y.example.",
      "mx-host": "*.mail.company-y.example"
    },
    "summary": {
      "total-successful-session-count": 5326,
      "total-failure-session-count": 303
    },
    "failure-details": [{
      "result-type": "certificate-expired",
      "sending-mta-ip": "2001:db8:abcd:0012::1",
      "receiving-mx-hostname": "mx1.mail.company-y.example",
      "failed-session-count": 100
    }, {
      "result-type": "starttls-not-supported",
      "receiving-ip": "203.0.113.56",
      "failed-session-count": 200,
      "additional-information": "https://reports.company-x.example/report_info"
    }]
  }]
}"""
MAIL = build_tls_report_mail(
    TLS_REPORT,
    parse_address("tls-reports@south.test"),
    (parse_address("tls-reports@north.test"),),
    BEGIN_S * 1000,
)


def test_the_example_of_the_standard() -> None:
    report = read_tls_report(EXAMPLE)
    assert (report.domain, report.sessions, report.succeeded) == ("company-y.example", 5629, 5326)
    assert (report.begin_s, report.end_s) == (1_459_468_800, 1_459_555_199)
    (policy,) = report.policies
    assert (policy.text, policy.hosts) == (("version: STSv1",), ("*.mail.company-y.example",))
    assert [(one.result_type, one.count) for one in policy.failures] == [
        ("certificate-expired", 100),
        ("starttls-not-supported", 200),
    ]


def test_what_is_written_is_read_back() -> None:
    written = write_tls_report(TLS_REPORT)
    assert read_tls_report(written) == TLS_REPORT
    assert read_packed_report(pack_report(written)) == TLS_REPORT
    assert looks_like_report(written)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b"[]," * 1_000_000 + b"[]]", "too large"),
        (b"[1]", "not a TLS report"),
        (b'{"policies": 1}', "no policy domain"),
        (b'{"policies": [{"policy": {"policy-domain": "a b"}}]}', "no policy domain"),
        (EXAMPLE.replace(b"2016-04-01T00", b"yesterday"), "start-datetime is not a time"),
        (EXAMPLE.replace(b"2016-04-01T23", b"0001-01-01T00"), "end-datetime is not a time"),
    ],
)
def test_what_is_no_report(data: bytes, reason: str) -> None:
    with pytest.raises(BadReport, match=reason):
        read_tls_report(data)


def test_policies_of_other_domains_are_left_out() -> None:
    value = json.loads(EXAMPLE)
    other = json.loads(EXAMPLE.replace(b"Company-Y.example.", b"else.example"))
    value["policies"] += other["policies"]
    assert len(read_tls_report(json.dumps(value).encode()).policies) == 1


def test_the_mail_has_the_form_of_the_standard() -> None:
    message = message_from_bytes(MAIL, policy=default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    assert message["TLS-Report-Domain"] == "north.test"
    assert message["TLS-Report-Submitter"] == "mx.south.test"
    assert message["TLS-Required"] == "No"
    assert message["Subject"] == (
        "Report Domain: north.test Submitter: mx.south.test Report-ID: <t1@mx.south.test>"
    )
    _, file = message.iter_parts()
    assert file.get_content_type() == "application/tlsrpt+gzip"
    assert file.get_filename() == (
        f"mx.south.test!north.test!{BEGIN_S}!{BEGIN_S + 86_399}!t1mxsouthtest.json.gz"
    )
    assert unpack_report(file.get_content()) == write_tls_report(TLS_REPORT)
    assert read_report_mail(MAIL) == TLS_REPORT


@pytest.mark.parametrize(
    ("values", "places"),
    [
        (("v=TLSRPTv1; rua=mailto:a@b.test",), ("mailto:a@b.test",)),
        (
            ("v=TLSRPTv1;rua= mailto:a@b.test , https://c.test/v1 ;", "other"),
            ("mailto:a@b.test", "https://c.test/v1"),
        ),
        (("v=TLSRPTv2; rua=mailto:a@b.test",), ()),
        (("v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:c@b.test"), ()),
        (("v=TLSRPTv1",), ()),
        ((), ()),
    ],
)
def test_the_record(values: tuple[str, ...], places: tuple[str, ...]) -> None:
    assert read_tls_record(values) == places


STS = TlsPolicy("sts", ("version: STSv1", "mode: enforce", "mx: mx.south.test"), ("mx.south.test",))
FAILED = TlsSession(
    STS, TlsProblem(TlsFailure.EXPIRED, "has expired"), "mx.south.test", "192.0.2.25"
)


def test_connections_that_are_alike_are_counted_together() -> None:
    written: list[tuple[CountedInterval, ...]] = []
    counts = TlsCounts(written.append, TLS_INTERVAL_MS)
    for session in (TlsSession(STS), FAILED, FAILED, TlsSession(NO_POLICY), TlsSession(STS)):
        counts.note(BEGIN_S * 1000 + 7, "south.test", session)
    counts.flush()
    (((interval),),) = written
    assert (interval.kind, interval.domain) == ("tls", "south.test")
    assert (interval.begin_ms, interval.end_ms) == (BEGIN_S * 1000, (BEGIN_S + 86_400) * 1000)
    rows = tuple([(row.content, row.count) for row in interval.rows])
    found = sum_up("south.test", rows)
    assert [(one.type, one.succeeded, one.failed) for one in found] == [
        ("sts", 2, 2),
        ("no-policy-found", 1, 0),
    ]
    (failure,) = found[0].failures
    assert (failure.result_type, failure.count, failure.mx_host, failure.reason) == (
        *("certificate-expired", 2, "mx.south.test"),
        "has expired",
    )
    report = TlsReport(
        organization="x", contact="", report_id="1", begin_s=1, end_s=2, policies=found
    )
    assert read_tls_report(write_tls_report(report)) == report


@pytest.mark.parametrize("session", [TlsSession(NO_POLICY), TlsSession(STS), FAILED])
def test_a_session_goes_through_the_store(session: TlsSession) -> None:
    assert decode_session(encode_session(session)) == session
