"""A server that was set up, and commands that are run for it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.command_line import Run
from zajil.cli.main import main


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server that was set up, and never started."""
    folder = tmp_path_factory.mktemp("template") / "mail"
    with pytest.raises(SystemExit) as ended:
        main(["setup", "north.test", "--dir", str(folder)])
    assert ended.value.code == 0
    return folder


@pytest.fixture
def server(template: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(template, tmp_path / "mail")) / "zajil.toml"


@pytest.fixture
def run(server: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command for that server; give status, stdout, stderr."""
    monkeypatch.setenv("ZAJIL_CONFIG", str(server))
    # A busy machine must not make a command tell of its progress.
    monkeypatch.setattr("zajil.cli.output._QUIET_SECONDS", 3600.0)

    def run_command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run_command


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
