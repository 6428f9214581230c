"""Let nodes fail under load, and account for every mail: ``python tests/faults/run.py``.

Prints a table of the faults and what is wrong afterwards. Ctrl-C and SIGTERM end it after the fault
under way, with the account of what was done. Exit status: 0 nothing is wrong, 1 something is.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from kit.fault_run import FaultReport, FaultRun, run_faults


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faults", type=int, default=200, help="number of faults")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all that is drawn")
    parser.add_argument("--nodes", type=int, default=3, help="number of nodes")
    parser.add_argument("--kind", help="only faults of this kind")
    parser.add_argument("--no-s3", action="store_true", help="all messages are in PostgreSQL")
    parser.add_argument("--keep", type=Path, help="an empty folder for logs, which stays")
    given = parser.parse_args()
    plan = FaultRun(
        faults=given.faults,
        seed=given.seed,
        nodes=given.nodes,
        kind=given.kind,
        objects=not given.no_s3,
    )
    with tempfile.TemporaryDirectory(prefix="zajil-faults-") as made:
        folder = given.keep or Path(made)
        folder.mkdir(exist_ok=True)
        report = asyncio.run(_run(folder, plan))
    print(report.table())
    for line in report.wrong:
        print(f"wrong: {line}")
    return 1 if report.wrong else 0


async def _run(folder: Path, plan: FaultRun) -> FaultReport:
    enough, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, enough.set)
    return await run_faults(folder, plan, lambda line: print(line, flush=True), enough)


if __name__ == "__main__":
    raise SystemExit(main())
