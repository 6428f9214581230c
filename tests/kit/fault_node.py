"""``zajil`` with one more chore, which appends notes to a file: ``python fault_node.py FILE ARGS``.

Each run of it has a number of its own. All nodes append to one file, so its lines are in the order
in which they were written, whatever the clocks say. SIGUSR1 makes a process write to its log where
its threads are.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Sequence

from zajil.app import services
from zajil.app.chores import Chore, ChoreRunner, ChoreTimes
from zajil.cli.main import main
from zajil.store.engine.open import Store

_TICK_SECONDS = 0.1


def _watch(file: str) -> None:
    """Give each runner of chores the one more."""

    class WatchedRunner(ChoreRunner):
        def __init__(
            self,
            store: Store,
            worker: int,
            chores: Sequence[Chore],
            times: ChoreTimes | None = None,
        ) -> None:
            async def note() -> None:
                run = f"{store.node_id}/{worker}/{os.getpid()}/{os.urandom(4).hex()}"
                descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    while True:
                        line = f"{time.monotonic():.3f} {run}\n"
                        os.write(descriptor, line.encode("ascii"))
                        await asyncio.sleep(_TICK_SECONDS)
                finally:
                    os.close(descriptor)

            super().__init__(store, worker, [*chores, Chore("test_notes", note)], times)

    setattr(services, "ChoreRunner", WatchedRunner)  # noqa: B010 (it is not exported)


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)
    _watch(sys.argv[1])
    main(sys.argv[2:])
