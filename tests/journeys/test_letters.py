"""A letter goes from one domain to another and arrives byte for byte."""

from __future__ import annotations

import email
import email.policy
import uuid

import pytest

from kit.lab_process import LabDomain
from kit.mailbox import wait_for_message


def make_message(sender: str, to: str, body: str) -> tuple[str, bytes]:
    """Give a Message-ID, and a complete message that holds it."""
    message_id = f"<{uuid.uuid4()}@letters.test>"
    lines = [
        f"From: {sender}",
        f"To: {to}",
        "Date: Mon, 23 Nov 2026 12:00:00 +0000",
        f"Message-ID: {message_id}",
        "Subject: رسالة of two lines",
        " folded as it was",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        body,
        "..a line of dots, and one alone:",
        ".",
        "\ttabs  and  trailing spaces \t ",
        "",
    ]
    return message_id, "\r\n".join(lines).encode()


def without_trace_fields(received: bytes, sent: bytes) -> bytes:
    """Give what is left when the fields we added on top are cut off."""
    added = received[: len(received) - len(sent)]
    names = [line.partition(b":")[0] for line in added.split(b"\r\n") if line[:1].strip()]
    ours = {b"Return-Path", b"Delivered-To", b"Received", b"Authentication-Results"}
    allowed = {*ours, b"DKIM-Signature"}
    assert set(names) <= allowed, names
    assert added.endswith(b"\r\n")
    return received[len(received) - len(sent) :]


@pytest.mark.parametrize("service", ["submission", "submissions"])
def test_north_writes_to_south(north: LabDomain, south: LabDomain, service: str) -> None:
    writer, reader = north.accounts[1], south.accounts[0]
    message_id, letter = make_message(writer.address, reader.address, "وجد الزاجل طريقه")
    connect = north.submission if service == "submission" else north.submissions
    with connect(writer) as client:
        client.sendmail(writer.address, [reader.address], letter, ["BODY=8BITMIME", "SMTPUTF8"])
    with south.imap(reader) as mailbox:
        received = wait_for_message(mailbox, "HEADER", "Message-ID", message_id)
    assert without_trace_fields(received, letter) == letter


def test_south_writes_to_the_arabic_domain_and_is_answered(
    south: LabDomain, zajil: LabDomain
) -> None:
    """RFC 6531: the address is UTF-8 on the wire, the domain may be either form."""
    writer, reader = south.accounts[1], zajil.accounts[0]
    assert reader.address == "سلمى@زاجل.test"
    message_id, letter = make_message(writer.address, reader.address, "السلام عليكم")
    with south.submission(writer) as client:
        client.sendmail(writer.address, [reader.address], letter, ["BODY=8BITMIME", "SMTPUTF8"])
    with zajil.imap(reader) as mailbox:
        received = wait_for_message(mailbox, "HEADER", "Message-ID", message_id)
    assert without_trace_fields(received, letter) == letter
    answer_id, answer = make_message(reader.address, writer.address, "وعليكم السلام")
    on_wire = f"سلمى@{zajil.ascii_domain}"
    with zajil.submission(reader) as client:
        client.sendmail(on_wire, [writer.address], answer, ["BODY=8BITMIME", "SMTPUTF8"])
    with south.imap(writer) as mailbox:
        received = wait_for_message(mailbox, "HEADER", "Message-ID", answer_id)
    assert without_trace_fields(received, answer) == answer


def test_a_large_letter(north: LabDomain, south: LabDomain) -> None:
    """Bodies over 256 KiB lie in files of their own, and arrive the same."""
    writer, reader = north.accounts[0], south.accounts[1]
    body = "\r\n".join(f"{number:06} {'x' * 70}" for number in range(8000))
    message_id, letter = make_message(writer.address, reader.address, body)
    with north.submission(writer) as client:
        client.sendmail(writer.address, [reader.address], letter, ["BODY=8BITMIME", "SMTPUTF8"])
    with south.imap(reader) as mailbox:
        received = wait_for_message(mailbox, "HEADER", "Message-ID", message_id)
    assert without_trace_fields(received, letter) == letter


def test_within_one_domain(north: LabDomain) -> None:
    writer, reader = north.accounts
    message_id, letter = make_message(writer.address, reader.address, "next door")
    with north.submission(writer) as client:
        client.sendmail(writer.address, [reader.address], letter, ["BODY=8BITMIME", "SMTPUTF8"])
    with north.imap(reader) as mailbox:
        received = wait_for_message(mailbox, "HEADER", "Message-ID", message_id)
    assert without_trace_fields(received, letter) == letter


def test_what_is_missing_is_added_and_bcc_goes(north: LabDomain) -> None:
    """RFC 6409 section 8: Date and Message-ID are added; RFC 5322 section 3.6.3: Bcc removed."""
    writer, reader = north.accounts
    token = uuid.uuid4().hex
    letter = (
        f"From: {writer.address}\r\nTo: {reader.address}\r\nBcc: {writer.address}\r\n"
        f"Subject: {token}\r\n\r\nhello\r\n"
    )
    with north.submission(writer) as client:
        client.sendmail(writer.address, [reader.address], letter)
    with north.imap(reader) as mailbox:
        received = wait_for_message(mailbox, "SUBJECT", token)
    message = email.message_from_bytes(received, policy=email.policy.default)
    assert message["Date"]
    assert message["Message-ID"]
    assert message["Bcc"] is None
