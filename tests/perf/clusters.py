"""Nodes for measurements: real servers with one worker each, on one database, synced as always.

A cluster of SQLite has one node. The nodes of a cluster of PostgreSQL share a server of their own,
from the wheel, with the settings it comes with: only ``fsync`` is on, which tests turn off.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import psycopg

from kit.installation import SetUp, serving
from kit.load import CpuTime, descendants, machine_cpu_seconds, running_sink, tree_cpu
from kit.store import PostgresServer, make_account
from name_server import running_name_server
from peers import free_port
from zajil.config.load import load_configuration
from zajil.operations.run import open_admin_store
from zajil.store.engine.open import Store
from zajil.store.mail.summaries import find_waiting

_ZAJIL = [sys.executable, "-m", "zajil"]
_S3 = ["store.blobs=s3://none/none", "store.s3.endpoint=http://127.0.0.1:9"]
AWAY = "away@y.test"
"""An alias of an address elsewhere."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes that run."""

    name: str
    addresses: tuple[str, ...]
    """Of their SMTP services."""
    pids: tuple[int, ...]
    """Of their supervisors."""
    store: Store
    """The same store, in this process."""
    sunk: Callable[[], int]
    """Return how many mails were sent to the next server so far."""
    postgres: PostgresServer | None
    """``None``: it is SQLite, whose work is done by the nodes."""

    def read_clocks(self) -> Clocks:
        """Return how much CPU was used so far."""
        database = CpuTime() if self.postgres is None else tree_cpu((self.postgres.pid,))
        nodes = tree_cpu(self.pids).total
        switches = _involuntary_switches(self.pids)
        return Clocks(nodes, database.total, machine_cpu_seconds(), time.monotonic(), switches)

    def is_indexed(self) -> bool:
        """Return whether the indexer has read all messages."""
        return not self.store.read_now(lambda conn: find_waiting(conn, 1))

    def checkpoint(self) -> None:
        """Write to the tables what the log holds; it belongs to the cost of what was written."""
        if self.postgres is not None:
            with psycopg.connect(self.postgres.admin_url, autocommit=True) as conn:
                conn.execute("CHECKPOINT")

    def counters(self) -> Counters:
        """Return what the database server counted so far; of SQLite nothing."""
        if self.postgres is None:
            return Counters()
        with psycopg.connect(self.postgres.admin_url, autocommit=True) as conn:
            row = conn.execute(_COUNTERS).fetchone()
        return Counters(*map(int, row or ()))


def _involuntary_switches(roots: Sequence[int]) -> int:
    count = 0
    for pid in descendants(roots):
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            with suppress(OSError):  # it has ended
                count += int(status.read_text().rpartition("nonvoluntary_ctxt_switches:")[2])
    return count


@dataclass(frozen=True, slots=True)
class Clocks:
    """CPU in seconds; as a difference, what was used in between."""

    nodes: float = 0.0
    """Of all processes of the nodes."""
    database: float = 0.0
    """Of the database server."""
    machine: float = 0.0
    """Of everything on the machine."""
    time: float = 0.0
    switches: float = 0.0
    """How often a thread of the nodes lost its processor to another one."""

    def __sub__(self, other: Clocks) -> Clocks:
        return Clocks(*(one - two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def __add__(self, other: Clocks) -> Clocks:
        return Clocks(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Counters:
    """What PostgreSQL counts."""

    commits: int = 0
    rollbacks: int = 0
    wal_bytes: int = 0
    deadlocks: int = 0
    wal_syncs: int = 0

    def __sub__(self, other: Counters) -> Counters:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Counters(*(one - two for one, two in pairs))


_COUNTERS = """
    SELECT xact_commit, xact_rollback, wal_bytes, deadlocks,
        (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal')
    FROM pg_stat_database, pg_stat_wal WHERE datname = current_database()
"""


@contextmanager
def sqlite_cluster(
    folder: Path, accounts: int, settings: Sequence[str] = (), workers: int = 1
) -> Iterator[Cluster]:
    """Run one node on SQLite; it gets as many generators as it has workers."""
    folder.mkdir()
    given = [*settings, f"server.workers={workers}"]
    with _running(folder, ["sqlite"], accounts, given, None) as one:
        name = f"SQLite, {workers}"
        yield replace(one, name=name, addresses=one.addresses * workers)


@contextmanager
def postgres_cluster(
    folder: Path,
    nodes: int,
    accounts: int,
    settings: Sequence[str] = (),
    database_settings: Sequence[str] = (),
) -> Iterator[Cluster]:
    """Run nodes on a PostgreSQL of their own.

    Args:
        folder: a new one.
        nodes: how many.
        accounts: ``b@y.test``, ``b1@y.test`` ...
        settings: options of the nodes, as ``--set`` takes them.
        database_settings: of PostgreSQL: ``NAME = VALUE``.
    """
    folder.mkdir()
    postgres = PostgresServer(folder / "postgres", synced=True)
    with psycopg.connect(postgres.admin_url, autocommit=True) as conn:
        for setting in database_settings:
            conn.execute(f"ALTER SYSTEM SET {setting}".encode())
        conn.execute("SELECT pg_reload_conf()")
    url = postgres.new_url()
    with _running(folder, [url] * nodes, accounts, settings, postgres) as cluster:
        yield cluster


@contextmanager
def _running(
    folder: Path,
    urls: Sequence[str],
    accounts: int,
    settings: Sequence[str],
    postgres: PostgresServer | None,
) -> Iterator[Cluster]:
    made = _set_up(folder, urls)
    with ExitStack() as stack:
        configuration = load_configuration(made[0].configuration)
        store = stack.enter_context(open_admin_store(configuration))
        for number in range(1, accounts):
            make_account(store, f"b{number}@y.test")
        _run(made[0], "alias", "add", AWAY, "c@z.test")
        nameserver = stack.enter_context(running_name_server())
        sink = stack.enter_context(running_sink(free_port()))
        port = sink.address.rpartition(":")[2]
        given = [f'dns.nameservers=["{nameserver}"]', f"deliver.port={port}", *settings]
        # Several nodes need a place for large messages that all can read; these loads have none.
        given += _S3 if len(urls) > 1 else []
        nodes = [
            stack.enter_context(serving(node, None, *given, workers=1, log=folder / "log"))
            for node in made
        ]
        yield Cluster(
            name="SQLite" if postgres is None else f"PostgreSQL, {len(urls)}",
            addresses=tuple(node.services["smtp"][0] for node in nodes),
            pids=tuple(node.pid for node in nodes),
            store=store,
            sunk=sink.count,
            postgres=postgres,
        )


def _set_up(folder: Path, urls: Sequence[str]) -> list[SetUp]:
    """Set up the first node; the others get a copy of its folder, without its id."""
    first = folder / "node1"
    setup = ["setup", "y.test", "--dir", str(first), "--admin", "b@y.test"]
    database = [] if urls[0] == "sqlite" else ["--database", urls[0]]
    command = [*_ZAJIL, *setup, *database]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    made = [SetUp(first / "zajil.toml", "", "")]
    (first / "data" / "node.id").unlink(missing_ok=True)
    for number in range(2, len(urls) + 1):
        other = folder / f"node{number}"
        shutil.copytree(first, other, symlinks=True)
        made.append(SetUp(other / "zajil.toml", "", ""))
    return made


def _run(node: SetUp, *words: str) -> None:
    command = [*_ZAJIL, "--config", str(node.configuration), *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
