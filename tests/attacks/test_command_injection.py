"""Nothing a peer says becomes a command, a header field, a line of a log, or a terminal's order.

Our client's side: `tests/smtp/test_client.py` (`test_no_argument_becomes_a_second_command`);
header fields of a form: `tests/message/test_build.py` and `tests/web/test_attacks.py`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.lab_process import LabDomain, LabProcess
from kit.mailbox import wait_for_message
from kit.raw_smtp import RawPeer
from zajil.core.address import Address, BadAddress, parse_address
from zajil.smtp.client import ClientConnection
from zajil.smtp.reply import Reply

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text(st.sampled_from("ab \r\n\0\x1b\x7f\x85\u2028ب"), min_size=1, max_size=20))
def test_no_reply_becomes_two_lines(text: str) -> None:
    """CVE-2022-27924 (Zimbra, memcached): a typed value is refused, or is one line."""
    try:
        wire = Reply(250, (text,)).to_bytes()
    except ValueError:
        assert any(unicodedata.category(character) in ("Cc", "Zl") for character in text)
        return
    assert wire.count(b"\r\n") == 1
    assert wire.endswith(b"\r\n")
    assert not set(wire[:-2]) & {0, 10, 13, 27}


@given(
    st.text(st.sampled_from("ab\r\n\0 >"), max_size=12),
    st.text(st.sampled_from("a.\r\n>"), max_size=9),
)
def test_no_address_becomes_two_commands(local_part: str, domain: str) -> None:
    """GHSA-v3q9-hj7j-63hq (aiosmtplib), CVE-2026-82853, CVE-2026-82854 (nodemailer),
    GHSA-9342-92gg-6v29 (Jakarta Mail)."""
    conn = ClientConnection("mx.north.test")
    for reply in (b"220 x\r\n", b"250 x\r\n"):
        conn.receive_data(reply)
        conn.next_reply()
        if conn.replies_owed() == 0 and reply.startswith(b"220"):
            conn.ehlo()
    conn.data_to_send()
    try:
        conn.mail(Address(local_part, domain))
    except ValueError:
        return
    assert re.fullmatch(rb"[^\r\n\0]*\r\n", conn.data_to_send())


@pytest.mark.parametrize(
    "text", ["a@b.test\r\nRCPT TO:<x@y.test>", "a@b.test\n", "a\0@b.test", "a\r@b"]
)
def test_no_address_has_a_line_end(text: str) -> None:
    """CVE-2025-15366 and -15367 (CPython's imaplib and poplib)."""
    with pytest.raises(BadAddress):
        parse_address(text)


NASTY_NAMES = {
    "escape": "\x1b[2Jclient",
    "bidi": f"client{BIDI}tset.",
    "tab": "client\tx",
    "delete": "cli\x7fent",
    "backspace": "client\b\b\b",
    "comment": "client (by trusted.test)",
    "semicolon": "client; Mon, 1 Jan 2001 00:00:00 +0000",
    "long": "x" * 300,
}


@pytest.mark.parametrize("name", NASTY_NAMES)
def test_the_name_of_a_peer_reaches_neither_reply_nor_header_raw(
    lab: LabProcess, north: LabDomain, name: str
) -> None:
    """Log injection: controls and bidi marks of EHLO arrive nowhere as they came."""
    del lab
    reader, token = north.accounts[1], uuid.uuid4().hex
    with RawPeer(north.address("smtp")) as peer:
        peer.send(f"EHLO {NASTY_NAMES[name]}\r\n".encode())
        answer = peer.reply()
        check_clean(answer)
        if answer.startswith("5"):
            return
        said = ["MAIL FROM:<a@elsewhere.test>", f"RCPT TO:<{reader.address}>", "DATA"]
        peer.say_all(said)
        peer.send(f"From: <a@elsewhere.test>\r\nSubject: {token}\r\n\r\nx\r\n.\r\n".encode())
        assert peer.reply().startswith("250")
    with north.imap(reader) as mailbox:
        message = wait_for_message(mailbox, "SUBJECT", token)
    trace = message.partition(b"From: <a@elsewhere.test>")[0].decode()
    check_clean(trace.replace("\r\n\t", " ").replace("\r\n", "\n"))
    assert trace.count("\r\nReceived:") + trace.startswith("Received:") == 1
    assert "trusted.test)" not in trace


def check_clean(text: str) -> None:
    bad = [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf")]
    assert not bad, (bad, text)


@pytest.mark.parametrize(
    "command",
    [
        "MAIL FROM:<a\x1b]0;owned\x07@elsewhere.test>",
        f"MAIL FROM:<a{BIDI}@elsewhere.test> SMTPUTF8",
        "VRFY \x1b[31mred",
        "HELP \x1b[31m",
        "NOOP \x07\x07",
        "\x1b[2J",
        "MAIL FROM:<a@elsewhere.test> X=\x1b[0m",
    ],
)
def test_no_answer_repeats_controls(north: LabDomain, command: str) -> None:
    with RawPeer(north.address("smtp")) as peer:
        peer.say("EHLO client.test")
        peer.send(f"{command}\r\n".encode())
        check_clean(peer.reply())


def test_no_control_reaches_the_terminal_of_who_asks(north: LabDomain) -> None:
    """`zajil journey show` of a mail whose writer put orders for a terminal everywhere."""
    reader, token = north.accounts[1], uuid.uuid4().hex
    with RawPeer(north.address("smtp")) as peer:
        peer.send(b"EHLO cl\x1b[31mient.test\r\n")
        if peer.reply().startswith("5"):
            peer.say("EHLO client.test")
        peer.send(b"VRFY \x1b[2J\r\n")
        peer.reply()
        peer.say_all(["MAIL FROM:<a@elsewhere.test>", f"RCPT TO:<{reader.address}>"])
        peer.send(b"RCPT TO:<no\x1b[31mbody@north.test>\r\n")
        peer.reply()
        peer.say("DATA")
        head = f"From: <a@elsewhere.test>\r\nMessage-ID: <{token}\x1b[1m@x>\r\n"
        peer.send(f"{head}Subject: \x1b]0;owned\x07\r\n\r\nx\r\n.\r\n".encode())
        answer = peer.reply()
    assert answer.startswith("250"), answer
    mail_id = answer.split()[-1]
    command = [sys.executable, "-m", "zajil", "--config", north.config, "journey", "show", mail_id]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    check_clean(shown)


@pytest.mark.parametrize(
    "command", ["XCLIENT ADDR=127.0.0.1 LOGIN=amal", "XFORWARD ADDR=192.0.2.1"]
)
def test_nobody_speaks_for_another_unasked(north: LabDomain, command: str) -> None:
    """XCLIENT is for peers that the configuration names."""
    with RawPeer(north.address("smtp")) as peer:
        assert "XCLIENT" not in peer.say("EHLO client.test")
        assert peer.say(command)[0] == "5"
        peer.say("MAIL FROM:<a@elsewhere.test>")
        assert peer.say("RCPT TO:<x@elsewhere.test>").startswith("55")
