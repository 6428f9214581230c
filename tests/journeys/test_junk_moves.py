"""A user moves mail to Junk with a program of his own; the servers learn of it."""

from __future__ import annotations

import json
import smtplib
import subprocess
import sys
import time
import uuid
from email.header import Header
from typing import Any

from kit.lab_process import LabAccount, LabDomain
from kit.mailbox import wait_for_message

STRANGER = "127.9.8.7"
SECONDS = 60.0


def bring(to: LabDomain, who: LabAccount, subject: str, text: str) -> str:
    """Hand a mail of a stranger in; give our id of it."""
    message = (
        f"From: Deals <deals@stranger.example>\r\nTo: {who.address}\r\n"
        f"Subject: {Header(subject, 'utf-8').encode()}\r\n"
        f"Message-ID: <{uuid.uuid4().hex}@stranger.example>\r\n"
        "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        f"{text}\r\n"
    ).encode()
    with smtplib.SMTP(*to.address("smtp"), "mx.stranger.example", 30, (STRANGER, 0)) as client:
        client.ehlo()
        client.mail("deals@stranger.example", ["SMTPUTF8", "BODY=8BITMIME"])
        client.rcpt(who.address)
        code, reply = client.data(message)
    assert code == 250, reply
    return reply.decode().rpartition(" ")[2]


def explain(server: LabDomain, mail_id: str, language: str = "en") -> dict[str, Any]:
    command = [sys.executable, "-m", "zajil", "--config", server.config]
    command += ["check", "explain", mail_id, "--json", "--language", language]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_is_moved_to_junk_comes_no_more_into_the_inbox(south: LabDomain) -> None:
    who = south.accounts[1]
    token = uuid.uuid4().hex
    first = bring(south, who, token, "cheap watches, order today")
    assert explain(south, first)["verdict"] == "accept"
    for number in range(2):
        bring(south, who, f"{token} {number}", "cheap watches, order today")
    with south.imap(who) as mailbox:
        wait_for_message(mailbox, "SUBJECT", f'"{token} 1"')
        mailbox.select("INBOX")
        _, (uids,) = mailbox.uid("SEARCH", "SUBJECT", token)
        assert len(uids.split()) == 3
        mailbox.uid("MOVE", uids.replace(b" ", b",").decode(), "Junk")
    deadline = time.monotonic() + SECONDS
    while True:  # it is learned in the background
        mail_id = bring(south, who, f"{token} later", "cheap watches, order today")
        told = explain(south, mail_id)
        if told["verdict"] == "junk":
            break
        assert time.monotonic() < deadline, told
    assert told["recipient"] == who.address
    assert told["reasons"][0]["signal"] == "history.often-junked-by-you"
    changes = {(one["without"], one["verdict"]) for one in told["changes"]}
    assert ("history.often-junked-by-you", "accept") in changes
    (everybodys,) = told["recipients"]
    assert everybodys["verdict"] == "accept"
    (reason, *_) = explain(south, mail_id, "ar")["reasons"]
    assert reason["text"] == "نقلتَ رسائل من deals@stranger.example إلى البريد غير الهام مرات كثيرة."
    with south.imap(who) as mailbox:
        wait_for_message(mailbox, "SUBJECT", f'"{token} later"', mailbox="Junk")
