"""Run flows side by side: those that only ask what is in memory cost no task.

A flow is begun at once. Where all its answers are there it is at its end already, and that is how
nearly every mail goes; only one that has to wait goes on as a task beside the others.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator, Sequence
from typing import Any

from zajil.dns.flow import Flow, Resolve, run_flow


async def run_side_by_side(flows: Sequence[Flow[Any]], resolve: Resolve) -> list[Any]:
    """Give what each flow found, in order.

    Waits for DNS. Cancelling ends them all.
    """
    begun = [begin(run_flow(flow, resolve)) for flow in flows]
    waiting = [one for one in begun if isinstance(one, Begun)]
    if waiting:
        async with asyncio.TaskGroup() as group:
            for one in waiting:
                one.task = group.create_task(one.go_on())
    return [
        one.task.result() if isinstance(one, Begun) and one.task is not None else one
        for one in begun
    ]


def begin(work: Coroutine[Any, None, Any]) -> Any:
    """Give the result of a coroutine that need not wait, else the coroutine as far as it came."""
    try:
        return Begun(work, work.send(None))
    except StopIteration as stop:
        return stop.value


class Begun:
    """A coroutine that waits for something."""

    def __init__(self, work: Coroutine[Any, None, Any], waits_for: Any) -> None:
        self._work = work
        self._waits_for = waits_for
        self.task: asyncio.Task[Any] | None = None

    @types.coroutine
    def _rest(self) -> Generator[Any, Any, Any]:
        # What the coroutine waits for is handed on to the task, and its answer back.
        waits_for = self._waits_for
        while True:
            try:
                answer, error = (yield waits_for), None
            except BaseException as raised:
                answer, error = None, raised
            try:
                waits_for = self._work.throw(error) if error else self._work.send(answer)
            except StopIteration as stop:
                return stop.value

    async def go_on(self) -> Any:
        """Drive it to its end."""
        return await self._rest()
