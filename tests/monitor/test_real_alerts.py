"""A real server tells its administrator that the disk is nearly full."""

from __future__ import annotations

import imaplib
import ssl
import subprocess
import sys
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from kit.certificates import TestAuthority
from kit.installation import running_installation
from kit.mailbox import wait_for_message


def test_an_administrator_finds_it_in_the_inbox(tmp_path: Path, authority: TestAuthority) -> None:
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    log = tmp_path / "log"
    settings = ["alerts.disk_free=100000GiB", "alerts.dns=false"]
    certificate = authority.issue("mail.y.test")
    with running_installation(tmp_path / "z", certificate, *settings, log=log) as server:
        with imaplib.IMAP4_SSL(*server.address("imaps"), ssl_context=tls) as imap:
            imap.login(server.login, server.password)
            imap.select()
            mail = wait_for_message(imap, "SUBJECT", "disk")
        command = [sys.executable, "-m", "zajil", "--config", str(server.configuration)]
        listed = subprocess.run([*command, "alerts", "list"], capture_output=True, text=True)
    message = message_from_bytes(mail, policy=default)
    assert message["Subject"] == "[mail.y.test] The disk is nearly full"
    assert message["From"] == "Zajil <postmaster@y.test>"
    assert message["DKIM-Signature"]
    assert "df -h" in message.get_content()
    assert listed.returncode == 1
    assert "The disk is nearly full  (disk)" in listed.stdout
    assert ' error "an alert begins" kind=disk subject="" ' in log.read_text()
