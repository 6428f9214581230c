"""Postfix hands mail to us by LMTP, and asks us for a DSN of success by SMTP."""

from __future__ import annotations

import smtplib
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.lab_process import LabDomain
from kit.mailbox import wait_for_message
from kit.postfix import Postfix, running_postfix

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def postfix(north: LabDomain, south: LabDomain) -> Iterator[Postfix]:
    """Mail for the first domain goes by LMTP, for the second by SMTP."""
    lmtp, smtp = (
        "{}:[{}]:{}".format(name, *domain.address(name))
        for domain, name in [(north, "lmtp"), (south, "smtp")]
    )
    settings = {
        "transport_maps": f"inline:{{ {{{north.domain} = {lmtp}}}, {{{south.domain} = {smtp}}} }}",
        "relay_domains": "",
        "smtp_host_lookup": "native",
        "lmtp_host_lookup": "native",
        # SPF lets this address send for the writer's domain: only then reports are sent.
        "smtp_bind_address": north.address("smtp")[0],
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="zajil-postfix-") as folder:
        Path(folder).chmod(0o755)
        try:
            with running_postfix(Path(folder), port, settings) as running:
                yield running
        finally:
            log = Path(folder, "log", "mail.log")
            print(log.read_text(errors="replace") if log.exists() else "no log")


def hand_in(postfix: Postfix, sender: str, to: list[str], token: str, *notify: str) -> None:
    host, _, port = postfix.address.rpartition(":")
    # Postfix is no server of the sender's domain, so From is somebody else: DMARC would not pass.
    letter = (
        f"From: <a@elsewhere.test>\r\nSubject: {token}\r\nMessage-ID: <{token}@y.test>\r\n\r\nx\r\n"
    )
    with smtplib.SMTP(host, int(port), "client.test", timeout=60) as client:
        client.sendmail(sender, to, letter, (), notify)


def test_lmtp_gives_a_result_for_each_recipient(postfix: Postfix, north: LabDomain) -> None:
    """RFC 2033 section 4.2: two get it, and the writer reads that the third does not exist."""
    writer, other = north.accounts
    token = uuid.uuid4().hex
    hand_in(postfix, writer.address, [writer.address, "nobody@north.test", other.address], token)
    for reader in (writer, other):
        with north.imap(reader) as mailbox:
            got = wait_for_message(mailbox, "SUBJECT", token)
        assert b" with LMTP" in got
    with north.imap(writer) as mailbox:
        report = wait_for_message(mailbox, "TEXT", '"Status: 5.1.1"', "TEXT", token)
    assert b"\r\nFinal-Recipient: rfc822; nobody@north.test\r\n" in report
    assert report.count(b"\r\nFinal-Recipient:") == 1


def test_notify_success_comes_back_as_delivered(
    postfix: Postfix, north: LabDomain, south: LabDomain
) -> None:
    """RFC 3461 section 5.2.2: Postfix passes NOTIFY on, so the DSN is ours."""
    writer, reader = north.accounts[0], south.accounts[0]
    token = uuid.uuid4().hex
    hand_in(postfix, writer.address, [reader.address], token, "NOTIFY=SUCCESS,FAILURE")
    with south.imap(reader) as mailbox:
        wait_for_message(mailbox, "SUBJECT", token)
    with north.imap(writer) as mailbox:
        report = wait_for_message(mailbox, "TEXT", '"Action: delivered"', "TEXT", token)
    assert b"\r\nReporting-MTA: dns; mx.south.test\r\n" in report
    assert f"\r\nFinal-Recipient: rfc822; {reader.address}\r\n".encode() in report
