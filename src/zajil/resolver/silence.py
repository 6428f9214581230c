"""Name servers that do not answer are left alone for a while (RFC 9520 section 3). Pure.

Without this a network whose name servers are gone makes each mail wait for each of its questions.
A server counts as silent after some failures in a row with no answer between them; then one
question at a time is let through to find out whether it is back, and the others fail at once.
"""

from __future__ import annotations

_FAILURES = 3
"""One lost datagram says nothing."""
_FIRST_REST_MS, _LONGEST_REST_MS = 1000, 30_000


class Silence:
    """What is known of one name server."""

    __slots__ = ("_again_ms", "_failures")

    def __init__(self) -> None:
        self._failures = 0
        self._again_ms = 0

    def may_ask(self, now_ms: int) -> bool:
        """Whether to ask it; of a silent one, once in each rest."""
        if self._failures < _FAILURES:
            return True
        if now_ms < self._again_ms:
            return False
        self._again_ms = now_ms + _rest_ms(self._failures)
        return True

    def failed(self, now_ms: int) -> None:
        """Note that it did not answer."""
        self._failures += 1
        if self._failures >= _FAILURES:
            self._again_ms = now_ms + _rest_ms(self._failures)

    def answered(self) -> None:
        """Note that it did, whatever it said."""
        self._failures = 0


def _rest_ms(failures: int) -> int:
    return min(_FIRST_REST_MS << min(failures - _FAILURES, 10), _LONGEST_REST_MS)
