"""`kill -9` of workers while mail flows: what got a 250 is there."""

from __future__ import annotations

import os
import re
import signal
import smtplib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kit.lab_process import LabAccount, LabDomain, LabProcess
from kit.mailbox import idle_until_exists

_WRITERS = 6
_BETWEEN_KILLS = 20
"""Mails that must be accepted between two kills: so that every kill meets mail in flight."""


@contextmanager
def running_lab(*arguments: str) -> Iterator[LabProcess]:
    # A server whose worker dies in the middle of a delivery is tried again after this.
    retry = ["--set", "queue.first_retry=1s"]
    process = LabProcess("--workers", "2", *retry, *arguments)
    try:
        yield process
    finally:
        process.stop()


class Flow:
    """Writers that send until told to stop, and what they were promised."""

    def __init__(self, domain: LabDomain, writer: LabAccount, recipients: list[str]) -> None:
        self._domain = domain
        self._writer = writer
        self._recipients = recipients
        self.promised: set[tuple[str, str]] = set()
        """Token and recipient of every mail that got a 250."""
        self.broken = 0
        """Conversations that ended without an answer."""
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._write, args=(number,)) for number in range(_WRITERS)
        ]

    def __enter__(self) -> Flow:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, number: int) -> None:
        with self._changed:
            target = len(self.promised) + number
            assert self._changed.wait_for(lambda: len(self.promised) >= target, 60), "mail stopped"

    def _write(self, writer: int) -> None:
        serial = 0
        while not self._stopping:
            try:
                with self._domain.submission(self._writer) as client:
                    while not self._stopping:
                        serial += 1
                        self._write_one(client, f"w{writer}-{serial}", serial)
            except (OSError, smtplib.SMTPException):
                # A worker died under this conversation: whatever had no 250 is sent no more.
                self.broken += 1

    def _write_one(self, client: smtplib.SMTP, token: str, serial: int) -> None:
        recipient = self._recipients[serial % len(self._recipients)]
        letter = (
            f"From: {self._writer.address}\r\nTo: {recipient}\r\nSubject: {token}\r\n"
            f"Message-ID: <{token}@kill.test>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n"
            + "a line of text\r\n"
            * 100
        )
        client.sendmail(self._writer.address, [recipient], letter)
        with self._changed:
            self.promised.add((token, recipient))
            self._changed.notify_all()


def kill_a_worker(supervisor: int, turn: int) -> None:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    if children:
        os.kill(int(children[turn % len(children)]), signal.SIGKILL)


def tokens_in_inbox(domain: LabDomain, account: LabAccount) -> list[str]:
    with domain.imap(account) as client:
        client.select("INBOX", readonly=True)
        _, parts = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    fields = b"".join(bytes(part[1]) for part in parts if isinstance(part, tuple))
    return re.findall(r"Subject: (\S+)", fields.decode())


def wait_for_tokens(domain: LabDomain, account: LabAccount, wanted: set[str]) -> list[str]:
    """Wait until all are there; those on their way from another server come by themselves."""
    deadline = time.monotonic() + 60
    with domain.imap(account) as client:
        client.select("INBOX", readonly=True)
        while not wanted <= set(found := tokens_in_inbox(domain, account)):
            if not idle_until_exists(client, deadline - time.monotonic()):
                return found
    return found


def run(lab: LabProcess, kills: int) -> None:
    north, south = lab.domains[:2]
    writer, local = north.accounts[1], north.accounts[0]
    remote = south.accounts[0]
    with Flow(north, writer, [local.address, remote.address]) as flow:
        for turn in range(kills):
            flow.wait_for_more(_BETWEEN_KILLS)
            kill_a_worker((north if turn % 3 else south).pid, turn)
        flow.wait_for_more(_BETWEEN_KILLS)
    for domain, account in ((north, local), (south, remote)):
        promised = {token for token, recipient in flow.promised if recipient == account.address}
        found = wait_for_tokens(domain, account, promised)
        assert promised - set(found) == set(), "a 250 was given and the mail is gone"
    assert flow.broken, "no kill met a conversation"
    local_found = tokens_in_inbox(north, local)
    assert len(local_found) == len(set(local_found)), "one commit, yet twice in a mailbox"


def test_some_deaths() -> None:
    with running_lab() as lab:
        run(lab, kills=8)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("arguments", [(), ("--database", "embedded")], ids=["sqlite", "postgres"])
def test_many_deaths(arguments: tuple[str, ...]) -> None:
    with running_lab(*arguments) as lab:
        run(lab, kills=60)
