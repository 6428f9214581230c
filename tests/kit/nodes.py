"""Several real servers on one PostgreSQL database, each a process group of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.installation import set_up
from kit.store import small_store_options
from zajil.core.ids import NodeId
from zajil.net.system import SystemClock
from zajil.store.engine.nodes import Freed, NodeRow, find_node, list_nodes
from zajil.store.engine.open import Store, open_store

SECONDS = 60.0
"""How long a test waits for what should happen."""

_ZAJIL = [sys.executable, "-m", "zajil"]
_SERVICES = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "web")


@dataclass(slots=True)
class Node:
    """One server that was started; it may have ended."""

    folder: Path
    process: subprocess.Popen[bytes]
    services: dict[str, list[str]]
    log: Path

    def address(self, service: str) -> tuple[str, int]:
        """Return host and port."""
        host, _, port = self.services[service][0].rpartition(":")
        return host, int(port)

    def signal(self, number: int) -> None:
        """Send a signal to all of its processes."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """End all of its processes at once."""
        self.signal(signal.SIGKILL)
        self.process.wait(SECONDS)

    @property
    def node_id(self) -> str:
        """Its id."""
        return (self.folder / "data" / "node.id").read_text().strip()


@dataclass(slots=True)
class Nodes:
    """A store, and the servers that were started on it."""

    url: str
    folder: Path
    tls: tuple[Path, Path]
    settings: tuple[str, ...]
    program: list[str] = field(default_factory=lambda: list(_ZAJIL))
    """Another program may run the next node."""
    environment: dict[str, str] = field(default_factory=dict)
    started: list[Node] = field(default_factory=list)

    def configuration(self, name: str) -> Path:
        """Write the configuration of one node, and return its file."""
        folder = self.folder / name
        if not folder.exists():
            made = set_up(folder)
            (folder / "data" / "store.sqlite").unlink(missing_ok=True)
            text = made.configuration.read_text()
            file = folder / made.configuration.name
            file.write_text(f"{text}\n")
            return file
        return next(folder.glob("*.toml"))

    def start(self, name: str, *settings: str) -> Node:
        """Start a node, and wait until it serves."""
        options = ["server.workers=2", f"store.url={json.dumps(self.url)}"]
        options += ["server.shutdown_grace=1s", "limits.message_size=256KiB"]
        options += ["store.free_space_reserve=1MiB"]
        options += [f"tls.certificate={self.tls[0]}", f"tls.key={self.tls[1]}"]
        options += [f'listen.{service}=["127.0.0.1:0"]' for service in _SERVICES]
        options += ["listen.http=[]", "listen.https=[]", 'listen.metrics=["127.0.0.1:0"]']
        given = [*options, *self.settings, *settings]
        arguments = [part for one in given for part in ("--set", one)]
        configuration = self.configuration(name)
        command = [*self.program, "--config", str(configuration), *arguments, "serve"]
        log = self.folder / f"{name}.log"
        read, write = os.pipe()
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                [*command, "--ready-fd", str(write)],
                pass_fds=(write,),
                env={**os.environ, **self.environment},
                stderr=stderr,
                start_new_session=True,
            )
        os.close(write)
        with open(read) as ready:
            line = ready.readline()
        if not line:
            process.wait(SECONDS)
            raise DidNotStart(log.read_text())
        services = json.loads(line)
        services.pop("pid")
        node = Node(configuration.parent, process, services, log)
        self.started.append(node)
        return node

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine of a node."""
        options = [f"store.url={json.dumps(self.url)}"]
        sets = [part for one in options for part in ("--set", one)]
        command = [*self.program, "--config", str(self.configuration(name)), *sets, *arguments]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, **self.environment},
        )

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the store as a command does."""
        folder = self.folder / "watcher"
        folder.mkdir(mode=0o700, exist_ok=True)
        options = small_store_options(self.url)
        store = open_store(options, folder, clock=SystemClock(), random=os.urandom)
        try:
            yield store
        finally:
            store.close_now()


class DidNotStart(Exception):
    """The text is the log of the server."""


@contextmanager
def nodes_on(url: str, folder: Path, tls: tuple[Path, Path], *settings: str) -> Iterator[Nodes]:
    """Return a store without servers; all that are started end with the block."""
    folder.mkdir()
    made = Nodes(url, folder, tls, settings)
    with ExitStack() as stack:
        stack.callback(_end, made)
        yield made


def _end(made: Nodes) -> None:
    for node in made.started:
        with suppress(ProcessLookupError):
            node.signal(signal.SIGCONT)
        if node.process.poll() is None:
            node.process.terminate()
    for node in made.started:
        try:
            node.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            node.kill()


def wait_for(look: Callable[[], Any], what: str) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise TimeoutError(what)


def declare_gone(observer: Store, node_id: NodeId) -> int:
    """Have one node declare another one gone, as if it had been silent; return its new epoch."""
    seen = observer.read_now(lambda conn: find_node(conn, node_id))
    assert seen is not None
    epoch = observer.standing.declare_gone(seen)
    assert epoch == seen.epoch + 1
    return epoch


def take_over(observer: Store, node_id: NodeId) -> Freed | None:
    """The same, and free what it held."""
    return observer.standing.clear(node_id, declare_gone(observer, node_id))


def node_rows(store: Store) -> dict[str, NodeRow]:
    """Return the nodes of a store by id."""
    return {row.node_id: row for row in store.read_now(list_nodes)}
