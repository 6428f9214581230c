"""A real server whose PostgreSQL dies under load and is replaced by its standby."""

from __future__ import annotations

import imaplib
import json
import re
import smtplib
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.installation import Installation, SetUp, serving
from kit.load import descendants
from kit.mailbox import idle_until_exists
from kit.postgres_servers import Pair, pair_of_servers, wait_for

_SENDERS = 4


class Senders:
    """Programs that send to one mailbox again and again, each over connections of its own."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self.accepted: set[str] = set()
        self.deferred = 0
        self.broken = 0
        """Conversations without an answer, or with one that is not a temporary one."""
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(_SENDERS)]

    def __enter__(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int) -> None:
        target, end = len(self.accepted) + count, time.monotonic() + 60
        while len(self.accepted) < target:
            assert time.monotonic() < end, "no mail is accepted"
            time.sleep(0.05)

    def _send(self, number: int) -> None:
        serial = 0
        while not self._stop.is_set():
            try:
                with smtplib.SMTP(*self._address, local_hostname="c.test", timeout=60) as client:
                    while not self._stop.is_set():
                        serial += 1
                        self._send_one(client, f"t{number}-{serial}")
            except smtplib.SMTPResponseException as error:
                self._count(error.smtp_code)
            except smtplib.SMTPRecipientsRefused as error:
                for code, _ in error.recipients.values():
                    self._count(code)
            except OSError:
                self.broken += 1

    def _count(self, code: int) -> None:
        if 400 <= code < 500:
            self.deferred += 1
        else:
            self.broken += 1
        time.sleep(0.05)

    def _send_one(self, client: smtplib.SMTP, token: str) -> None:
        text = f"From: a@x.test\r\nSubject: {token}\r\n\r\ntext\r\n"
        client.sendmail("a@x.test", ["b@y.test"], text)
        self.accepted.add(token)


def set_up_on(url: str, folder: Path) -> SetUp:
    setup = ["setup", "y.test", "--dir", str(folder), "--admin", "b@y.test", "--json"]
    program = [sys.executable, "-m", "zajil", *setup, "--database", url]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE)
    made = json.loads(done.stdout)
    return SetUp(Path(made["config"]), made["account"]["login"], made["account"]["password"])


def log_in(server: Installation) -> imaplib.IMAP4_SSL:
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    client = imaplib.IMAP4_SSL(*server.address("imaps"), ssl_context=tls, timeout=60)
    client.login(server.login, server.password)
    return client


def subjects(client: imaplib.IMAP4_SSL) -> list[str]:
    client.select("INBOX", readonly=True)
    _, parts = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    fields = b"".join(bytes(part[1]) for part in parts if isinstance(part, tuple))
    return re.findall(r"Subject: (\S+)", fields.decode())


def say(client: imaplib.IMAP4_SSL) -> str:
    """Ask for something that needs the store; give the answer's first words."""
    try:
        kind, (text, *_) = client.status("INBOX", "(MESSAGES)")
        return f"{kind} {text!r}"
    except imaplib.IMAP4.error as error:
        return str(error)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("ca"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("death", ["killed", "hanging"])
def test_a_standby_takes_over_under_load(
    tmp_path: Path, authority: TestAuthority, death: str
) -> None:
    """What got a 250 is on the standby, and nothing of ours has to be restarted."""
    with pair_of_servers() as pair:
        made = set_up_on(pair.url("zajil"), tmp_path / "mail")
        pair.be_synchronous()
        # Nothing that needs DNS: nobody answers here.
        settings = ["store.timeout=3s", "check.peer.enabled=false", "check.sender.enabled=false"]
        tls, log = authority.issue("mail.y.test"), tmp_path / "log"
        with serving(made, tls, *settings, log=log) as server:
            workers = descendants([server.pid])
            with log_in(server) as idle, log_in(server) as client:
                idle.select("INBOX", readonly=True)
                end = pair.primary.kill if death == "killed" else pair.primary.freeze
                _fail_over(pair, server, idle, client, end)
            assert descendants([server.pid]) == workers


def _fail_over(
    pair: Pair,
    server: Installation,
    idle: imaplib.IMAP4_SSL,
    client: imaplib.IMAP4_SSL,
    end: Callable[[], None],
) -> None:
    with Senders(server.address("smtp")) as senders:
        senders.wait_for_more(20)
        end()
        assert "UNAVAILABLE" in say(client)
        wait_for(lambda: senders.deferred)
        pair.standby.promote()
        senders.wait_for_more(50)
        wait_for(lambda: say(client).startswith("OK"))
        assert idle_until_exists(idle, 60)
    assert senders.broken == 0
    assert senders.accepted <= set(subjects(client))
