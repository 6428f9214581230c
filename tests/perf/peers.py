"""The servers that are compared: each starts in a folder of its own, on loopback, and is ended.

Zajil and Postfix are always there. The others are optional: Exim, OpenSMTPD and Haraka are in the
folder that ``fetch_peers.py`` fills, aiosmtpd is a package of the tests, and ``chain.py`` runs
Postfix, Rspamd and Dovecot together.
"""

from __future__ import annotations

import imaplib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kit import chrooted
from kit.installation import Installation, running_installation
from kit.postfix import HOLD, running_postfix, starttls
from name_server import running_name_server
from zajil.config.load import load_configuration
from zajil.operations.run import open_admin_store
from zajil.store.engine.open import Store

_ZAJIL = [sys.executable, "-m", "zajil"]
_START_SECONDS = 20.0
_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that runs."""

    name: str
    address: str
    pids: tuple[int, ...]
    """Its first processes; all their descendants count."""
    recipient: str = "b@y.test"
    arrived: Callable[[], int] | None = None
    """Return the number of mails at the far end; ``None``: a 250 is all that is asked for."""
    is_reference: bool = False
    """The others are compared with it."""
    report: Callable[[], str] | None = None
    """Return a sentence for the output, after the last run."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a peer is started with."""

    folder: Path
    """New, and reachable for every user."""
    tls: tuple[Path, Path]
    """Certificate and key: the same for all of them."""
    packages: Path | None = None
    """The folder that ``fetch_peers.py`` filled."""
    settings: tuple[str, ...] = ()
    """Options of Zajil, as ``--set`` takes them."""


class NotInstalled(Exception):
    """A peer that is optional is not installed; the text says how to install it."""


# ---- ours ---------------------------------------------------------------------------------------


def installation(
    place: Place, *settings: str, workers: int = 2, environment: dict[str, str] | None = None
) -> AbstractContextManager[Installation]:
    """Set up and serve."""
    return running_installation(
        place.folder,
        place.tls,
        *settings,
        *place.settings,
        workers=workers,
        environment=environment,
    )


def _asks(nameserver: str) -> str:
    return f'dns.nameservers=["{nameserver}"]'


@contextmanager
def zajil(place: Place) -> Iterator[Peer]:
    """Accept for a mailbox of its own: one commit, which is the delivery too.

    All checks are on; the answers of DNS about the sender (no records) are cached after the first
    mails.
    """
    with running_name_server() as nameserver, installation(place, _asks(nameserver)) as ours:
        yield Peer("zajil", ours.services["smtp"][0], (ours.pid,))


@contextmanager
def zajil_with(place: Place, name: str, fill: Callable[[Store], None]) -> Iterator[Peer]:
    """Accept like ``zajil``, after ``fill`` has put mails into the store."""
    with running_name_server() as nameserver, installation(place, _asks(nameserver)) as ours:
        with open_admin_store(load_configuration(ours.configuration)) as store:
            fill(store)
        yield Peer(f"zajil, {name}", ours.services["smtp"][0], (ours.pid,))


@contextmanager
def zajil_relay(place: Place, sink: str, sunk: Callable[[], int]) -> Iterator[Peer]:
    """Relay mail for an alias of an address elsewhere."""
    port = sink.rpartition(":")[2]
    with running_name_server() as nameserver:
        options = [_asks(nameserver), f"deliver.port={port}"]
        with installation(place, *options) as ours:
            alias = ["alias", "add", "away@y.test", "c@z.test"]
            command = [*_ZAJIL, "--config", str(ours.configuration), *alias]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            yield Peer("zajil", ours.services["smtp"][0], (ours.pid,), "away@y.test", sunk)


@contextmanager
def zajil_deliver(place: Place) -> Iterator[Peer]:
    """Deliver; the mails are counted by IMAP."""
    with (
        running_name_server() as nameserver,
        installation(place, _asks(nameserver)) as ours,
        count_by_imap(ours.services["imap"][0], ours.login, ours.password, tls=True) as count,
    ):
        yield Peer("zajil", ours.services["smtp"][0], (ours.pid,), arrived=count)


@contextmanager
def count_by_imap(
    address: str, login: str, password: str, *, tls: bool = False
) -> Iterator[Callable[[], int]]:
    """Log in, and yield a function that asks STATUS for the number of messages in the INBOX."""
    host, _, port = address.rpartition(":")
    with imaplib.IMAP4(host, int(port)) as client:
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # self-signed
            client.starttls(context)
        client.login(login, password)

        def count() -> int:
            _, answer = client.status("INBOX", "(MESSAGES)")
            return int(bytes(answer[0]).rpartition(b"MESSAGES ")[2].rstrip(b")"))

        yield count


# ---- Postfix ------------------------------------------------------------------------------------


