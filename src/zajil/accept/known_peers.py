"""Whose answers are slowed down, and by how much: rules of port 25. Pure.

Slow before closed: who mistypes or has an old list loses some seconds, who tries out addresses by
the thousand loses the afternoon. How many errors end a session is counted by the engine.
"""

from __future__ import annotations

from collections import OrderedDict

from zajil.config.options import LimitOptions

LONGEST_MS = 10_000
"""No answer is held back longer for errors: the peer's own patience is 5 minutes
(RFC 5321 section 4.5.3.2)."""
MOST_PEERS = 10_000
"""Peers remembered; the oldest is forgotten first, so that memory stays bounded."""


def error_delay_ms(errors: int, limits: LimitOptions) -> int:
    """Say how long the next answer waits after so many errors of the session."""
    return min(LONGEST_MS, max(0, errors - limits.soft_error_limit) * limits.error_delay_ms)


class KnownPeers:
    """Remembers who has handed in a mail, so that a tarpit holds strangers alone."""

    def __init__(self, delay_ms: int) -> None:
        self._delay_ms = delay_ms
        self._known: OrderedDict[str, None] = OrderedDict()

    def delay_ms(self, host: str) -> int:
        """Say how long this peer waits for the answer to a recipient."""
        return 0 if host in self._known else self._delay_ms

    def remember(self, host: str) -> None:
        """A mail of this peer was accepted."""
        self._known[host] = None
        self._known.move_to_end(host)
        if len(self._known) > MOST_PEERS:
            self._known.popitem(last=False)
