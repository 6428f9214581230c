"""A lab whose first domain has several nodes behind a balancer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from kit.lab_process import LabDomain, LabProcess
from kit.mailbox import wait_for_message
from zajil.lab.run import LabRequest, run_lab

LETTER = "From: {0}\r\nTo: {0}\r\nSubject: {1}\r\n\r\none store\r\n"
LARGE = "a line of a large message\r\n" * 20_000
"""It is in S3."""


def test_nodes_need_postgresql(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_lab(LabRequest(nodes=3)) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "--nodes needs PostgreSQL: add --database embedded" in err


@pytest.mark.slow
def test_a_node_that_is_killed_is_out_and_comes_in_again() -> None:
    words = ("--workers", "1", "--database", "embedded", "--nodes", "3", "--s3", "embedded")
    lab = LabProcess(*words)
    try:
        domain = lab.domains[0]
        nodes = domain.described["nodes"]
        assert [node["name"] for node in nodes] == ["node1", "node2", "node3"]
        second = nodes[1]
        os.killpg(second["pid"], signal.SIGKILL)
        while page_shows_all_ready(lab):
            pass
        send(domain, "sent meanwhile")
        command = [sys.executable, "-m", "zajil", "--config", second["config"], "serve"]
        again = subprocess.Popen(command)
        try:
            while not page_shows_all_ready(lab):
                assert again.poll() is None
            send(domain, "sent afterwards")
        finally:
            again.terminate()
            again.wait()
    finally:
        assert lab.stop() == 0


def send(domain: LabDomain, subject: str) -> None:
    """Send by each node, and read by each: connections go to them in turn."""
    who = domain.accounts[0]
    for number in range(3):
        with domain.submission(who) as client:
            text = LETTER.format(who.address, f"{subject} {number}") + LARGE
            client.sendmail(who.address, [who.address], text)
        with domain.imap(who) as mailbox:
            assert b"one store" in wait_for_message(mailbox, "SUBJECT", f'"{subject} {number}"')


def page_shows_all_ready(lab: LabProcess) -> bool:
    with urllib.request.urlopen(lab.described["web"]) as answer:  # noqa: S310 (http, our own)
        page: str = answer.read().decode()
    return page.count("Ready</span>") == 3
