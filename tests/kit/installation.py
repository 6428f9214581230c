"""A real installation of one domain: set up, and served by processes of its own."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_ZAJIL = [sys.executable, "-m", "zajil"]
_END_SECONDS = 60.0
_SERVICES = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "web")


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


@dataclass(frozen=True, slots=True)
class SetUp:
    """One that can be served."""

    configuration: Path
    login: str
    password: str


def set_up(folder: Path) -> SetUp:
    """Set up a domain with one account in a new folder.

    ``zajil setup`` does it once for each process of a run, in a second; others get a copy, with an
    id of their own.
    """
    first = _first_set_up()
    shutil.copytree(first.configuration.parent, folder, symlinks=True)
    return SetUp(folder / first.configuration.name, first.login, first.password)


@functools.cache
def _first_set_up() -> SetUp:
    parent = Path(tempfile.mkdtemp(prefix="zajil-set-up-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    setup = ["setup", "y.test", "--dir", str(parent / "mail"), "--admin", "b@y.test", "--json"]
    done = subprocess.run([*_ZAJIL, *setup], check=True, stdout=subprocess.PIPE)
    made = json.loads(done.stdout)
    account, configuration = made["account"], Path(made["config"])
    (configuration.parent / "data" / "node.id").unlink(missing_ok=True)
    return SetUp(configuration, account["login"], account["password"])


def running_installation(
    folder: Path,
    tls: tuple[Path, Path],
    *settings: str,
    workers: int = 2,
    environment: dict[str, str] | None = None,
    log: Path | None = None,
) -> AbstractContextManager[Installation]:
    """Set up in a new folder and serve, as ``serving`` does."""
    made = set_up(folder)
    return serving(made, tls, *settings, workers=workers, environment=environment, log=log)


@contextmanager
def serving(
    made: SetUp,
    tls: tuple[Path, Path] | None,
    *settings: str,
    workers: int = 2,
    environment: dict[str, str] | None = None,
    log: Path | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[Installation]:
    """Serve; all services but LMTP listen on free ports of 127.0.0.1.

    Args:
        made: an installation that nobody serves.
        tls: certificate and key; ``None``: what the configuration names.
        settings: options as ``--set`` takes them; they win.
        workers: how many processes serve.
        environment: beside our own.
        log: file for the log of the server; ``None``: our standard error.
        prefix: a program and its arguments that runs the server.
    """
    options = [f"server.workers={workers}", "log.level=warning"]
    options += ["limits.sessions_per_address=0", "limits.sessions_per_network=0"]
    options += ["limits.sessions_per_account=0"]
    if tls is not None:
        options += [f"tls.certificate={tls[0]}", f"tls.key={tls[1]}"]
    options += [f'listen.{service}=["127.0.0.1:0"]' for service in _SERVICES]
    options += ["listen.http=[]", "listen.https=[]"]
    arguments = [part for option in [*options, *settings] for part in ("--set", option)]
    serve = [*_ZAJIL, "--config", str(made.configuration), *arguments, "serve"]
    read, write = os.pipe()
    with ExitStack() as stack:
        server = subprocess.Popen(
            [*prefix, *serve, "--ready-fd", str(write)],
            pass_fds=(write,),
            env={**os.environ, **(environment or {})},
            stderr=None if log is None else stack.enter_context(log.open("ab")),
        )
    os.close(write)
    pid = server.pid
    try:
        with open(read) as ready:
            line = ready.readline()
        if not line:
            raise RuntimeError("zajil did not start")
        services = json.loads(line)
        pid = services.pop("pid")
        yield Installation(
            configuration=made.configuration,
            services=services,
            pid=pid,
            login=made.login,
            password=made.password,
        )
    finally:
        _stop(server, pid)


def _stop(process: subprocess.Popen[bytes], pid: int) -> None:
    """End a server.

    Args:
        process: it, or what runs it.
        pid: of its supervisor.
    """
    if process.poll() is None:
        os.kill(pid, signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
