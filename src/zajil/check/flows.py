"""How the checks of one mail ask DNS: side by side, and not for longer than a mail may take.

A check may ask a hundred questions, and each may take its full time. When the time of the mail is
over, every further question has failed: what rests on it is a temporary error, and is never held
against the mail (RFC 7208 section 4.6.4, decision 0007, law 3). But such a question was not asked,
and where its answer might have refused the mail, the mail has to come again (decision 0009).

A flow is begun at once. Where all its answers are in the cache it is at its end already, and that
is how nearly every mail goes; only one that has to wait goes on as a task beside the others.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator, Sequence
from typing import Any

from zajil.dns.flow import Answer, Flow, Outcome, Question, Resolve, run_flow

SECONDS = 20.0
"""RFC 7208 section 4.6.4 asks for that much at least; the peer waits minutes for our reply."""


class Deadline:
    """``resolve`` for one mail or peer; an answer from the cache costs no task and no timer."""

    def __init__(self, resolve: Resolve, seconds: float = SECONDS) -> None:
        self._resolve = resolve
        self._seconds = seconds
        self._until: float | None = None
        """Begins to run with the first question that has to wait."""
        self.left_unasked = False
        """Whether a question was not asked: no time, no name server, or a zone at rest."""

    async def resolve(self, question: Question) -> Answer:
        """Answer, or fail when the time is over; others that wait for the answer still get it."""
        answer = await self._answer(question)
        self.left_unasked = self.left_unasked or answer.is_unasked
        return answer

    async def _answer(self, question: Question) -> Answer:
        begun = begin(self._ask(question))
        if not isinstance(begun, Begun):
            answer: Answer = begun
            return answer
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._seconds
        task = asyncio.ensure_future(begun.go_on())
        try:
            await asyncio.wait({task}, timeout=max(0.0, self._until - now))
            if task.done():
                known: Answer = task.result()
                return known
        finally:
            task.cancel()
        return Answer(
            question=question, outcome=Outcome.FAILED, detail="no time left", is_unasked=True
        )

    async def _ask(self, question: Question) -> Answer:
        return await self._resolve(question)


async def run_side_by_side(flows: Sequence[Flow[Any]], resolve: Resolve) -> list[Any]:
    """Return what each flow found, in order.

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
    """Return the result of a coroutine that need not wait, else the coroutine as far as it came."""
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
