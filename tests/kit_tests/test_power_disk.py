"""The disk of the power-loss test keeps what was synced, and not more than it must."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from kit.power_disk import CALLS, Disk, Names, Unsynced
from kit.strace import read_trace, strace_command

_PROGRAM = """
import os, sys
os.chdir(sys.argv[1])
here = os.getcwd()
file = os.open(f"{here}/old", os.O_RDWR)
os.pwrite(file, b"synced", 4)
os.fdatasync(file)
os.pwrite(file, b"UN", 0)
new = os.open(f"{here}/new", os.O_RDWR | os.O_CREAT | os.O_EXCL)
os.write(new, b"1" * 600)
os.write(new, b"2" * 600)
if "folder" in sys.argv:
    folder = os.open(here, os.O_RDONLY)
    os.fsync(folder)
if "file" in sys.argv:
    os.fsync(new)
os.ftruncate(file, 6)
os.rename(f"{here}/old", f"{here}/moved")
os.unlink(f"{here}/new")
os.write(new, b"3")
"""


def run(folder: Path, *what: str) -> Disk:
    """Run the program, up to its last sync and what it does then."""
    data, before, trace = folder / "data", folder / "before", folder / "trace"
    before.mkdir()
    (before / "old").write_bytes(b"0123456789abc")
    shutil.copytree(before, data)
    command = [sys.executable, "-c", _PROGRAM, str(data), *what]
    subprocess.run([*strace_command(trace, CALLS), *command], check=True)
    names = Names.BY_FOLDER if "strict" in what else Names.IN_ORDER
    disk = Disk(data, before, read_trace(trace), names)
    disk.run()
    assert disk.live() == {"moved": b"UN23sy"}
    assert (data / "moved").read_bytes() == b"UN23sy"
    return disk


def after(disk: Disk, target: Path, unsynced: Unsynced, seed: int = 1) -> dict[str, bytes]:
    disk.cut_power(target, unsynced, Random(seed))
    found = {path.name: path.read_bytes() for path in target.iterdir()}
    shutil.rmtree(target)
    return found


@pytest.mark.parametrize(
    ("what", "new"),
    [
        ((), None),
        (("folder",), b""),
        (("file",), b"1" * 600 + b"2" * 600),
        (("strict", "file"), None),
        (("strict", "folder", "file"), b"1" * 600 + b"2" * 600),
    ],
)
def test_what_was_synced_is_kept(what: tuple[str, ...], new: bytes | None, tmp_path: Path) -> None:
    disk = run(tmp_path, *what)
    expected = {"old": b"0123syncedabc"} | ({} if new is None else {"new": new})
    assert after(disk, tmp_path / "t", Unsynced.LOST) == expected
    assert after(disk, tmp_path / "t", Unsynced.KEPT) == {"moved": b"UN23sy"}


def test_what_was_not_synced_is_left_to_chance(tmp_path: Path) -> None:
    disk = run(tmp_path, "folder")
    states = [after(disk, tmp_path / "t", Unsynced.RANDOM, seed) for seed in range(100)]
    assert {"moved", "old", "new"} == {name for state in states for name in state}
    news = {state["new"] for state in states if "new" in state}
    assert b"" in news
    assert b"1" * 512 + b"\0" * 88 in news, "the second sector is late"
    assert b"\0" * 512 + b"1" * 88 + b"2" * 600 in news, "the first sector is late"
    olds = {state["old"] for state in states if "old" in state}
    assert olds <= {b"0123syncedabc", b"UN23syncedabc", b"0123sy", b"UN23sy", b"UN23sy" + b"\0" * 7}
    assert len(olds) > 2


def test_a_sync_that_fails_keeps_nothing(tmp_path: Path) -> None:
    trace, before, data = tmp_path / "trace", tmp_path / "before", tmp_path / "data"
    before.mkdir()
    data.mkdir()
    fails = ("-e", "inject=fsync:error=EIO")
    code = (
        "import os, sys, contextlib\n"
        "file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "os.write(file, b'text')\n"
        "with contextlib.suppress(OSError): os.fsync(file)\n"
    )
    command = [sys.executable, "-c", code, str(data / "file")]
    subprocess.run([*strace_command(trace, CALLS, *fails), *command], check=True)
    disk = Disk(data, before, read_trace(trace))
    disk.run()
    assert after(disk, tmp_path / "t", Unsynced.LOST) == {}
