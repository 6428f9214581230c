"""What every test has, and the last line of a run: which foreign programs were missing."""

from __future__ import annotations

import dataclasses
import gc
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import profiles
from hypothesis import settings

from kit.foreign import missing_line
from kit.lab_process import LabDomain, LabProcess
from kit.statements import share_compiled_statements
from kit.store import PostgresServer, open_test_store
from kit.workers import GroupScheduling, may_use_the_lab, place_in_order
from zajil.store.engine.open import Store

# Time is no verdict on a shared machine; what must be linear is proved by the amount of work.
# CI always tries the same examples: a new find of a random one belongs to a run by hand.
settings.register_profile("zajil", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("zajil")

# Hundreds of processes that tests start would compile all of our sources anew without it.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Programs that tests start import the kit, too.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH")))
)


# Tests do not survive a power failure anyway: nothing in their process waits for the disk. What
# proves that data is safe runs servers of its own, and ``real_fsync`` gives the system's back.
_FSYNC = os.fsync
setattr(os, "fsync", lambda _: None)  # noqa: B010 - for mypy it is no variable

# A hash of a password takes a quarter of a second, as it shall: that is for one test to prove.
_STRONG = profiles.RFC_9106_LOW_MEMORY
profiles.RFC_9106_LOW_MEMORY = dataclasses.replace(_STRONG, time_cost=1, memory_cost=64)

share_compiled_statements()

# Importing all tests makes a million objects and no garbage.
gc.disable()

_LAB_SECONDS = 240
"""A guard: a lab is three servers of two workers each, on a machine that runs other tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes long begin first, and give those that use the lab of the run more time."""
    items.sort(key=lambda item: place_in_order(item.nodeid))
    for item in items:
        if "lab" in getattr(item, "fixturenames", ()):
            if not may_use_the_lab(item.nodeid):
                raise pytest.UsageError(f"{item.nodeid} uses the lab: list it in kit/workers.py")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(_LAB_SECONDS))


def pytest_collection_finish() -> None:
    """Let garbage collection begin, and leave out the tests: a million objects that stay."""
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Let tests that share something slow to start share a process."""
    return GroupScheduling(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name no test by packed bytes: they hold the time, and two workers would not agree on it."""
    return argname if isinstance(val, bytes) and not _PLAIN.fullmatch(val) else None


_PLAIN = re.compile(rb"[ -~\s]{0,60}")


@pytest.fixture
def real_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test wait for the disk."""
    monkeypatch.setattr(os, "fsync", _FSYNC)


@pytest.fixture
def strong_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test hash passwords as a server does."""
    monkeypatch.setattr(profiles, "RFC_9106_LOW_MEMORY", _STRONG)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """Real servers for all who only want to talk to them: its clients are others' programs."""
    folder = tmp_path_factory.mktemp("lab")
    process = LabProcess("--dir", str(folder), "--workers", "2")
    yield process
    process.stop()


@pytest.fixture(scope="session")
def north(lab: LabProcess) -> LabDomain:
    """The first domain."""
    return lab.domains[0]


@pytest.fixture(scope="session")
def south(lab: LabProcess) -> LabDomain:
    """The second domain."""
    return lab.domains[1]


@pytest.fixture(scope="session")
def zajil(lab: LabProcess) -> LabDomain:
    """The Arabic domain."""
    return lab.domains[2]


@pytest.fixture(scope="session")
def postgres() -> PostgresServer:
    """One server for the whole run, whatever number of processes it has."""
    # Not below pytest's own folder: that is closed to the user the server runs as.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    return PostgresServer(Path(tempfile.gettempdir()) / f"zajil-test-{run[:12]}")


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A test that asks for it runs on both databases."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.lent_url() as url:
        yield url


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A new schema of PostgreSQL, for what SQLite does in another way."""
    with postgres.lent_url() as url:
        yield url


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> Iterator[Store]:
    """An empty store, not started: ``write_now`` and ``read_now`` work, ``running`` starts it."""
    opened = open_test_store(store_url, tmp_path / "data")
    yield opened
    opened.close_now()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    line = missing_line(str(report.longrepr) for report in skipped)
    if line is not None:
        terminalreporter.write_line(line, yellow=True)
