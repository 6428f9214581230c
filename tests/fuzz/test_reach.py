"""The fuzz targets reach the code that reads foreign bytes: every function, and most lines."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit.fuzz_reach import LEFT_OUT, ROOMS, SOURCE, is_left_out, lines_of_functions

FLOORS = {"check": 94.0, "message": 95.5, "mailauth": 95.0, "read": 95.5, "reports": 95.0}
"""Percent of the lines of each room, a little under what is measured."""
RUNS = 100


@pytest.mark.timeout(900)
def test_targets_enter_every_function_and_reach_most_lines() -> None:
    # In a process of its own: what another test has put into a cache would not be read again.
    command = [sys.executable, str(Path(__file__).parent / "run.py"), "--reached"]
    done = subprocess.run([*command, "--runs", str(RUNS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not re.findall(r".*never entered.*", done.stdout)
    shares = dict(re.findall(r"^(\w+): ([0-9.]+) % of", done.stdout, re.MULTILINE))
    assert shares.keys() == FLOORS.keys() == set(ROOMS)
    for room, floor in FLOORS.items():
        assert float(shares[room]) >= floor, f"{room}: {done.stdout}"


def test_what_is_left_out_exists() -> None:
    functions = [
        (str(path.relative_to(SOURCE)), name)
        for room in ROOMS
        for path in (SOURCE / room).rglob("*.py")
        for name in lines_of_functions(path)
    ]
    for place in LEFT_OUT:
        named = [one for one in functions if f"{one[0]}: {one[1]}".startswith(place)]
        assert named, place
        assert all(is_left_out(*one) for one in named if one[0] == place or one[1] == place)
    assert not is_left_out("check/learned/greylist.py", "ways_of")


def test_a_line_that_no_target_reaches_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("def f(x):\n    if x:\n        return [y for y in x]\n    return 1\n")
    assert lines_of_functions(path) == {"f": {2, 3, 4}}
