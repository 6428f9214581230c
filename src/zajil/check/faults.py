"""Faults of our own while a mail is checked: that part is left out, and the mail goes on.

A message that makes one of our parsers fail would make it fail again each time the peer tries: a
4yz reply would hold the message up until its sender gives up. So the message is taken without that
check, marked (``check.failed``), with the traceback in its journey and a line in the log.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from typing import TypeVar

from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Reason
from zajil.store.engine.errors import StoreUnavailable
from zajil.tracking.events import FaultHappened

T = TypeVar("T")


class Faults:
    """Runs the parts of one mail's checks.

    ``StoreUnavailable`` and cancellation pass: they are not about the message, and the peer shall
    try again.
    """

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self.events: list[FaultHappened] = []

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Mark the mail if any part failed."""
        return (make_reason("check.failed"),) if self.events else ()

    async def wait(self, part: str, work: Awaitable[T], otherwise: T) -> T:
        """Give the result of ``work``, or ``otherwise`` if it fails."""
        try:
            return await work
        except StoreUnavailable:
            raise
        except Exception as error:
            self._note(part, error)
            return otherwise

    def run(self, part: str, work: Callable[[], T], otherwise: T) -> T:
        """Give the result of ``work``, or ``otherwise`` if it fails."""
        try:
            return work()
        except StoreUnavailable:
            raise
        except Exception as error:
            self._note(part, error)
            return otherwise

    def _note(self, part: str, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        summary = f"check failed ({part}): {error!r}"
        self.events.append(FaultHappened(self._now_ms, summary, trace))
