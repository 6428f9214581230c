"""Nodes on one PostgreSQL and one S3 server, each behind proxies of its own; a DNS, a peer."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from kit import fault_node
from kit.certificates import TestAuthority
from kit.fault_peer import FaultPeer, fault_peer
from kit.fault_proxy import FaultProxy, fault_proxy
from kit.imap import make_reader
from kit.load import descendants
from kit.name_server import zone_server
from kit.name_servers import free_port
from kit.postgres_servers import Server, one_server
from kit.store import open_test_store
from zajil.lab.configuration import toml_text
from zajil.store.engine.folder import make_folder

ACCOUNTS = ("a1", "a2", "a3", "a4")
"""Logins, and local parts in ``y.test``."""
REMOTE = ("r1@peer.test", "r2@peer.test")
_SERVICES = ("smtp", "submissions", "imaps", "metrics")
_OTHERS = ("submission", "imap", "pop3", "pop3s", "web")
_START_SECONDS = 120.0
_SCHEMA = "faults"


@dataclass
class FaultNode:
    """One node: a real ``zajil serve``, and its links."""

    name: str
    folder: Path
    database: FaultProxy
    objects: FaultProxy
    services: dict[str, tuple[str, int]] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    is_frozen: bool = False

    @property
    def configuration(self) -> Path:
        """Its file."""
        return self.folder / "zajil.toml"

    async def start(self) -> None:
        """Start it, and wait until it serves."""
        line = await asyncio.wait_for(asyncio.to_thread(self._start), _START_SECONDS)
        if not line:
            raise RuntimeError(f"{self.name} did not start: {self.tail()}")
        said: dict[str, Any] = json.loads(line)
        for service in _SERVICES:
            host, _, port = said[service][0].rpartition(":")
            self.services[service] = (host, int(port))

    def _start(self) -> bytes:
        read, write = os.pipe()
        program = [sys.executable, fault_node.__file__, str(self.folder.parent / "chore-notes")]
        arguments = ["--config", str(self.configuration), "serve", "--ready-fd", str(write)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*program, *arguments],
                pass_fds=(write,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            )
        os.close(write)
        with open(read, "rb") as ready:
            return ready.readline()

    def tail(self) -> str:
        """Return the end of its log."""
        return (self.folder / "log").read_text("utf-8", "replace")[-2000:]

    def kill(self) -> None:
        """Kill all of its processes at once, as a machine does that loses its power."""
        self._signal(signal.SIGSTOP)
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        self.process, self.is_frozen = None, False

    def freeze(self) -> None:
        """Stop all of its processes where they are."""
        self._signal(signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)
        self.is_frozen = False

    def tell_where(self) -> None:
        """Have all of its processes write to the log where their threads are."""
        self._signal(signal.SIGUSR1)

    async def end(self) -> int:
        """End it in order; give its exit status."""
        if self.process is None:
            return 0
        self.process.terminate()
        status = await asyncio.to_thread(self.process.wait, 60)
        self.process = None
        return status

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            for pid in descendants([self.process.pid]):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)


@dataclass
class FaultWorld:
    """All that runs."""

    folder: Path
    nodes: list[FaultNode]
    database: Server
    objects: ObjectServer | None
    peer: FaultPeer
    tls: ssl.SSLContext
    chance: random.Random

    @property
    def chore_notes(self) -> Path:
        """What the chore of ``kit.fault_node`` wrote."""
        return self.folder / "chore-notes"

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database, by no proxy."""
        address = f"{self.database.url}?options=-csearch_path%3D{_SCHEMA}"
        with psycopg.connect(address, autocommit=True) as conn:
            return conn.execute(statement.encode()).fetchall()

    def serving(self) -> list[FaultNode]:
        """Return the nodes whose processes exist."""
        return [node for node in self.nodes if node.process is not None]


