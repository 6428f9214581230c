"""What the processes of a server at rest have imported: each module takes memory in all of them.

What is imported before the fork is shared, until a process writes to its pages; what a worker
imports later it has for itself. Bytes depend on the machine (``tests/perf/resting.py`` measures
them), modules do not.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.installation import serving, set_up
from kit.load import descendants

_MOST = 1580
"""Modules, half of them ours. Whoever needs more finds out first what else can go."""
_WHEN_NEEDED = (
    "acme",
    "alembic",
    "dns.query",
    "dns.update",
    "httpx",
    "lexicon",
    "opentelemetry",
    "prometheus_client",
    "psycopg",
    "requests",
    "rich",
    "segno",
    "sqlalchemy.dialects.postgresql",
    "zajil.accept.echo",
    "zajil.app.nodes",
    "zajil.app.sharded",
    "zajil.certificates.authority",
    "zajil.certificates.upkeep",
    "zajil.monitor.http",
    "zajil.monitor.tracing",
    "zajil.store.blobs.bucket",
    "zajil.store.engine.postgres",
    "zajil.store.repair",
    "zajil.store.shards.move",
)
"""Imported by the function that needs them: for other databases, features and hours."""
_PROBE = """
import os, pathlib, signal, sys

def tell(*_):
    folder = pathlib.Path(os.environ["MODULES_OF_PROCESSES"])
    path = folder / f"{os.getpid()}.part"
    path.write_text(" ".join(sys.modules))
    path.rename(folder / str(os.getpid()))

signal.signal(signal.SIGUSR2, tell)
"""
_PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[set[str]]]:
    """Those of the supervisor, and of each of two workers."""
    folder = tmp_path_factory.mktemp("resting")
    (folder / "probe").mkdir()
    (folder / "probe" / "sitecustomize.py").write_text(_PROBE)
    (folder / "found").mkdir()
    environment = {
        "PYTHONPATH": os.pathsep.join([str(folder / "probe"), os.environ["PYTHONPATH"]]),
        "MODULES_OF_PROCESSES": str(folder / "found"),
    }
    made = set_up(folder / "zajil")
    tls = TestAuthority(folder).issue("mx.y.test")
    with serving(made, tls, 'listen.https=["127.0.0.1:0"]', environment=environment) as server:
        processes = descendants([server.pid])
        assert len(processes) == 3
        time.sleep(1)  # the background tasks of a start
        yield [_ask(one, folder / "found" / str(one)) for one in processes]


def _ask(process: int, answer: Path) -> set[str]:
    os.kill(process, signal.SIGUSR2)
    until = time.monotonic() + _PATIENCE_SECONDS
    while not answer.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    return set(answer.read_text().split())


def test_what_is_rarely_needed_is_not_imported(modules: list[set[str]]) -> None:
    for imported in modules:
        assert imported & set(_WHEN_NEEDED) == set()


def test_workers_import_nothing_for_themselves(modules: list[set[str]]) -> None:
    supervisor, *workers = modules
    for worker in workers:
        assert worker <= supervisor


def test_a_server_at_rest_has_few_modules(modules: list[set[str]]) -> None:
    for imported in modules:
        assert len(imported) <= _MOST
