"""Mails that carry reports."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest

from kit.mail import make_message
from kit.reports import BEGIN_S, REPORT
from zajil.core.address import parse_address
from zajil.reports.dmarc.failure import FailureReport
from zajil.reports.dmarc.mail import ReportMail, build_report_mail, report_file_name
from zajil.reports.dmarc.write_xml import write_report
from zajil.reports.incoming import looks_like_report, read_report_mail
from zajil.reports.packing import BadReport, unpack_report

MAIL = build_report_mail(
    ReportMail(
        REPORT,
        "mx.south.test",
        parse_address("dmarc-reports@south.test"),
        (parse_address("dmarc-reports@north.test"),),
        "<r1@mx.south.test>",
        BEGIN_S * 1000,
    )
)


def test_the_mail_has_the_form_of_the_standard() -> None:
    message = message_from_bytes(MAIL, policy=default)
    assert message["Subject"] == (
        "Report Domain: north.test Submitter: mx.south.test Report-ID: <r1@mx.south.test>"
    )
    (attachment,) = message.iter_attachments()
    assert attachment.get_content_type() == "application/gzip"
    assert attachment.get_filename() == (
        f"mx.south.test!north.test!{BEGIN_S}!{BEGIN_S + 86_399}!r1.xml.gz"
    )
    assert attachment.get_filename() == report_file_name(REPORT, "mx.south.test")
    assert unpack_report(attachment.get_content()) == write_report(REPORT)


def test_the_report_of_a_mail_is_found() -> None:
    assert read_report_mail(MAIL) == REPORT


def test_a_mail_without_a_report_says_so() -> None:
    with pytest.raises(BadReport, match="no report in it"):
        read_report_mail(make_message())


def test_a_mail_that_is_the_report_itself_reads() -> None:
    message = b"Content-Type: text/xml\r\n\r\n" + write_report(REPORT)
    assert read_report_mail(message) == REPORT


def test_a_failure_report_is_found_with_the_header_it_is_about() -> None:
    mail = (
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"
        b"--b\r\n\r\nwords\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        b"Feedback-Type: auth-failure\r\nReported-Domain: north.test\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: amal@north.test\r\n\r\nsecret\r\n"
        b"--b--\r\n"
    )
    report = read_report_mail(mail)
    assert isinstance(report, FailureReport)
    assert report.header == "From: amal@north.test"


def test_files_and_mails_are_told_apart() -> None:
    assert looks_like_report(write_report(REPORT))
    assert not looks_like_report(MAIL)