class ObjectServer:
    """An S3 server in a process of its own; what it holds is lost with it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        with (folder / "s3.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def make_bucket(self) -> None:
        """Make the bucket ``mail``, as soon as the server answers."""
        async with asyncio.timeout(_START_SECONDS):
            while not await asyncio.to_thread(self._has_made_it):  # noqa: ASYNC110 (a process)
                await asyncio.sleep(0.1)

    def _has_made_it(self) -> bool:
        url = f"http://127.0.0.1:{self.port}/mail"
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="PUT")).close()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@asynccontextmanager
async def fault_world(
    folder: Path, chance: random.Random, *, nodes: int = 3, objects: bool = True
) -> AsyncIterator[FaultWorld]:
    """Run all of it.

    Args:
        folder: an empty one.
        chance: what the peer draws from.
        nodes: how many.
        objects: whether large messages are in S3; else all are in the database.
    """
    authority = TestAuthority(folder)
    authority.issue("mx.y.test", "localhost")
    async with AsyncExitStack() as stack:
        database = await asyncio.to_thread(stack.enter_context, one_server())
        store = stack.enter_context(_objects(folder)) if objects else None
        peer, peer_port = await stack.enter_async_context(fault_peer(chance))
        zone = {"peer.test": {"MX": ["10 mx.peer.test."]}, "mx.peer.test": {"A": ["127.0.0.1"]}}
        names = stack.enter_context(zone_server(zone))
        _make_accounts(database, folder)
        made: list[FaultNode] = []
        for number in range(1, nodes + 1):
            node = FaultNode(
                f"node{number}",
                folder / f"node{number}",
                await stack.enter_async_context(fault_proxy("127.0.0.1", database.port)),
                await stack.enter_async_context(
                    fault_proxy("127.0.0.1", store.port if store else 9)
                ),
            )
            _configure(node, names, peer_port, objects=objects)
            made.append(node)
        if store is not None:
            await store.make_bucket()
        tls = authority.client_context()
        tls.check_hostname = False
        world = FaultWorld(folder, made, database, store, peer, tls, chance)
        try:
            await asyncio.gather(*(node.start() for node in made))
            yield world
        finally:
            for node in made:
                node.kill()


@contextmanager
def _objects(folder: Path) -> Iterator[ObjectServer]:
    server = ObjectServer(folder)
    try:
        yield server
    finally:
        server.close()


def _make_accounts(database: Server, folder: Path) -> None:
    url = f"{database.url}?options=-csearch_path%3D{_SCHEMA}"
    make_folder(folder / "setup")
    store = open_test_store(url, folder / "setup", worker=None)
    try:
        for login in ACCOUNTS:
            make_reader(store, f"{login}@y.test")
    finally:
        store.close_now()


def _configure(node: FaultNode, names: str, peer_port: int, *, objects: bool) -> None:
    node.folder.mkdir()
    make_folder(node.folder / "data")
    listen: dict[str, list[str]] = {name: ["127.0.0.1:0"] for name in _SERVICES}
    listen |= {name: [] for name in _OTHERS}
    database = f"postgresql://postgres@127.0.0.1:{node.database.port}/postgres"
    store: dict[str, Any] = {
        "url": f"{database}?options=-csearch_path%3D{_SCHEMA}",
        "free_space_reserve": "0B",
        "inline_limit": "1GiB",
    }
    options: dict[str, dict[str, Any]] = {
        "server": {"hostname": "mx.y.test", "data_dir": "data", "workers": 2},
        "store": store,
        "listen": listen,
        "tls": {"certificate": "../mx.y.test.pem", "key": "../mx.y.test.key"},
        "dns": {"nameservers": [names]},
        "deliver": {"port_table": {"mx.peer.test": f"127.0.0.1:{peer_port}"}},
        "queue": {"first_retry": "1s", "max_retry": "4s"},
        "limits": {
            "sessions_per_address": 0,
            "sessions_per_network": 0,
            "sessions_per_account": 0,
            "login_failures": 0,
            "memory": "1GiB",
        },
        "submit": {
            "recipients_per_mail": 0,
            "recipients_per_minute": 0,
            "recipients_per_day": 0,
            "strangers_per_hour": 0,
            "strangers_per_day": 0,
        },
    }
    if objects:
        store |= {"blobs": "s3://mail/x", "inline_limit": "64KiB"}
        options["limits"]["memory"] = "64KiB"
        options["store.s3"] = {
            "endpoint": f"http://127.0.0.1:{node.objects.port}/",
            "region": "us-east-1",
            "access_key": "me",
            "secret_key": "word",
            "timeout": "5s",
        }
    node.configuration.write_text(toml_text(options, node.name), "utf-8")
