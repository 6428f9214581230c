"""How the lab starts, ends, and starts again."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kit.lab_process import LabDomain, LabProcess
from kit.mailbox import wait_for_message
from zajil.lab.state import remove_abandoned

LETTER = "From: {0}\r\nTo: {0}\r\nSubject: kept\r\n\r\nfor the second start\r\n"


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ports(domain: LabDomain) -> dict[str, str]:
    """Where its services listen."""
    services = (
        "smtp",
        "submission",
        "submissions",
        "lmtp",
        "imap",
        "imaps",
        "pop3",
        "pop3s",
        "web",
    )
    return {name: domain.described[name] for name in services}


def wait_for_end(pid: int) -> None:
    """Wait for a process that is not our child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(30_000), f"process {pid} goes on"
    finally:
        os.close(descriptor)


def test_a_second_start_finds_everything_again(tmp_path: Path) -> None:
    """Even after the first was killed; its servers end with it."""
    first = LabProcess("--dir", str(tmp_path), "--workers", "1")
    domain = first.domains[1]
    who = domain.accounts[0]
    try:
        with domain.submission(who) as client:
            client.sendmail(who.address, [who.address], LETTER.format(who.address))
        authority = first.ca_file.read_bytes()
        places = [ports(domain) for domain in first.domains]
    finally:
        first.stop(signal.SIGKILL)
    for domain in first.domains:
        wait_for_end(domain.pid)
    second = LabProcess("--dir", str(tmp_path), "--workers", "1", "--accounts", "2")
    try:
        again = second.domains[1]
        assert again.accounts[:2] == first.domains[1].accounts
        assert [who.login for who in again.accounts[2:]] == ["pigeon1", "pigeon2"]
        assert second.ca_file.read_bytes() == authority
        assert [ports(domain) for domain in second.domains] == places
        with again.imap(who) as mailbox:
            assert b"for the second start" in wait_for_message(mailbox, "SUBJECT", "kept")
        with again.imap(again.accounts[3]) as mailbox:
            assert mailbox.select("INBOX")[0] == "OK"
    finally:
        assert second.stop(signal.SIGTERM) == 0
    assert [is_running(domain.pid) for domain in second.domains] == [False] * 3


@pytest.mark.slow
def test_the_postgresql_of_a_killed_lab_is_stopped() -> None:
    """As a lab without --dir does, of another that was killed."""
    lab = LabProcess("--workers", "1", "--database", "embedded")
    folder = Path(lab.described["data_dir"])
    pid = int((folder / "postgres" / "postmaster.pid").read_text().split("\n")[0])
    lab.stop(signal.SIGKILL)
    for domain in lab.domains:
        wait_for_end(domain.pid)
    assert is_running(pid)
    os.utime(folder, (0, 0))
    assert folder in remove_abandoned(folder.parent)
    wait_for_end(pid)
    assert not folder.exists()


def test_ctrl_c_ends_it_in_order_and_a_temporary_folder_goes() -> None:
    lab = LabProcess("--workers", "1")
    folder = Path(lab.described["data_dir"])
    assert folder.is_dir()
    assert lab.stop(signal.SIGINT) == 0
    assert [is_running(domain.pid) for domain in lab.domains] == [False] * 3
    assert not folder.exists()


def test_a_wrong_option_is_said(tmp_path: Path) -> None:
    done = zajil_lab("--dir", str(tmp_path), "--set", "queue.frist_retry=1s")
    assert done.returncode == 2
    assert "queue.frist_retry" in done.stderr
    assert "queue.first_retry" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_two_labs_do_not_share_a_folder(lab: LabProcess) -> None:
    done = zajil_lab("--dir", lab.described["data_dir"])
    assert (done.returncode, done.stdout) == (1, "")
    assert "another lab runs on" in done.stderr


def test_send_shows_journeys(tmp_path: Path) -> None:
    done = zajil_lab("--dir", str(tmp_path), "--send")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("was delivered to the mailbox") == 2
    for domain in ("north.test", "south.test", "زاجل.test"):
        assert domain in done.stdout


@pytest.mark.slow
def test_the_same_on_postgresql() -> None:
    # Not below tmp_path: for root, PostgreSQL runs as another user, and every start of pytest
    # closes the folder above tmp_path to others again.
    done = zajil_lab("--send", "--database", "embedded")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("was delivered to the mailbox") == 2


def zajil_lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zajil", "lab", "--workers", "1", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
