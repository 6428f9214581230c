"""Exim delivers to us in chunks (RFC 3030): a client of BDAT that we did not write."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from kit.chrooted import exim_sends, exim_version
from kit.foreign import need_program
from kit.lab_process import LabDomain, LabProcess
from kit.mailbox import wait_for_message

pytestmark = pytest.mark.interop

SENDER = "writer@client.test"
PACKAGE = "exim4-daemon-light"


@pytest.fixture(scope="module")
def exim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's package, unpacked: installed it would replace the Postfix of other tests."""
    if os.geteuid() != 0:
        pytest.skip("Exim is run in a root folder of its own, which needs root")
    folder = tmp_path_factory.mktemp("exim")
    download = [need_program("apt-get"), "-o", "APT::Sandbox::User=root", "download", PACKAGE]
    done = subprocess.run(download, cwd=folder, capture_output=True)
    archives = list(folder.glob("*.deb"))
    if done.returncode != 0 or not archives:
        pytest.skip(f"needs exim4 (apt-get download {PACKAGE})")
    unpacked = folder / "package"
    subprocess.run([need_program("dpkg"), "-x", str(archives[0]), str(unpacked)], check=True)
    version = exim_version(unpacked, folder / "try")
    if version is None:
        pytest.skip("Exim is run in a mount namespace of its own, which is not allowed here")
    print(version)
    return unpacked


LETTERS = {
    "short": b"hello\r\n",
    "dots": b".\r\n..\r\n.hidden\r\n\r\n",
    "eight bits": "السلام عليكم\r\n".encode(),
    "many chunks": b"a line like many others, and one more\r\n" * 20_000,
}


@pytest.mark.parametrize("letter", LETTERS)
def test_chunks_of_exim_arrive_as_they_left(
    lab: LabProcess, north: LabDomain, exim: Path, tmp_path: Path, letter: str
) -> None:
    """No dot is stuffed, and none is lost."""
    reader, token = north.accounts[0], uuid.uuid4().hex
    body = LETTERS[letter]
    head = (
        f"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nFrom: {SENDER}\r\nTo: {reader.address}\r\n"
        f"Subject: {token}\r\nMessage-ID: <{token}@client.test>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    ).encode()
    went_out, words = exim_sends(
        exim,
        tmp_path / "root",
        north.address("smtp"),
        lab.ca_file,
        [SENDER, reader.address],
        head + body,
    )
    assert went_out, words
    chunks = re.findall(r"^ *SMTP.> BDAT [0-9]+( LAST)?$", words, re.MULTILINE)
    assert chunks.count(" LAST") == 1, words
    with north.imap(reader) as mailbox:
        message = wait_for_message(mailbox, "SUBJECT", token)
    assert message.endswith(b"\r\n\r\n" + body)
    assert b" with ESMTPS\r\n" in message.partition(b"From: ")[0]


def test_a_recipient_that_exim_may_not_write_to(
    lab: LabProcess, north: LabDomain, exim: Path, tmp_path: Path
) -> None:
    """BDAT comes in one packet with the envelope: what was refused is swallowed, not read."""
    letter = f"From: {SENDER}\r\nSubject: no\r\n\r\nRSET\r\nQUIT\r\n".encode()
    where = north.address("smtp")
    who = [SENDER, "nobody@north.test"]
    went_out, words = exim_sends(exim, tmp_path / "root", where, lab.ca_file, who, letter)
    assert not went_out
    assert "550 5.1.1" in words
