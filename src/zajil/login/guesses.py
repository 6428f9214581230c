"""What becomes of guesses: turns and delays in a network with many failures, and their events.

The failures of a network are counted in the store, so that all workers slow it down
(``login.throttle`` decides how much).
"""

from __future__ import annotations

import asyncio

from zajil.core.clock import Clock
from zajil.login.account import Origin
from zajil.login.throttle import WINDOW_MS, Throttle, Turn, throttled_network
from zajil.net.floods import FAILED_LOGIN, RefusalBudget
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.people.login_failures import FailedLogin, count_failures, failures_of
from zajil.tracking.events import LoginFailed

LONGEST_LOGIN = 320
"""An address at its longest (RFC 5321 section 4.5.3.1) bounds what may be typed as a login."""


class Guesses:
    """Slows down who guesses, and records what was wrong.

    Args:
        store: for counts and events.
        clock: the time.
        free_failures: failures of one network before answers slow down; 0: never.
        refusals: how many failures of one peer are kept as events; ``None``: all.
        counts: of another store, which counts for this one, too: who guesses in several shards
            has no more tries than in one. ``None``: this store counts.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        free_failures: int,
        refusals: RefusalBudget | None,
        counts: Guesses | None = None,
    ) -> None:
        self._store = store
        self._counting: Store = store if counts is None else counts._counting
        self._clock = clock
        self._throttle = Throttle(free_failures) if free_failures else None
        if counts is not None:
            self._throttle = counts._throttle
        self._refusals = refusals

    async def take_turn(self, origin: Origin, name: str) -> Turn | None:
        """Wait until this network may guess; ``None``: it may at once, and nothing is held back."""
        network = throttled_network(origin.peer)
        if self._throttle is None or self._throttle.is_known(network, name):
            return None
        try:
            known = await self._counting.read(lambda conn: failures_of(conn, network))
        except StoreUnavailable:
            if self._counting is self._store:
                raise
            # The main shard is away, and this one is not: this worker's own count goes on.
        else:
            self._throttle.release(network, known.released_ms)
            self._throttle.learn(network, known.count, known.last_ms)
        turn = self._throttle.take_turn(network, self._clock.now_ms())
        while isinstance(turn, int):  # milliseconds; whoever else waits may come first then
            await asyncio.sleep(turn / 1000)
            turn = self._throttle.take_turn(network, self._clock.now_ms())
        return turn

    async def hold_back(self, turn: Turn | None) -> None:
        """Wait until the answer to a wrong guess may be given."""
        if turn is not None and (left_ms := turn.until_ms - self._clock.now_ms()) > 0:
            await asyncio.sleep(left_ms / 1000)

    def succeeded(self, origin: Origin, name: str, turn: Turn | None = None) -> None:
        """Believe this network for this name, and give its turn back."""
        if self._throttle is not None:
            if turn is not None:
                self._throttle.end_turn(turn)
            self._throttle.record_success(throttled_network(origin.peer), name)

    def failed(
        self, origin: Origin, login: str, mechanism: str, *, name: str, attempt: bytes
    ) -> None:
        """Count a wrong guess, and record it.

        Args:
            origin: where it came from.
            login: as typed.
            mechanism: for the event.
            name: the prepared form of ``login``.
            attempt: digest of what was tried: the same again is no second guess.
        """
        now_ms, network = self._clock.now_ms(), throttled_network(origin.peer)
        if self._throttle is not None and self._throttle.record_failure(
            network, now_ms, attempt, name
        ):
            failure = FailedLogin(network, now_ms, WINDOW_MS)
            self._counting.write_later(count_failures, failure)
        self.note_failure(
            origin, login, mechanism, f"invalid login or password for {origin.service}"
        )

    def note_failure(self, origin: Origin, login: str, mechanism: str, reason: str) -> None:
        """Record a log-in that failed; no secret was looked at where only this is called.

        Args:
            origin: where it came from.
            login: as typed; ``""``: no name was sent.
            mechanism: for the event.
            reason: one sentence.
        """
        if self._refusals is not None and not self._refusals.takes(origin.peer, FAILED_LOGIN):
            return
        now_ms = self._clock.now_ms()
        event = LoginFailed(
            now_ms, login[:LONGEST_LOGIN], mechanism, reason, origin.service, origin.peer
        )
        batch = EventBatch(origin.session_id, None, now_ms, (event,))
        self._store.write_later(record_events, batch)
