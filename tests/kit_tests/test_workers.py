"""The scheduler of the suite gives every test to a process, also when one of them crashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
_CONFTEST = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from kit.workers import GroupScheduling


def pytest_xdist_make_scheduler(config, log):
    return GroupScheduling(config, log)
"""


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_crash_fails_one_test_and_no_other_is_left_out(tmp_path: Path, place: str) -> None:
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    crash = "def test_crash():\n    import os\n    os._exit(3)\n\n\n"
    others = "".join(f"def test_{number}():\n    pass\n\n\n" for number in range(4))
    (tmp_path / "test_it.py").write_text(crash + others if place == "first" else others + crash)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "1 failed, 4 passed" in done.stdout, done.stdout
    assert "crashed while running 'test_it.py::test_crash'" in done.stdout
