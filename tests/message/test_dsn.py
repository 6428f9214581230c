from __future__ import annotations

import dataclasses
import email
import email.policy

from hypothesis import given
from hypothesis import strategies as st

from zajil.core.address import parse_address
from zajil.message.dsn import (
    DeliveryReport,
    RecipientReport,
    build_delivery_report,
    detect_language,
)
from zajil.message.fields import read_fields, split_message
from zajil.message.parse import parse_message

AMAL = parse_address("amal@north.test")
SALMA = parse_address("سلمى@زاجل.test")
FAILED = RecipientReport(
    parse_address("nobody@south.test"),
    "failed",
    "5.1.1",
    "mx.south.test",
    "550 5.1.1 no such user",
    "There is nobody with this address.",
)
REPORT = DeliveryReport(
    reporting_mta="mx.north.test",
    arrival_date_ms=1_795_435_200_000,
    original_envelope_id=None,
    reverse_path=AMAL,
    recipients=(FAILED,),
    header_section=b"Subject: A letter\r\nMessage-ID: <one@north.test>\r\n",
    message_id="<two@mx.north.test>",
    date_ms=1_795_435_260_000,
    dsn_from=parse_address("postmaster@north.test"),
)


def parts_of(report: DeliveryReport) -> tuple[bytes, list[tuple[str, str]]]:
    data = build_delivery_report(report)
    root = parse_message(data)
    return data, [(child.type, child.text(data)) for child in root.children]


def test_a_report_has_three_parts_as_rfc_6522_says() -> None:
    """RFC 6522 section 3: for people, for programs, and what is returned."""
    data, parts = parts_of(REPORT)
    root = parse_message(data)
    assert root.type == "multipart/report"
    assert root.content_type.parameters["report-type"] == "delivery-status"
    assert [kind for kind, _ in parts] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert "There is nobody with this address." in parts[0][1]
    assert "550 5.1.1 no such user" in parts[0][1]
    assert parts[2][1].startswith("Subject: A letter\r\n")
    assert data.isascii()


def test_the_status_part_for_programs() -> None:
    """RFC 3464 section 2.1.1: a group of fields for the message, one for each recipient."""
    _, parts = parts_of(REPORT)
    message, recipient = parts[1][1].split("\r\n\r\n")
    assert message == (
        "Reporting-MTA: dns; mx.north.test\r\nArrival-Date: Mon, 23 Nov 2026 12:00:00 +0000"
    )
    assert recipient.split("\r\n")[:5] == [
        "Final-Recipient: rfc822; nobody@south.test",
        "Action: failed",
        "Status: 5.1.1",
        "Remote-MTA: dns; mx.south.test",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user",
    ]


def test_a_report_says_whose_answer_it_is_and_that_no_robot_should_reply() -> None:
    data = build_delivery_report(REPORT)
    fields = {field.name: field.value for field in read_fields(data[: split_message(data)[0]])}
    assert fields[b"in-reply-to"] == b" <one@north.test>"
    assert fields[b"auto-submitted"] == b" auto-replied"
    assert fields[b"to"] == b" amal@north.test"
    assert fields[b"subject"] == b" Not delivered: A letter"


def test_the_standard_library_reads_the_status_fields() -> None:
    message = email.message_from_bytes(build_delivery_report(REPORT), policy=email.policy.default)
    status = list(message.walk())[2]
    groups = [dict(group.items()) for group in status.get_payload()]  # type: ignore[union-attr]
    assert groups[1]["Action"] == "failed"


def test_delayed_says_until_when_we_try() -> None:
    item = dataclasses.replace(FAILED, action="delayed", status="4.4.1")
    report = dataclasses.replace(REPORT, recipients=(item,), retry_until_ms=1_795_867_200_000)
    data, parts = parts_of(report)
    assert "Will-Retry-Until: Sat, 28 Nov 2026 12:00:00 +0000" in parts[1][1]
    assert "until Sat, 28 Nov 2026" in parts[0][1]
    assert b"Subject: Delayed: A letter" in data


def test_utf_8_recipient_for_an_ascii_sender_stays_ascii() -> None:
    """RFC 6533 section 3: the status part is encoded where the way is not known to be 8-bit."""
    item = dataclasses.replace(FAILED, address=SALMA)
    data, parts = parts_of(dataclasses.replace(REPORT, recipients=(item,)))
    assert data.isascii()
    assert parts[1][0] == "message/global-delivery-status"
    assert "Final-Recipient: utf-8; سلمى@زاجل.test" in parts[1][1]


def test_utf_8_sender_gets_raw_utf_8() -> None:
    header = "Subject: تحية\r\nFrom: سلمى@زاجل.test\r\n".encode()
    data, parts = parts_of(dataclasses.replace(REPORT, reverse_path=SALMA, header_section=header))
    assert "To: سلمى@زاجل.test\r\n".encode() in data
    assert parts[2] == ("message/global-headers", header.decode())


def test_arabic_mail_gets_an_arabic_report_first() -> None:
    report = dataclasses.replace(
        REPORT,
        header_section="Subject: تحية\r\n".encode(),
        language=detect_language("Subject: تحية\r\n".encode(), AMAL),
    )
    data, parts = parts_of(report)
    text = parts[0][1]
    assert 0 <= text.index("تعذّر تسليم رسالتك") < text.index("could not be delivered")
    assert parse_message(data).type == "multipart/report"


def test_language_is_found_in_names_and_addresses() -> None:
    assert detect_language(b"Subject: =?utf-8?B?2LPZhNin2YU=?=\r\n", None) == "ar"
    assert detect_language(b"Subject: hello\r\n", SALMA) == "ar"
    assert detect_language(b"Subject: hello\r\n", AMAL) == "en"
    assert detect_language(b"\xff\xfe", None) == "en"


def test_what_a_peer_says_cannot_add_fields() -> None:
    """Attacks D: the diagnostic is the peer's, whatever it holds."""
    item = dataclasses.replace(
        FAILED,
        diagnostic="550 no\r\n\r\nFinal-Recipient: rfc822; evil@x.test\u202e",
        remote_mta="mx\r\nAction: delivered",
        reason="x" * 5000,
    )
    data, parts = parts_of(dataclasses.replace(REPORT, recipients=(item,)))
    assert "\r\nFinal-Recipient: rfc822; evil" not in parts[1][1]
    assert "\r\nAction: delivered" not in parts[1][1]
    assert "\u202e" not in parts[0][1]
    assert len(data) < 8000


@given(st.binary(max_size=400), st.text(max_size=300), st.text(max_size=100))
def test_any_header_section_and_any_words_make_a_report(
    header: bytes, diagnostic: str, host: str
) -> None:
    item = dataclasses.replace(FAILED, diagnostic=diagnostic, remote_mta=host, reason=diagnostic)
    for reverse_path in (AMAL, SALMA):
        report = dataclasses.replace(
            REPORT, header_section=header, recipients=(item,), reverse_path=reverse_path
        )
        data = build_delivery_report(report)
        root = parse_message(data)
        assert len(root.children) == 3
        assert not root.defects
        assert max(map(len, data.split(b"\r\n"))) <= 998
        assert b"\n" not in data.replace(b"\r\n", b"")
        assert b"\r" not in data.replace(b"\r\n", b"")
        assert data.isascii() or reverse_path is SALMA
