"""Operations on the store of a test."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kit.clock import FakeClock
from zajil.core.actor import Actor, command_line_actor
from zajil.net.system import SystemClock
from zajil.operations.context import OperationContext
from zajil.operations.run import Runner
from zajil.store.engine.open import Store

BOSS = command_line_actor("boss")


class ThreadedRunner(Runner):
    """A runner that also works beside a running event loop, which waits for it."""

    def run(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the result of an operation."""
        work = operation(self.context, self.actor, *args, **kwargs)
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, work).result()


def runner(store: Store, now_ms: int | None = None, actor: Actor = BOSS) -> ThreadedRunner:
    """Return a runner that writes by ``store.write_now``.

    Args:
        store: the store.
        now_ms: the time; ``None``: that of the system.
        actor: who runs the operations.
    """
    clock = SystemClock() if now_ms is None else FakeClock(now_ms)
    return ThreadedRunner(OperationContext(store, clock, os.urandom, at_once=True), actor)
