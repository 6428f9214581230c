"""No name leads an account of IMAP to another's mail, or out of the store (attacks E)."""

from __future__ import annotations

import imaplib
import uuid

import pytest

from kit.lab_process import LabDomain
from kit.mailbox import wait_for_message

NAMES = [
    "../noor/INBOX",
    "INBOX/../../noor/INBOX",
    "..",
    "/etc/passwd",
    "~noor/INBOX",
    "#user/noor/INBOX",
    "user/noor",
    "user.noor.INBOX",
    "Other Users/noor/INBOX",
    "noor@north.test/INBOX",
    "noor",
    "1",
    "2",
    "INBOX ",
    "' OR 1=1 --",
    "%",
    "*",
]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_to_anothers_mail(north: LabDomain, name: str) -> None:
    """CVE-2007-2231 (Dovecot), and ids that are guessed: a name is of the own account, or none."""
    reader, other = north.accounts[0], north.accounts[1]
    token = uuid.uuid4().hex
    with north.smtp() as client:
        letter = f"From: <a@elsewhere.test>\r\nSubject: {token}\r\n\r\nsecret\r\n"
        client.sendmail("a@elsewhere.test", [other.address], letter)
    with north.imap(other) as mailbox:
        wait_for_message(mailbox, "SUBJECT", token)
    asked = name.replace("noor", other.login)
    with north.imap(reader) as mailbox:
        quoted = f'"{asked}"'
        for answer in (
            mailbox.select(quoted),
            mailbox.status(quoted, "(MESSAGES UIDNEXT)"),
            mailbox.append(quoted, None, None, b"Subject: x\r\n\r\nx\r\n"),
        ):
            assert answer[0] == "NO", answer
        mailbox.append("INBOX", None, None, b"Subject: mine\r\n\r\nx\r\n")
        mailbox.select("INBOX", readonly=True)
        assert mailbox.search(None, "SUBJECT", token)[1] == [b""]
        assert mailbox.copy("1:*", quoted)[0] == "NO"


def test_a_list_names_the_own_mailboxes_alone(north: LabDomain) -> None:
    """Whatever the reference, LIST never leaves the account."""
    with north.imap(north.accounts[0]) as mailbox:
        own = set(_names(mailbox, '""', "*"))
        assert "INBOX" in own
        for reference in ('"/"', '"../"', '"#user/"', '"~"', '"Other Users/"'):
            assert set(_names(mailbox, reference, "*")) <= own


def _names(mailbox: imaplib.IMAP4, reference: str, pattern: str) -> list[str]:
    _, lines = mailbox.list(reference, pattern)
    found = [line.decode() for line in lines if isinstance(line, bytes)]
    return [line.rpartition('"/" ')[2].strip('"') for line in found]
