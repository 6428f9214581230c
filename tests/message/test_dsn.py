from __future__ import annotations

import dataclasses
import email
import email.policy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.core.address import parse_address
from zajil.message.dsn import (
    MAX_RETURNED,
    Action,
    DeliveryReport,
    RecipientReport,
    build_delivery_report,
    detect_language,
)
from zajil.message.encoded_word import decode_words
from zajil.message.fields import find_value, read_fields, split_message
from zajil.message.parse import parse_message

AMAL = parse_address("amal@north.test")
SALMA = parse_address("سلمى@زاجل.test")
FAILED = RecipientReport(
    address=parse_address("nobody@south.test"),
    action="failed",
    status="5.1.1",
    remote_mta="mx.south.test",
    diagnostic="550 5.1.1 no such user",
    reason="There is nobody with this address.",
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


# ---- what the sender asked for (RFC 3461) ---------------------------------------------------


def test_the_words_of_the_sender_come_back_to_him() -> None:
    """RFC 3464 section 2.2.1 and section 2.3.1: ENVID and ORCPT, decoded."""
    asked = dataclasses.replace(FAILED, original_recipient="rfc822;Team+x@south.test")
    report = dataclasses.replace(REPORT, recipients=(asked,), original_envelope_id="a=+ b")
    _, parts = parts_of(report)
    message, recipient = parts[1][1].split("\r\n\r\n")
    assert "Original-Envelope-Id: a=+ b\r\n" in message
    assert recipient.startswith(
        "Original-Recipient: rfc822; Team+x@south.test\r\n"
        "Final-Recipient: rfc822; nobody@south.test\r\n"
    )


def test_a_utf_8_original_recipient_needs_the_utf_8_kind() -> None:
    """RFC 6533 section 3."""
    asked = dataclasses.replace(FAILED, original_recipient="utf-8;سلمى@south.test")
    data, parts = parts_of(dataclasses.replace(REPORT, recipients=(asked,)))
    assert parts[1][0] == "message/global-delivery-status"
    assert "Original-Recipient: utf-8; سلمى@south.test" in parts[1][1]
    assert data.isascii()


@pytest.mark.parametrize(
    ("action", "title", "opening"),
    [
        ("delivered", "Delivered: A letter", "Your message was delivered."),
        ("relayed", "Handed on: A letter", "was handed to the next server"),
        ("delayed", "Delayed: A letter", "has not been delivered yet"),
    ],
)
def test_good_news_has_words_of_its_own(action: Action, title: str, opening: str) -> None:
    good = dataclasses.replace(FAILED, action=action, status="2.0.0", reason="")
    report = dataclasses.replace(REPORT, recipients=(good,))
    for language in ("en", "ar"):
        _, parts = parts_of(dataclasses.replace(report, language=language))
        assert f"Action: {action}\r\n" in parts[1][1]
        assert opening in parts[0][1].replace("\r\n", " ")
    fields = read_fields(split_message_header(build_delivery_report(report)))
    assert decode_words(find_value(fields, b"subject") or b"") == title


def split_message_header(data: bytes) -> bytes:
    return data[: split_message(data)[0]]


WHOLE = b"Subject: A letter\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"


def test_the_whole_message_is_returned_as_it_is() -> None:
    """RFC 3461 section 4.3 (RET=FULL); RFC 2046 section 5.2.1: no encoding of message/rfc822."""
    data = build_delivery_report(dataclasses.replace(REPORT, whole=WHOLE))
    head, _, rest = data.partition(b"\r\n\r\n")
    assert b"Content-Transfer-Encoding: 8bit" in head
    assert b"Content-Type: message/rfc822\r\n" in rest
    assert WHOLE in data


def test_a_whole_message_with_a_utf_8_header() -> None:
    """RFC 6533 section 4: message/global, encoded where the way may be ASCII."""
    whole = "Subject: تحية\r\n\r\nسلام\r\n".encode()
    data, _ = parts_of(dataclasses.replace(REPORT, whole=whole))
    assert data.isascii()
    assert b"Content-Type: message/global\r\n" in data
    assert whole in build_delivery_report(
        dataclasses.replace(REPORT, whole=whole, reverse_path=SALMA)
    )


def test_a_header_that_is_neither_ascii_nor_utf_8_is_quoted() -> None:
    """RFC 6522 section 4; message/global-headers is UTF-8 (RFC 6533 section 4)."""
    header = b"Subject: R\xe9sum\xe9\r\nFrom: a@x.test\r\n"
    data, parts = parts_of(dataclasses.replace(REPORT, header_section=header))
    assert data.isascii()
    assert b"Subject: R=E9sum=E9\r\n" in data
    assert b"Content-Type: text/rfc822-headers\r\n" in data
    assert parts[2][0] == "text/rfc822-headers"


def test_a_whole_message_with_such_a_header_is_returned_as_it_came() -> None:
    whole = b"Subject: R\xe9sum\xe9\r\n\r\nhello\r\n"
    data = build_delivery_report(dataclasses.replace(REPORT, whole=whole))
    assert b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n" in data
    assert whole in data


@pytest.mark.parametrize("bad", [b"\n", b"a\rb", b"\0", b"x" * 999])
def test_what_may_not_leave_is_not_returned(bad: bytes) -> None:
    """A bounce that cannot be sent itself tells nobody anything (SMTP smuggling)."""
    data, parts = parts_of(dataclasses.replace(REPORT, whole=WHOLE + bad))
    assert parts[2][0] == "text/rfc822-headers"
    assert b"\n" not in data.replace(b"\r\n", b"")


@given(
    st.text("abcXYZ019=+;@ -_.", min_size=1, max_size=100).map(str.strip).filter(bool),
    st.sampled_from(["rfc822", "utf-8", "x400"]),
    st.text(min_size=1, max_size=100).filter(lambda text: text.isprintable() and text.strip()),
)
def test_what_was_asked_survives_the_report(envelope_id: str, kind: str, address: str) -> None:
    """Any ENVID and ORCPT: read back by an independent reader, they are what they were."""
    address = " ".join(address.split()) or "a"
    assert_reads_back(envelope_id, kind, address)


def assert_reads_back(envelope_id: str, kind: str, address: str) -> None:
    asked = dataclasses.replace(FAILED, original_recipient=f"{kind};{address}")
    report = dataclasses.replace(
        REPORT, recipients=(asked,), original_envelope_id=" ".join(envelope_id.split())
    )
    _, parts = parts_of(report)
    unfolded = re.sub(r"\r\n[ \t]", " ", parts[1][1])
    lines = unfolded.split("\r\n")
    found = dict(line.split(": ", 1) for line in lines if ": " in line)
    assert found["Original-Envelope-Id"] == report.original_envelope_id
    assert found["Original-Recipient"] == f"{kind}; {address}"


def test_of_a_huge_header_section_the_fields_of_the_writer_are_returned() -> None:
    """A loop puts its fields on top of them, hundreds of them."""
    on_top = b"Received: from a.test\r\n\tby b.test; Mon, 23 Nov 2026 12:00:00 +0000\r\n" * 2000
    huge = dataclasses.replace(REPORT, header_section=on_top + REPORT.header_section)
    _, parts = parts_of(huge)
    returned = parts[2][1]
    assert returned.endswith("Subject: A letter\r\nMessage-ID: <one@north.test>\r\n")
    assert returned.startswith("Received: from")
    assert len(returned) <= MAX_RETURNED


def test_no_line_of_a_report_is_longer_than_998_octets() -> None:
    """RFC 5322 section 2.1.1: whatever the original and the next server say."""
    item = dataclasses.replace(
        FAILED, diagnostic="x" * 5000, reason="y" * 5000, original_recipient="rfc822;" + "z" * 500
    )
    header = b"Subject: " + b"s" * 3000 + b"\r\nMessage-ID: <" + b"m" * 900 + b"@x>\r\n"
    for raw in (b"", b"X: " + "é".encode() * 800 + b"\r\n", b"X: " + b"\xe9" * 990 + b"\r\n"):
        report = dataclasses.replace(REPORT, recipients=(item,), header_section=header + raw)
        data = build_delivery_report(report)
        assert max(map(len, data.split(b"\r\n"))) <= 998
