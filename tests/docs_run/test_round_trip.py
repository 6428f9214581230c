"""The round trip of ``docs/run``, between two servers of the lab."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from kit.lab_process import LabDomain
from kit.operator_page import commands_of

COMMANDS = [
    command.text
    for name in ("roundtrip", "start")
    for command in commands_of(name)
    if command.text.startswith("zajil roundtrip")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_answer_comes(command: str, north: LabDomain, south: LabDomain) -> None:
    login = north.accounts[0].login
    for old, new in (
        ("echo@example.net", f"echo@{south.ascii_domain}"),
        ("--from amal", f"--from {login}"),
        ("--from admin", f"--from {login}"),
    ):
        command = command.replace(old, new)
    words = [sys.executable, "-m", "zajil", "--config", north.config, *shlex.split(command)[1:]]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    for result in ("spf=pass", "dkim=pass", "dmarc=pass"):
        assert result in done.stdout
    if "--json" not in words:
        last = done.stdout.splitlines()[-1]
        assert "dmarc=pass" in last
        assert done.stdout.index("The way out") < done.stdout.index("The way back")
