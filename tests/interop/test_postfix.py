"""Postfix delivers to us, over TLS and not without (`smtp_tls_security_level = encrypt`)."""

from __future__ import annotations

import smtplib
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.lab_process import LabDomain, LabProcess
from kit.mailbox import wait_for_message
from kit.postfix import Postfix, running_postfix

pytestmark = pytest.mark.interop

SENDER = "writer@y.test"


@pytest.fixture(scope="module")
def postfix(lab: LabProcess) -> Iterator[Postfix]:
    """Sends what it gets for a domain of the lab there, and believes the lab's authority alone."""
    routes = [
        "{{{} = smtp:[{}]:{}}}".format(name, *domain.address("smtp"))
        for domain in lab.domains
        for name in {domain.domain, domain.ascii_domain}
    ]
    settings = {
        "transport_maps": f"inline:{{ {', '.join(routes)} }}",
        "relay_domains": "",
        "smtp_tls_security_level": "encrypt",
        "smtp_tls_CAfile": str(lab.ca_file),
        "smtp_tls_loglevel": "1",
        "smtputf8_enable": "yes",
        "smtp_host_lookup": "native",
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


def hand_in(postfix: Postfix, recipients: list[str], letter: bytes, *options: str) -> None:
    host, _, port = postfix.address.rpartition(":")
    with smtplib.SMTP(host, int(port), "client.test", timeout=60) as client:
        client.sendmail(SENDER, recipients, letter, ["BODY=8BITMIME", *options])


def make_message(to: str, token: str, body: bytes) -> bytes:
    head = (
        "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        f"From: {SENDER}\r\nTo: {to}\r\nSubject: {token}\r\nMessage-ID: <{token}@y.test>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\n"
    )
    return head.encode() + body


DOTS = ".\r\n..\r\n.hidden\r\n\r\n. \r\nسلام\r\n\r\n".encode()
HEAVY = (b"y" * 74 + b"\r\n") * 14_000  # a megabyte


@pytest.mark.parametrize("body", [DOTS, HEAVY], ids=["dots and 8 bit", "a megabyte"])
def test_it_delivers_over_tls(postfix: Postfix, north: LabDomain, body: bytes) -> None:
    reader = north.accounts[0]
    token = uuid.uuid4().hex
    letter = make_message(reader.address, token, body)
    hand_in(postfix, [reader.address], letter)
    with north.imap(reader) as mailbox:
        got = wait_for_message(mailbox, "SUBJECT", token)
    assert got.endswith(b"\r\n" + letter)
    assert b"\r\n\tby mx.north.test with ESMTPS\r\n" in got


def test_it_delivers_to_many_at_once(postfix: Postfix, north: LabDomain) -> None:
    """RFC 5321 section 2.1: one copy for all recipients of a domain."""
    token = uuid.uuid4().hex
    letter = make_message("undisclosed:;", token, DOTS)
    hand_in(postfix, [account.address for account in north.accounts], letter)
    for reader in north.accounts:
        with north.imap(reader) as mailbox:
            assert wait_for_message(mailbox, "SUBJECT", token).endswith(letter)


def test_it_delivers_to_an_arabic_address(postfix: Postfix, zajil: LabDomain) -> None:
    """RFC 6531: Postfix asks for SMTPUTF8 and finds it."""
    reader = zajil.accounts[0]
    token = uuid.uuid4().hex
    letter = make_message(reader.address, token, DOTS)
    hand_in(postfix, [reader.address], letter, "SMTPUTF8")
    with zajil.imap(reader) as mailbox:
        got = wait_for_message(mailbox, "SUBJECT", token)
    assert got.endswith(letter)
    assert b" with UTF8SMTPS\r\n" in got


def test_it_bounces_what_we_refuse(postfix: Postfix, north: LabDomain) -> None:
    """Our 550 5.1.1 is all it needs to write its DSN; the writer reads why."""
    writer = north.accounts[1]
    token = uuid.uuid4().hex
    host, _, port = postfix.address.rpartition(":")
    with smtplib.SMTP(host, int(port), "client.test", timeout=60) as client:
        letter = make_message("nobody@north.test", token, DOTS)
        client.sendmail(writer.address, ["nobody@north.test"], letter)
    with north.imap(writer) as mailbox:
        report = wait_for_message(mailbox, "BODY", token)
    assert b"\r\nStatus: 5.1.1\r\n" in report
    assert b"\r\nReturn-Path: <>\r\n" in b"\r\n" + report
