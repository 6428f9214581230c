"""A message goes to the echo address of another server and comes back."""

from __future__ import annotations

import json
import re
import shlex
import smtplib
import subprocess
import sys

import pytest

from kit.lab_process import LabDomain
from kit.mailbox import wait_for_message
from kit.operator_page import commands_of

ZAJIL = [sys.executable, "-m", "zajil", "--config"]


def round_trip(domain: LabDomain, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*ZAJIL, domain.config, "roundtrip", "--from", domain.accounts[0].login, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def commands_of_pages() -> list[str]:
    """Return the commands of ``docs/run``, from whatever account, each once."""
    found = [one.text for page in ("roundtrip", "start") for one in commands_of(page)]
    commands = [re.sub(r"--from \w+", "--from LOGIN", one) for one in found if " roundtrip " in one]
    return list(dict.fromkeys(commands))


@pytest.mark.parametrize("command", commands_of_pages())
def test_both_journeys_are_told(command: str, north: LabDomain, south: LabDomain) -> None:
    command = command.replace("LOGIN", north.accounts[0].login)
    words = shlex.split(command.replace("echo@example.net", f"echo@{south.ascii_domain}"))
    assert words[0] == "zajil"
    done = subprocess.run(
        [*ZAJIL, north.config, *words[1:]], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    for result in ("spf=pass", "dkim=pass", "dmarc=pass"):
        assert result in last
    if "--json" not in words:
        assert done.stdout.index("The way out") < done.stdout.index("The way back")
        assert "The answer came after" in done.stdout


def test_an_arabic_domain_answers_too(zajil: LabDomain, north: LabDomain) -> None:
    done = round_trip(zajil, "--to", f"echo@{north.ascii_domain}", "--timeout", "60s", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["answered"]
    assert "dkim=pass" in told["results"]


def test_an_address_that_does_not_answer(north: LabDomain, south: LabDomain) -> None:
    unknown = round_trip(north, "--to", f"nobody-there@{south.ascii_domain}", "--timeout", "60s")
    assert unknown.returncode == 1
    assert "no answer will come" in unknown.stdout
    local = round_trip(north, "--to", f"nobody-there@{north.ascii_domain}")
    assert (local.returncode, "nobody here has the address" in local.stderr) == (1, True)


@pytest.mark.parametrize("field", ["Auto-Submitted: auto-replied", "List-Id: <x.test>"])
def test_what_programs_send_gets_no_answer(north: LabDomain, south: LabDomain, field: str) -> None:
    """The message behind it is answered, so the one before it was looked at."""
    account = north.accounts[0]
    with north.submission(account) as client:
        for subject, head in (("automatic", f"{field}\r\n"), ("by hand", "")):
            message = (
                f"From: {account.address}\r\nTo: echo@{south.ascii_domain}\r\n{head}"
                f"Subject: {subject} {field[:4]}\r\n\r\nHello.\r\n"
            )
            client.sendmail(account.address, [f"echo@{south.ascii_domain}"], message)
    with north.imap(account) as client:
        wait_for_message(client, "SUBJECT", f'"Echo: by hand {field[:4]}"')
        client.select("INBOX")
        found = client.search(None, "SUBJECT", f'"Echo: automatic {field[:4]}"')
    assert found == ("OK", [b""])


def test_nobody_makes_it_write_to_a_third_person(south: LabDomain, north: LabDomain) -> None:
    """A forged return path fails SPF: nobody gets an answer."""
    victim = north.accounts[1].address
    with south.smtp() as client:
        client.ehlo("attacker.test")
        message = f"From: {victim}\r\nTo: echo@{south.ascii_domain}\r\nSubject: forged\r\n\r\nx\r\n"
        try:
            client.sendmail(victim, [f"echo@{south.ascii_domain}"], message)
        except smtplib.SMTPException:
            return  # DMARC of the domain is p=reject
    with north.imap(north.accounts[1]) as reader:
        reader.select("INBOX")
        assert reader.search(None, "SUBJECT", '"Echo: forged"') == ("OK", [b""])
