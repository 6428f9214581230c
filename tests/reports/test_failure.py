"""Reports about one mail (RFC 6591, RFC 9991)."""

from __future__ import annotations

import pytest

from zajil.reports.dmarc.failure import MAX_HEADER, read_failure_report
from zajil.reports.packing import BadReport

BODY = (
    b"Feedback-Type: auth-failure\r\n"
    b"Version: 1\r\n"
    b"User-Agent: SomeFilter/1.2\r\n"
    b"Auth-Failure: dmarc\r\n"
    b"Identity-Alignment: dkim, spf (both)\r\n"
    b"Authentication-Results: mx.example;\r\n dmarc=fail header.from=north.test\r\n"
    b"DKIM-Domain: north.test\r\n"
    b"DKIM-Selector: s1\r\n"
    b"Original-Mail-From: <x@evil.example>\r\n"
    b"Original-Rcpt-To: <a@south.test>\r\n"
    b"Original-Rcpt-To: <b@south.test>\r\n"
    b"Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"Source-IP: 192.0.2.2\r\n"
    b"Incidents: 7\r\n"
    b"Reported-Domain: North.Test\r\n"
)
HEADER = b"From: amal@north.test\r\nSubject: x\r\n\r\nthe body stays away\r\n"


def test_a_report_says_who_when_and_why() -> None:
    report = read_failure_report(BODY, HEADER)
    assert report.reported_domain == "north.test"
    assert (report.auth_failure, report.identity_alignment) == ("dmarc", "dkim, spf")
    assert report.recipients == ("a@south.test", "b@south.test")
    assert (report.source_ip, report.incidents) == ("192.0.2.2", 7)
    assert report.arrival_ms == 1_700_000_000_000
    assert report.authentication_results == "mx.example; dmarc=fail header.from=north.test"
    assert report.header == "From: amal@north.test\r\nSubject: x"


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"auth-failure", b"abuse"), (b"Reported-Domain: North.Test\r\nDKIM-Domain", b"X")],
)
def test_what_is_about_something_else_is_refused(old: bytes, new: bytes) -> None:
    body = BODY.replace(old, new)
    if new == b"X":
        body = BODY.replace(b"Reported-Domain", b"X").replace(b"DKIM-Domain", b"X")
    with pytest.raises(BadReport):
        read_failure_report(body, HEADER)


def test_what_is_odd_is_left_out() -> None:
    body = BODY.replace(b"192.0.2.2", b"nowhere").replace(b"Incidents: 7", b"Incidents: -1")
    report = read_failure_report(body, b"X: " + b"y" * (2 * MAX_HEADER))
    assert (report.source_ip, report.incidents) == ("", 1)
    assert len(report.header) == MAX_HEADER
