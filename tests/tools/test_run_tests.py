"""What failed is run once more, alone; flaky tests are listed, and too many fail the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "run_tests.py"

GOOD = "def test_good(): pass\n"
BAD = "def test_bad(): assert False\n"
FLAKY = """\
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_flaky(number):
    seen = Path(__file__).parent / f"seen-{{number}}"
    if not seen.exists():
        seen.touch()
        raise AssertionError("the first time")
"""


# Of what is installed only what the tool needs: to import the rest takes most of the time.
_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}


def run(folder: Path, text: str, processes: int = 0) -> tuple[int, str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_sample.py").write_text(text)
    done = subprocess.run(
        [sys.executable, str(TOOL), str(folder), "--rootdir", str(folder), "-n", str(processes)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | _PLUGINS,
    )
    return done.returncode, done.stdout


def test_passed(tmp_path: Path) -> None:
    status, told = run(tmp_path, GOOD)
    assert status == 0
    assert "flaky" not in told


def test_flaky_is_listed_and_passes(tmp_path: Path) -> None:
    status, told = run(tmp_path, GOOD + FLAKY.format(count=1), processes=2)
    assert status == 0, told
    assert told.splitlines()[-2].startswith("flaky tests (1;")
    assert told.splitlines()[-1].endswith("test_sample.py::test_flaky[0]")


def test_failed_twice_fails(tmp_path: Path) -> None:
    status, told = run(tmp_path, FLAKY.format(count=1) + BAD)
    assert status == 1
    assert "test_flaky[0]" in told.splitlines()[-1]


def test_many_flaky_fail(tmp_path: Path) -> None:
    status, told = run(tmp_path, FLAKY.format(count=6))
    assert status == 1
    assert told.splitlines()[-1] == "more than 5 flaky tests: the run failed"


def test_many_failures_are_not_run_again(tmp_path: Path) -> None:
    status, told = run(tmp_path, FLAKY.format(count=41))
    assert status == 1
    assert "once more" not in told


def test_a_file_that_cannot_be_read_fails(tmp_path: Path) -> None:
    status, _ = run(tmp_path, "import nothing_of_this_name\n" + GOOD)
    assert status != 0


def test_no_test_fails(tmp_path: Path) -> None:
    assert run(tmp_path, "x = 1\n")[0] != 0
