"""A real installation of one domain: set up, and served by processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_ZAJIL = [sys.executable, "-m", "zajil"]
_END_SECONDS = 60.0
_SERVICES = ("smtp", "submission", "submissions", "imap", "imaps", "web")


@dataclass(frozen=True, slots=True)
class Installation:
    """One that runs; ``b@y.test`` is its one account."""

    configuration: Path
    services: dict[str, list[str]]
    """The addresses each service listens on."""
    pid: int
    """Of the supervisor."""
    login: str
    password: str

    def address(self, service: str, number: int = 0) -> tuple[str, int]:
        """Return host and port; of a Unix socket ``unix:PATH`` and 0."""
        text = self.services[service][number]
        host, _, port = text.rpartition(":")
        return (text, 0) if text.startswith("unix:") else (host, int(port))


@contextmanager
def running_installation(
    folder: Path,
    tls: tuple[Path, Path],
    *settings: str,
    workers: int = 2,
    environment: dict[str, str] | None = None,
    log: Path | None = None,
) -> Iterator[Installation]:
    """Set up and serve; all services but LMTP listen on free ports of 127.0.0.1.

    Args:
        folder: new.
        tls: certificate and key.
        settings: options as ``--set`` takes them; they win.
        workers: how many processes serve.
        environment: beside our own.
        log: file for the log of the server; ``None``: our standard error.
    """
    setup = ["setup", "y.test", "--dir", str(folder), "--admin", "b@y.test", "--json"]
    done = subprocess.run([*_ZAJIL, *setup], check=True, stdout=subprocess.PIPE)
    made = json.loads(done.stdout)
    options = [f"server.workers={workers}", "log.level=warning"]
    options += ["limits.sessions_per_address=0", "limits.sessions_per_network=0"]
    options += ["limits.sessions_per_account=0"]
    options += [f"tls.certificate={tls[0]}", f"tls.key={tls[1]}"]
    options += [f'listen.{service}=["127.0.0.1:0"]' for service in _SERVICES]
    arguments = [part for option in [*options, *settings] for part in ("--set", option)]
    read, write = os.pipe()
    with ExitStack() as stack:
        server = subprocess.Popen(
            [*_ZAJIL, "--config", made["config"], *arguments, "serve", "--ready-fd", str(write)],
            pass_fds=(write,),
            env={**os.environ, **(environment or {})},
            stderr=None if log is None else stack.enter_context(log.open("ab")),
        )
    os.close(write)
    try:
        with open(read) as ready:
            line = ready.readline()
        if not line:
            raise RuntimeError("zajil did not start")
        account = made["account"]
        yield Installation(
            configuration=Path(made["config"]),
            services=json.loads(line),
            pid=server.pid,
            login=account["login"],
            password=account["password"],
        )
    finally:
        _stop(server)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
