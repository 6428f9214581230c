"""How patient a session is: answers are held back after errors and for unknown peers.

Slow before closed: who mistypes or has an old list loses some seconds, who tries out addresses by
the thousand loses the afternoon. How many errors end a session is counted by the engine.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from zajil.config.options import LimitOptions
from zajil.core.clock import Clock
from zajil.core.value_class import value_class
from zajil.receive.session_record import SessionRecord
from zajil.tracking.events import AnswersSlowed

MAX_DELAY_MS = 10_000
"""No answer is held back longer for errors: the peer's own patience is 5 minutes
(RFC 5321 section 4.5.3.2)."""
MAX_PEERS = 10_000
"""Peers remembered; the oldest is forgotten first, so that memory stays bounded."""


def error_delay_ms(errors: int, limits: LimitOptions) -> int:
    """Return how long the next answer waits after a number of errors in the session."""
    return min(MAX_DELAY_MS, max(0, errors - limits.soft_error_limit) * limits.error_delay_ms)


class KnownPeers:
    """Remembers which peers handed in a mail, so that the tarpit holds only the others."""

    def __init__(self, delay_ms: int) -> None:
        self._delay_ms = delay_ms
        self._known: OrderedDict[str, None] = OrderedDict()

    def delay_ms(self, host: str) -> int:
        """Return how long a peer waits for the answer to a recipient."""
        return 0 if host in self._known else self._delay_ms

    def remember(self, host: str) -> None:
        """A mail of this peer was accepted."""
        self._known[host] = None
        self._known.move_to_end(host)
        if len(self._known) > MAX_PEERS:
            self._known.popitem(last=False)


@value_class(frozen=True, slots=True)
class SlowAnswers:
    """What holds back the answers of all sessions of a listener."""

    known_peers: KnownPeers | None = None
    """``None``: there is no tarpit."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    """Waits for a number of seconds."""


class Patience:
    """How long one session is borne with: its errors, its bad recipients, its waits.

    Args:
        limits: ``[limits]``.
        clock: for events.
        slow: of the listener.
        record: of the session.
    """

    def __init__(
        self, limits: LimitOptions, clock: Clock, slow: SlowAnswers, record: SessionRecord
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._slow = slow
        self._record = record
        self._is_slowed = False
        self.soft_error_limit = limits.soft_error_limit if limits.error_delay_ms else limits.errors
        """After more errors, answers are slow."""
        self.max_bad_recipients = limits.bad_recipients
        """At this number the session is closed; 0: no limit."""
        self.bad_recipients = 0
        """Refused in all mails of the session; recipients of accepted mails are taken off."""

    async def wait_for_errors(self, errors: int) -> None:
        """Hold back an answer after a number of errors."""
        await self.wait("errors", error_delay_ms(errors, self._limits))

    @property
    def has_tarpit(self) -> bool:
        """Whether unknown peers wait for the answer to a recipient."""
        return self._slow.known_peers is not None

    async def wait_if_unknown(self) -> None:
        """Hold back the answer to a recipient if the peer is unknown."""
        known = self._slow.known_peers
        delay_ms = 0 if known is None else known.delay_ms(self._record.peer.host)
        if delay_ms:
            await self.wait("unknown peer", delay_ms)

    async def wait(self, reason: str, delay_ms: int) -> None:
        """Hold back an answer; the first time is an event."""
        if not self._is_slowed:
            self._is_slowed = True
            self._record.note(AnswersSlowed(self._clock.now_ms(), reason))
        await self._slow.sleep(delay_ms / 1000)

    def count_bad_recipient(self) -> bool:
        """Count a refused recipient; return whether the session is to be closed for it."""
        self.bad_recipients += 1
        return self.bad_recipients == self.max_bad_recipients

    def mail_accepted(self, recipients: int) -> None:
        """Forgive as many bad recipients as the mail had good ones, and remember the peer."""
        self.bad_recipients = max(0, self.bad_recipients - recipients)
        if self._slow.known_peers is not None:
            self._slow.known_peers.remember(self._record.peer.host)
