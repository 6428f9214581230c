"""No open relay, no backscatter, no circle.

The plain cases: `tests/journeys/test_refusals.py`; who is told of what, and that no DSN answers a
DSN: `tests/deliver/test_bounce.py`; loops of aliases: `tests/route/test_alias.py`.
"""

from __future__ import annotations

import uuid

import pytest

from kit.lab_process import LabDomain
from kit.mailbox import wait_for_message
from kit.raw_smtp import RawPeer

FOREIGN = [
    "<noor@south.test>",
    "<noor%south.test@north.test>",
    "<noor%south.test>",
    "<@north.test:noor@south.test>",
    "<@north.test,@south.test:noor@south.test>",
    '<"noor@south.test"@north.test>',
    '<"noor@south.test">',
    '<"noor%south.test"@north.test>',
    "<noor@south.test@north.test>",
    "<south.test!noor@north.test>",
    "<south.test!noor>",
    "<noor@[127.1.0.2]>",
    "<noor@[IPv6:::1]>",
    "<noor@[IPv6:::ffff:127.1.0.2]>",
    "<noor@localhost>",
    "<noor>",
    "<noor@south.test.>",
    "<noor@SOUTH.TEST>",
    "<noor@south.test.north.test>",
    "<noor@north.test.south.test>",
    "<noor@xn--mgbkq8e.test>",
    "<سلمى@زاجل.test>",
    "noor@south.test",
    "< noor@south.test >",
    "<noor@south.test> ORCPT=rfc822;amal@north.test",
    "<@[127.0.0.1]:noor@south.test>",
    "<noor#south.test@north.test>",
    "<noor=south.test@north.test>",
]
"""Every way to ask for somebody else's mailbox that some server once fell for."""

SENDERS = [
    "<>",
    "<stranger@elsewhere.test>",
    "<amal@north.test>",
    "<postmaster@north.test>",
    "<root@localhost>",
    "<amal@[127.1.0.1]>",
]


@pytest.mark.parametrize("sender", SENDERS)
def test_the_matrix_of_an_open_relay(north: LabDomain, sender: str) -> None:
    """No sender, ours included, opens port 25 for a recipient elsewhere."""
    for number in range(0, len(FOREIGN), 8):
        with RawPeer(north.address("smtp")) as peer:
            peer.say("EHLO mx.north.test")
            answer = peer.say(f"MAIL FROM:{sender} SMTPUTF8")
            if answer[0] == "5":
                continue
            for recipient in FOREIGN[number : number + 8]:
                answer = peer.say(f"RCPT TO:{recipient}")
                assert answer[0] in "45", f"{sender} to {recipient}: {answer}"
            assert peer.say("DATA")[:3] in ("503", "554")


def test_a_log_in_elsewhere_opens_nothing(north: LabDomain, south: LabDomain) -> None:
    """An account of one server is a stranger to the next."""
    with RawPeer(north.address("submissions"), north.tls) as peer:
        peer.say("EHLO client.test")
        assert peer.log_in(south.accounts[0]).startswith("535")
        assert peer.say(f"MAIL FROM:<{south.accounts[0].address}>").startswith("530")


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 127.1.0.1 127.1.0.1 1 25\r\n",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\x01\0\x01\x7f\x01\0\x01\0\x01\0\x19",
    ],
    ids=["v1", "v1 unknown", "v2"],
)
def test_nobody_unasked_says_where_they_come_from(north: LabDomain, header: bytes) -> None:
    """The PROXY protocol is for peers that the configuration names: to others it is no command."""
    with RawPeer(north.address("smtp")) as peer:
        peer.send(header + b"EHLO client.test\r\nMAIL FROM:<>\r\nRCPT TO:<noor@south.test>\r\n")
        peer.send(b"RCPT TO:<amal@north.test>\r\nQUIT\r\n")
        rest = peer.rest().decode()
    assert "relay" in rest or rest.startswith(("5", "421")) or rest == "", rest
    assert not any(line.startswith("250 2.1.5") and "south" in line for line in rest.splitlines())


def test_a_mail_that_goes_in_circles_is_refused(north: LabDomain) -> None:
    """RFC 5321 section 6.3: count the Received fields."""
    received = b"Received: from a.test by b.test; Mon, 23 Nov 2026 12:00:00 +0000\r\n"
    with RawPeer(north.address("smtp")) as peer:
        said = ["EHLO client.test", "MAIL FROM:<a@elsewhere.test>"]
        peer.say_all([*said, "RCPT TO:<amal@north.test>", "DATA"])
        peer.send(received * 101 + b"From: <a@elsewhere.test>\r\n\r\nx\r\n.\r\n")
        assert peer.reply().startswith("554 5.4.6")


def test_two_domains_that_forward_to_each_other_come_to_an_end(
    north: LabDomain, south: LabDomain
) -> None:
    """An alias there to an alias here and back: the circle ends, and its writer is told once."""
    name = f"ring-{uuid.uuid4().hex[:8]}"
    here, there = f"{name}@north.test", f"{name}@south.test"
    north.command("alias", "add", here, there)
    south.command("alias", "add", there, here)
    writer = north.accounts[0]
    token = uuid.uuid4().hex
    with north.submission(writer) as client:
        letter = f"From: {writer.address}\r\nTo: {here}\r\nSubject: {token}\r\n\r\nround\r\n"
        client.sendmail(writer.address, [here], letter)
    with north.imap(writer) as mailbox:
        report = wait_for_message(mailbox, "BODY", token, seconds=120)
        assert b"\r\nStatus: 5.4.6\r\n" in report
        assert mailbox.search(None, "BODY", token)[1][0].count(b" ") == 0


def test_a_report_to_nobody_is_not_answered(north: LabDomain) -> None:
    """Null reverse path to an unknown recipient: refused at RCPT, and that is the end of it."""
    with RawPeer(north.address("smtp")) as peer:
        peer.say_all(["EHLO client.test", "MAIL FROM:<>"])
        assert peer.say("RCPT TO:<nobody@north.test>").startswith("550 5.1.1")


def test_an_unknown_recipient_is_refused_and_never_bounced(north: LabDomain) -> None:
    """Backscatter: who is unknown is refused in the session; no DSN goes to a forged sender."""
    victim = north.accounts[1]
    token = uuid.uuid4().hex
    with RawPeer(north.address("smtp")) as peer:
        peer.say_all(["EHLO client.test", f"MAIL FROM:<{victim.address}>"])
        assert peer.say(f"RCPT TO:<{token}@north.test>").startswith("550")
        assert peer.say("RCPT TO:<amal@north.test>").startswith("250")
        peer.say("DATA")
        peer.send(f"From: <{victim.address}>\r\nSubject: {token}\r\n\r\nx\r\n.\r\n".encode())
        # The one who exists finds the forgery in Junk.
        assert peer.reply().startswith("250 2.0.0")
    with north.imap(victim) as mailbox:
        mailbox.select("INBOX", readonly=True)
        assert mailbox.search(None, "TEXT", token)[1] == [b""]
