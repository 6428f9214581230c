"""An end to how long one mail may wait for DNS, however slowly its sender's servers answer.

A check may ask a hundred questions, and each may take its full time. When the time of the mail is
over, every further question has failed: what rests on it is a temporary error, and is never held
against the mail (RFC 7208 section 4.6.4, decision 0007, law 3). But such a question was not asked,
and where its answer might have refused the mail, the mail has to come again (decision 0009).
"""

from __future__ import annotations

import asyncio

from zajil.check.side_by_side import Begun, begin
from zajil.dns.flow import Answer, Outcome, Question, Resolve

SECONDS = 20.0
"""RFC 7208 section 4.6.4 asks for that much at least; the peer waits minutes for our reply."""


class Deadline:
    """``resolve`` for one mail, or one peer; what is in memory costs no task and no timer."""

    def __init__(self, resolve: Resolve, seconds: float = SECONDS) -> None:
        self._resolve = resolve
        self._seconds = seconds
        self._until: float | None = None
        """Begins to run with the first question that has to wait."""
        self.left_unasked = False
        """Whether a question was not asked: no time, no name server, or a zone at rest."""

    async def resolve(self, question: Question) -> Answer:
        """Answer, or fail when the time is over; who else waits for the answer still gets it."""
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
        return Answer(question, Outcome.FAILED, detail="no time left", is_unasked=True)

    async def _ask(self, question: Question) -> Answer:
        return await self._resolve(question)
