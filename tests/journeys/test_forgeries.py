"""Mail in somebody else's name, brought to the lab's servers over real sockets.

What is under test is the whole way: session, checks, verdict, mailbox, journey.
"""

from __future__ import annotations

import json
import re
import smtplib
import subprocess
import sys
from typing import Any

import pytest

from kit.lab_process import LabDomain
from kit.mailbox import wait_for_message

NOBODY = "127.9.9.9"
"""An address without a name in the lab's DNS, that nobody's SPF record has."""
OUR_LIES = (
    "Authentication-Results: mx.south.test; dkim=pass header.d=north.test\r\n"
    "Authentication-Results: (x) MX.South.Test. ; dmarc=pass header.from=north.test\r\n"
)


def bring(
    to: LabDomain, message: str, *, address: str, name: str, mail_from: str, lmtp: bool = False
) -> tuple[int, str]:
    """Hand a mail in from an address of our choice; give the reply to the data."""
    client: smtplib.SMTP
    if lmtp:
        client = smtplib.LMTP(*to.address("lmtp"), local_hostname=name)
    else:
        client = smtplib.SMTP(*to.address("smtp"), name, 30, (address, 0))
    with client:
        client.ehlo(name)
        client.mail(mail_from)
        client.rcpt(to.accounts[0].address)
        code, text = client.data(message.encode())
        return code, text.decode()


def letter(writer: LabDomain, reader: LabDomain, subject: str) -> str:
    return (
        f"From: {writer.accounts[0].address}\r\nTo: {reader.accounts[0].address}\r\n"
        f"Subject: {subject}\r\nDate: Fri, 27 Nov 2026 09:00:00 +0000\r\n"
        f"Message-ID: <{subject}@north.test>\r\n\r\nPay me.\r\n"
    )


def read(reader: LabDomain, subject: str, mailbox: str) -> bytes:
    with reader.imap(reader.accounts[0]) as client:
        return wait_for_message(client, "SUBJECT", subject, mailbox=mailbox)


def own_results(message: bytes) -> list[bytes]:
    """Give the fields that bear the name of south's server, whatever its spelling."""
    found = re.findall(rb"(?im)^authentication-results:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", message)
    return [field for field in found if b"mx.south.test" in field.lower()]


def explain(server: LabDomain, mail_id: str) -> dict[str, Any]:
    """Ask as an operator would; the exit status tells the verdict too."""
    command = [sys.executable, "-m", "zajil", "--config", server.config]
    command += ["check", "explain", mail_id, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_policy_alone_sends_a_forgery_to_junk(
    north: LabDomain, south: LabDomain, zajil: LabDomain
) -> None:
    """RFC 9989 section 7.4; the peer is an honest server, which forwards it perhaps."""
    code, text = bring(
        south,
        OUR_LIES + letter(north, south, "forged-by-a-server"),
        address=zajil.address("smtp")[0],
        name=f"mx.{zajil.ascii_domain}",
        mail_from=north.accounts[0].address,
    )
    assert code == 250, text
    mail_id = text.rpartition(" ")[2]
    (results,) = own_results(read(south, "forged-by-a-server", "Junk"))
    assert b"dmarc=fail" in results
    assert b"spf=fail" in results
    told = explain(south, mail_id)
    assert told["verdict"] == "junk"
    assert told["reasons"][0]["signal"] == "dmarc.fail-reject"
    events = south.command("journey", "show", mail_id)["events"]
    done = {one["check"]: one for one in events if one["name"] == "check.done"}
    assert {"iprev", "spf", "spf helo", "dkim", "dmarc"} <= set(done)
    assert done["spf"]["inputs"][0].startswith("TXT north.test -> v=spf1 ")
    assert done["dmarc"]["inputs"][0].startswith("TXT _dmarc.north.test -> v=DMARC1; p=reject")


def test_with_one_more_bad_sign_it_is_refused(north: LabDomain, south: LabDomain) -> None:
    """The same from an address that has no name."""
    code, text = bring(
        south,
        letter(north, south, "forged-by-a-stranger"),
        address=NOBODY,
        name="stranger.example",
        mail_from=north.accounts[0].address,
    )
    assert code == 550
    (mail_id,) = re.findall(r"\(([0-9a-f]{28})\)", text)
    told = explain(south, mail_id)
    assert told["verdict"] == "reject"
    assert "peer.no-name" in {reason["signal"] for reason in told["reasons"]}


def test_a_changed_mail_says_what_was_changed(
    north: LabDomain, south: LabDomain, zajil: LabDomain
) -> None:
    """What north did sign, brought again by another with a text of its own."""
    writer, reader = north.accounts[0], south.accounts[0]
    with north.submission(writer) as client:
        client.sendmail(writer.address, [reader.address], letter(north, south, "tampered-one"))
    signed = read(south, "tampered-one", "INBOX").decode()
    signed = signed[signed.index("DKIM-Signature:") :]
    changed = signed.replace("Pay me.", "Pay him.").replace("tampered-one", "tampered-two")
    only_body = signed.replace("Pay me.", "Pay him, and soon.")
    for message, signal in ((changed, "dkim.fail"), (only_body, "dkim.fail-body")):
        code, text = bring(
            south,
            message,
            address=zajil.address("smtp")[0],
            name=f"mx.{zajil.ascii_domain}",
            mail_from=writer.address,
        )
        assert code == 250, text
        told = explain(south, text.rpartition(" ")[2])
        reasons = {reason["signal"]: reason["text"] for reason in told["reasons"]}
        assert signal in reasons
        assert "was changed" in reasons[signal]


@pytest.mark.parametrize("way", ["lmtp", "submission"])
def test_no_way_in_takes_our_word_from_others(north: LabDomain, south: LabDomain, way: str) -> None:
    """RFC 8601 section 5."""
    writer, reader = south.accounts[1], south.accounts[0]
    subject = f"lies-by-{way}"
    message = OUR_LIES + letter(south, south, subject).replace(
        south.accounts[0].address, writer.address, 1
    )
    if way == "lmtp":
        sender = writer.address
        code, text = bring(
            south, message, address="", name="front.example", mail_from=sender, lmtp=True
        )
        assert code == 250, text
    else:
        with south.submission(writer) as client:
            client.sendmail(writer.address, [reader.address], message)
    (results,) = own_results(read(south, subject, "INBOX"))
    assert b"dkim=pass" not in results
    assert b"dmarc=pass" not in results
