"""Keeps an S3 that hangs or fails from taking the threads that everything else needs.

Laws:
- Few requests run at a time. Who finds no place waits, but not behind requests that hang.
- After a request that failed, all are refused at once for some seconds; then one tries again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zajil.store.blobs.bucket import BucketUnavailable
from zajil.store.engine.errors import BytesAway

REST_SECONDS = 5.0
"""How long all are refused after a failure."""
_LASTING = (403, 404)
"""Answers of a service that works: other requests may succeed."""


class Gate:
    """Lets requests of one kind pass, from any thread."""

    def __init__(
        self,
        places: int,
        hang_seconds: float,
        wait_seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Let pass.

        Args:
            places: requests at a time.
            hang_seconds: nobody waits for a place while the oldest request takes longer.
            wait_seconds: nobody waits longer for a place.
            now: seconds of a clock.
        """
        self._places = places
        self._hang = hang_seconds
        self._wait = wait_seconds
        self._now = now
        self._changed = threading.Condition()
        self._running: dict[int, float] = {}
        """When each began, by a number."""
        self._count = 0
        self._resting_until: float | None = None
        self._reason = ""
        self._is_trying = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Pass, and run the request in the block.

        Raises:
            BytesAway: not now.
        """
        number, is_trial = self._enter()
        failed: BucketUnavailable | None = None
        try:
            yield
        except BucketUnavailable as error:
            failed = error if error.status not in _LASTING else None
            raise
        finally:
            self._leave(number, is_trial, failed)

    def _enter(self) -> tuple[int, bool]:
        with self._changed:
            is_trial = self._look()
            end = self._now() + self._wait
            while not is_trial and len(self._running) >= self._places:
                now = self._now()
                if now >= end or now - min(self._running.values()) > self._hang:
                    raise BytesAway("S3 does not answer: too many requests are waiting")
                self._changed.wait(0.1)
                is_trial = self._look()
            self._count += 1
            self._running[self._count] = self._now()
            self._is_trying = self._is_trying or is_trial
            return self._count, is_trial

    def _look(self) -> bool:
        """Return whether this request is the one that tries again."""
        if self._resting_until is None:
            return False
        if self._is_trying or self._now() < self._resting_until:
            raise BytesAway(f"S3 failed some seconds ago: {self._reason}")
        return True

    def _leave(self, number: int, is_trial: bool, failed: BucketUnavailable | None) -> None:
        with self._changed:
            del self._running[number]
            if is_trial:
                self._is_trying = False
            if failed is not None:
                self._resting_until = self._now() + REST_SECONDS
                self._reason = str(failed)
            elif is_trial:
                self._resting_until = None
            self._changed.notify_all()
