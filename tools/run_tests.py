"""Run all tests on all cores, and what failed once more, alone and one after the other.

A test that passes the second time is flaky: it is listed in the last lines, and must be mended. Up
to ``MAX_FLAKY`` flaky tests do not fail the run; a test that fails twice does. Prints the slowest
tests. Arguments are passed on to pytest.

    python tools/run_tests.py [PYTEST ARGUMENT...]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

MAX_FLAKY = 5
MAX_RERUN = 40
"""With more failures than this something is broken: running them again only costs time."""
_SLOWEST = 10
_SOME_FAILED = 1  # pytest's exit status; other statuses mean that tests could not be run


def main(arguments: list[str]) -> int:
    """Run the tests; give the exit status: 1 if a test failed twice or too many were flaky."""
    with tempfile.TemporaryDirectory(prefix="zajil-tests-") as folder:
        status, failed = _pytest(
            Path(folder) / "first", "-n", _processes(), f"--durations={_SLOWEST}", *arguments
        )
        if status != _SOME_FAILED or not 0 < len(failed) <= MAX_RERUN:
            return status
        print(f"== once more, alone: {len(failed)} that failed", flush=True)
        again = Path(folder) / "second"
        status, still = _pytest(again, "-n", "0", *arguments, "--last-failed", known=failed)
    flaky = sorted(set(failed) - set(still)) if status in (0, _SOME_FAILED) else []
    if flaky:
        print(f"flaky tests ({len(flaky)}; failed beside others, passed alone; mend them):")
        print(*(f"    {test}" for test in flaky), sep="\n", flush=True)
    if len(flaky) > MAX_FLAKY:
        print(f"more than {MAX_FLAKY} flaky tests: the run failed", flush=True)
        return 1
    return status


def _processes() -> str:
    """Return one more than there are cores: some tests wait for a time-out and use none."""
    return str(len(os.sched_getaffinity(0)) + 1)


def _pytest(cache: Path, *arguments: str, known: list[str] | None = None) -> tuple[int, list[str]]:
    """Run pytest with a cache folder of its own.

    Args:
        known: the tests that ``--last-failed`` shall take.

    Returns:
        The exit status and the ids of the tests that failed.
    """
    last_failed = cache / "v" / "cache" / "lastfailed"
    if known is not None:
        last_failed.parent.mkdir(parents=True)
        last_failed.write_text(json.dumps(dict.fromkeys(known, True)))
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={cache}", *arguments]
    status = subprocess.run(command, check=False).returncode
    return status, sorted(json.loads(last_failed.read_text())) if last_failed.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
