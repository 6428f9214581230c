"""curl, swaks and msmtp carry a letter through the lab: none of them is ours."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path

import pytest

from zajil.testing.foreign import need_program, need_swaks_with_tls
from zajil.testing.lab_process import LabDomain, LabProcess
from zajil.testing.mailbox import wait_for_message

pytestmark = pytest.mark.interop


def run(*command: str, letter: str = "") -> str:
    done = subprocess.run(command, input=letter, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_letter(sender: str, to: str) -> tuple[str, str]:
    token = uuid.uuid4().hex
    return token, f"From: {sender}\nTo: {to}\nSubject: {token}\n\nfrom a foreign client\n"


def test_curl_writes_and_reads(lab: LabProcess, north: LabDomain, tmp_path: Path) -> None:
    curl = need_program("curl")
    writer, reader = north.accounts
    token, letter = make_letter(writer.address, reader.address)
    file = tmp_path / "letter"
    file.write_bytes(letter.replace("\n", "\r\n").encode())
    secure = ["--silent", "--show-error", "--ssl-reqd", "--cacert", str(lab.ca_file)]
    run(
        *[curl, *secure, f"smtp://{north.described['submission']}/client.test"],
        *["--mail-from", writer.address, "--mail-rcpt", reader.address],
        *["--upload-file", str(file), "--user", f"{writer.login}:{writer.password}"],
    )
    with north.imap(reader) as mailbox:
        wait_for_message(mailbox, "SUBJECT", token)
    credentials = ["--user", f"{reader.login}:{reader.password}"]
    imap = f"imap://{north.described['imap']}"
    found = run(curl, *secure, *credentials, f"{imap}/INBOX?SUBJECT%20{token}")
    number = found.split()[-1]
    text = run(curl, *secure, *credentials, f"{imap}/INBOX/;MAILINDEX={number}")
    assert "from a foreign client" in text
    imaps = f"imaps://{north.described['imaps']}/INBOX/;MAILINDEX={number}"
    assert run(curl, *secure, *credentials, imaps) == text


def test_swaks_submits(lab: LabProcess, north: LabDomain, south: LabDomain) -> None:
    swaks = need_swaks_with_tls()
    writer, reader = north.accounts[1], south.accounts[1]
    token = uuid.uuid4().hex
    for service, tls in (("submission", "--tls"), ("submissions", "--tls-on-connect")):
        host, port = north.address(service)
        run(
            *[swaks, "--server", host, "--port", str(port), tls, "--tls-verify"],
            *["--tls-ca-path", str(lab.ca_file), "--helo", "client.test"],
            *["--auth", "LOGIN", "--auth-user", writer.login, "--auth-password", writer.password],
            *["--from", writer.address, "--to", reader.address],
            *["--header", f"Subject: {token} {service}", "--body", "from swaks"],
        )
        with south.imap(reader) as mailbox:
            wait_for_message(mailbox, "SUBJECT", f'"{token} {service}"')


def test_swaks_delivers_over_starttls(north: LabDomain, lab: LabProcess) -> None:
    swaks = need_swaks_with_tls()
    reader = north.accounts[0]
    host, port = north.address("smtp")
    token = uuid.uuid4().hex
    output = run(
        *[swaks, "--server", host, "--port", str(port), "--tls", "--helo", "client.test"],
        *["--from", "stranger@elsewhere.test", "--to", reader.address],
        *["--header", f"Subject: {token}"],
    )
    assert "queued as" in output
    with north.imap(reader) as mailbox:
        wait_for_message(mailbox, "SUBJECT", token)


def test_msmtp_submits(lab: LabProcess, north: LabDomain, tmp_path: Path) -> None:
    msmtp = need_program("msmtp")
    writer, reader = north.accounts
    host, port = north.address("submission")
    configuration = tmp_path / "msmtprc"
    configuration.write_text(
        f"account default\nhost {host}\nport {port}\ntls on\ntls_starttls on\n"
        f"tls_trust_file {lab.ca_file}\nauth plain\nuser {writer.login}\n"
        f'password "{writer.password}"\nfrom {writer.address}\ndomain client.test\n'
    )
    configuration.chmod(0o600)
    token, letter = make_letter(writer.address, reader.address)
    run(msmtp, f"--file={configuration}", reader.address, letter=letter)
    with north.imap(reader) as mailbox:
        wait_for_message(mailbox, "SUBJECT", token)
