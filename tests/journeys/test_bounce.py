"""What cannot be delivered comes back as a DSN (RFC 3464)."""

from __future__ import annotations

import email
import email.policy
import uuid
from email.message import Message
from typing import cast

import pytest

from kit.lab_process import LabDomain
from kit.mailbox import wait_for_message


@pytest.mark.parametrize(
    ("recipient", "status"),
    [("nobody@south.test", "5.1.1"), ("someone@no-such-domain.test", "5.1.2")],
)
def test_the_sender_is_told(north: LabDomain, recipient: str, status: str) -> None:
    writer = north.accounts[1]
    token = uuid.uuid4().hex
    letter = (
        f"From: {writer.address}\r\nTo: {recipient}\r\nSubject: {token}\r\n"
        f"Message-ID: <{token}@letters.test>\r\n\r\nhello?\r\n"
    )
    with north.submission(writer) as client:
        client.sendmail(writer.address, [recipient], letter)
    with north.imap(writer) as mailbox:
        raw = wait_for_message(mailbox, "TEXT", token)
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    report = next(
        part for part in message.walk() if part.get_content_subtype() == "delivery-status"
    )
    _, per_recipient = cast("list[Message]", report.get_payload())
    assert per_recipient["Action"] == "failed"
    assert per_recipient["Status"] == status
    assert recipient in per_recipient["Final-Recipient"]
    assert raw.startswith(b"Return-Path: <>\r\n")
