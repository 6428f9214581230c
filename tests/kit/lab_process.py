"""A whole lab as a process, driven as other programs drive it: by its one line of JSON."""

from __future__ import annotations

import json
import os
import select
import signal
import smtplib
import ssl
import subprocess
import sys
from dataclasses import dataclass
from imaplib import IMAP4_SSL
from pathlib import Path
from typing import Any

_START_SECONDS = 100.0
_STOP_SECONDS = 60.0
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LabAccount:
    """One account, as the JSON line gives it."""

    address: str
    login: str
    password: str
    admin: bool


class LabDomain:
    """One domain of a running lab."""

    def __init__(self, described: dict[str, Any], tls: ssl.SSLContext) -> None:
        self.described = described
        self.domain: str = described["domain"]
        self.ascii_domain: str = described["ascii_domain"]
        self.pid: int = described["pid"]
        self.config: str = described["config"]
        self.accounts = [LabAccount(**account) for account in described["accounts"]]
        self.tls = tls

    def address(self, service: str) -> tuple[str, int]:
        """Where a service listens."""
        host, _, port = self.described[service].rpartition(":")
        return host, int(port)

    def smtp(self) -> smtplib.SMTP:
        """Connect to port 25's stand-in, without TLS; the caller closes."""
        return smtplib.SMTP(
            *self.address("smtp"), local_hostname="client.test", timeout=_ANSWER_SECONDS
        )

    def submission(self, account: LabAccount) -> smtplib.SMTP:
        """Connect, STARTTLS, log in; the caller closes."""
        client = smtplib.SMTP(
            *self.address("submission"), local_hostname="client.test", timeout=_ANSWER_SECONDS
        )
        client.starttls(context=self.tls)
        client.login(account.login, account.password)
        return client

    def submissions(self, account: LabAccount) -> smtplib.SMTP_SSL:
        """Connect with TLS from the first byte, log in; the caller closes."""
        host, port = self.address("submissions")
        client = smtplib.SMTP_SSL(
            host, port, local_hostname="client.test", timeout=_ANSWER_SECONDS, context=self.tls
        )
        client.login(account.login, account.password)
        return client

    def imap(self, account: LabAccount) -> IMAP4_SSL:
        """Connect with TLS, log in; the caller closes."""
        client = IMAP4_SSL(*self.address("imaps"), ssl_context=self.tls, timeout=_ANSWER_SECONDS)
        client.login(account.login, account.password)
        return client

    def command(self, *arguments: str) -> Any:
        """Run a command of ours on this domain's configuration; give its JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "zajil", "--config", self.config, *arguments, "--json"],
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)


class LabProcess:
    """Starts `zajil lab --json`; ``stop`` ends it."""

    def __init__(self, *arguments: str) -> None:
        """Start; returns when the line has come.

        Raises:
            RuntimeError: it ended, or said nothing in time.
        """
        # A test run that is killed takes its lab along: only we hold the other end.
        stop_read, self._lifeline = os.pipe()
        lab = [sys.executable, "-m", "zajil", "lab", "--json", "--stop-on-eof", str(stop_read)]
        self.process = subprocess.Popen(
            [*lab, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=(stop_read,),
            env={key: value for key, value in os.environ.items() if key != "ZAJIL_CONFIG"},
        )
        os.close(stop_read)
        self.described: dict[str, Any] = json.loads(self._first_line())
        self.ca_file = Path(self.described["ca_file"])
        self.tls = ssl.create_default_context(cafile=str(self.ca_file))
        self.domains = [LabDomain(domain, self.tls) for domain in self.described["domains"]]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; give its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
            if self._lifeline >= 0:
                os.close(self._lifeline)
                self._lifeline = -1

    def _first_line(self) -> bytes:
        stdout = self.process.stdout
        if stdout is None:
            raise RuntimeError("there is no pipe")
        readable, _, _ = select.select([stdout], [], [], _START_SECONDS)
        line = stdout.readline() if readable else b""
        if not line:
            self.process.kill()
            status = self.process.wait()
            stdout.close()
            os.close(self._lifeline)
            raise RuntimeError(f"the lab did not start (exit status {status})")
        return line
