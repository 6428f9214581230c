"""The benchmark of searches on the pages runs; nothing here depends on speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from searching import QUERIES


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_query_is_measured() -> None:
    command = [sys.executable, str(Path(__file__).parent / "searching.py")]
    done = subprocess.run(
        [*command, "--mails", "60", "--rounds", "1"], check=True, capture_output=True, text=True
    )
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == len(QUERIES) + 2
    assert " -1 " not in done.stdout
