"""Commands on a disk that is really full: a clear sentence, status 1, nothing half made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ZAJIL = [sys.executable, "-m", "zajil"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=40M", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this test needs to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def run(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [*ZAJIL, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


def fill(disk: Path) -> Path:
    """Use all the space that is left."""
    file = disk / "fill"
    with file.open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass
    return file


@pytest.mark.slow
def test_no_command_leaves_anything_behind(disk: Path) -> None:
    folder = disk / "mail"
    setup = ("setup", "north.test", "--dir", str(folder), "--address", "127.0.0.1")
    filler = fill(disk)
    status, error = run(*setup)
    assert (status, "No space left on device" in error) == (1, True)
    assert os.listdir(disk) == ["fill"]

    filler.unlink()
    assert run(*setup)[0] == 0
    filler = fill(disk)
    config = ("--config", str(folder / "zajil.toml"))
    before = set(folder.rglob("*"))
    for command in (
        ("account", "add", "amal@north.test"),
        ("dkim", "rotate", "north.test"),
        ("account", "list"),
        ("config", "check"),
        ("serve",),
    ):
        status, error = run(*config, *command)
        assert status == 1, command
        assert f"the disk of {folder / 'data'} is full" in error
        assert "Traceback" not in error
    left = {path.name for path in set(folder.rglob("*")) - before}
    # Locks are empty files. SQLite leaves its own two where it had no space to remove them.
    assert left <= {"server.lock", "store.sqlite-wal", "store.sqlite-shm"}

    filler.unlink()
    assert run(*config, "account", "add", "amal@north.test")[0] == 0
