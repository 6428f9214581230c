"""A server that people have used, made once; and a copy of it for each page."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from kit.command_line import Run
from kit.name_server import zone_server
from kit.operator_world import World, add_people, first_zone, make_world, publish, use
from zajil.cli.main import main


def run_captured(*arguments: str) -> tuple[int, str, str]:
    """Run a command of ours in this process; give status, stdout, stderr."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = []
    for stream in (out, err):
        stream.seek(0)
        printed.append(stream.read())
    return int(ended.value.code or 0), printed[0], printed[1]


@pytest.fixture(scope="session")
def used_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The original; its name server answers until the end of the run."""
    zone = first_zone()
    with zone_server(zone) as nameserver, pytest.MonkeyPatch.context() as patch:
        world = make_world(tmp_path_factory.mktemp("operator") / "world", nameserver)
        patch.setenv("ZAJIL_CONFIG", str(world.configuration))
        publish(zone, run_captured)
        add_people(world, run_captured)
        use(world, run_captured)
        yield world


@pytest.fixture
def world(used_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A copy for one test, and its operator's environment."""
    copy = used_world.copy(tmp_path / "world")
    monkeypatch.setenv("ZAJIL_CONFIG", str(copy.configuration))
    monkeypatch.setenv("HOME", str(copy.home))
    monkeypatch.chdir(copy.home)
    return copy


@pytest.fixture
def run() -> Run:
    """Run a command of ours for that copy; give status, stdout, stderr."""
    return run_captured