@contextmanager
def postfix(
    place: Place, settings: dict[str, str] | None = None, arrived: Callable[[], int] | None = None
) -> Iterator[Peer]:
    """Run a private instance of Postfix; without settings it puts every mail on hold."""
    wanted = {**starttls(*place.tls), **(HOLD if settings is None else settings)}
    with running_postfix(place.folder, free_port(), wanted) as instance:
        name = f"postfix {instance.version}"
        yield Peer(
            name, instance.address, (instance.master_pid,), arrived=arrived, is_reference=True
        )


# ---- the optional ones --------------------------------------------------------------------------


@contextmanager
def exim(place: Place) -> Iterator[Peer]:
    """Exim, which queues only."""
    package, port = _package(place, "exim4"), free_port()
    with chrooted.exim(package, place.folder, port, place.tls) as pid:
        address = wait_for(port, place.folder / "output")
        yield Peer("exim", address, (pid,))


@contextmanager
def opensmtpd(place: Place) -> Iterator[Peer]:
    """OpenSMTPD, its sending side paused."""
    package, port = _package(place, "opensmtpd"), free_port()
    with chrooted.opensmtpd(package, place.folder, port, place.tls) as pid:
        address = wait_for(port, place.folder / "output")
        yield Peer("opensmtpd", address, (pid,))


@contextmanager
def haraka(place: Place) -> Iterator[Peer]:
    """Haraka with two workers, which queues for a sending side that is disabled."""
    package, node = _package(place, "haraka"), shutil.which("node")
    if node is None:
        raise NotInstalled("haraka needs Node: apt-get install nodejs")
    port, config = free_port(), place.folder / "config"
    config.mkdir(parents=True)
    certificate, key = place.tls
    files = {
        "smtp.ini": f"listen=127.0.0.1:{port}\nnodes=2\n",
        "plugins": "tls\ntake_all\n",
        "tls.ini": f"key={key}\ncert={certificate}\n",
        "outbound.ini": "disabled=true\n",
        "me": "mx.y.test\n",
        "host_list": "",
        "log.ini": "level=warn\n",
        "loglevel": "WARN\n",
    }
    for name, text in files.items():
        (config / name).write_text(text)
    shutil.copy(package / "node_modules/Haraka/config/connection.ini", config)
    for name in ("plugins", "queue"):
        (place.folder / name).mkdir()
    (place.folder / "plugins/take_all.js").write_text(_TAKE_ALL)
    program = str(package / "node_modules/Haraka/bin/haraka")
    with running([node, program, "-c", str(place.folder)], place.folder / "output") as pid:
        address = wait_for(port, place.folder / "output")
        yield Peer("haraka", address, (pid,))


@contextmanager
def aiosmtpd(place: Place) -> Iterator[Peer]:
    """The naive server in Python: a file with its own fsync for each mail, in threads."""
    address = f"127.0.0.1:{free_port()}"
    place.folder.mkdir()
    program = [sys.executable, str(Path(__file__).parent / "naive.py"), address]
    command = [*program, str(place.folder / "mail"), *map(str, place.tls)]
    with running(command, place.folder / "output") as pid:
        wait_for(int(address.rpartition(":")[2]), place.folder / "output")
        yield Peer("aiosmtpd", address, (pid,))


_TAKE_ALL = """\
'use strict'
exports.register = function () {
  this.register_hook('connect', 'relay')
}
exports.relay = function (next, connection) {
  connection.relaying = true
  next()
}
exports.hook_lookup_rdns = (next) => next(OK, 'client.x.test')
exports.hook_rcpt = (next) => next(OK)
"""

ACCEPTING = {
    "zajil": zajil,
    "postfix": postfix,
    "exim": exim,
    "opensmtpd": opensmtpd,
    "haraka": haraka,
    "aiosmtpd": aiosmtpd,
}
"""The servers that can accept and do nothing else."""


# ---- what they need -----------------------------------------------------------------------------


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _package(place: Place, name: str) -> Path:
    if place.packages is None or not (place.packages / name).is_dir():
        raise NotInstalled(f"{name} is not there: python tests/perf/fetch_peers.py FOLDER")
    return place.packages.resolve() / name


@contextmanager
def running(command: list[str], output: Path) -> Iterator[int]:
    """Run a program, which is ended at the end; yield its process id."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
        try:
            yield process.pid
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(port: int, output: Path) -> str:
    """Wait until a server listens on a port of 127.0.0.1; return the address.

    Raises:
        RuntimeError: none does within 20 seconds.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as sock:
            sock.settimeout(_START_SECONDS)
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                sock.recv(200)
                return f"127.0.0.1:{port}"
        time.sleep(0.05)
    raise RuntimeError(f"a peer did not start: {output.read_text(errors='replace')[-1000:]}")
