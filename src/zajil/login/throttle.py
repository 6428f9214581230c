"""How long failures make the next try wait: slower and slower, never locked out (design D11).

Counted by the peer's network address, not by account: whoever guesses from elsewhere cannot lock
the owner out. A worker counts for itself.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address

WINDOW_MS = 600_000
"""A failure is forgotten after ten minutes."""
LONGEST_MS = 20_000
"""No answer is held back longer: a client that waits half a minute still gets one."""
MOST_PEERS = 10_000
"""Peers remembered; the oldest is forgotten first, so that memory stays bounded."""


class Throttle:
    """Counts failures per peer and says how long to hold back the next answer."""

    def __init__(self, free_failures: int) -> None:
        self._free = free_failures
        self._failures: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def delay_ms(self, peer: str, now_ms: int) -> int:
        """Say how long to wait before this peer's next answer; 0 below the limit."""
        count, last_ms = self._failures.get(_network(peer), (0, 0))
        if not self._free or now_ms - last_ms > WINDOW_MS or count < self._free:
            return 0
        return min(LONGEST_MS, 500 << min(count - self._free, 10))

    def record_failure(self, peer: str, now_ms: int) -> None:
        """Count one failure."""
        network = _network(peer)
        count, last_ms = self._failures.pop(network, (0, 0))
        if now_ms - last_ms > WINDOW_MS:
            count = 0
        self._failures[network] = (count + 1, now_ms)
        if len(self._failures) > MOST_PEERS:
            self._failures.popitem(last=False)

    def record_success(self, peer: str) -> None:
        """Forget the failures of a peer that knew its password after all."""
        self._failures.pop(_network(peer), None)


def _network(peer: str) -> str:
    # An IPv6 host commands a /64, so its single addresses mean nothing.
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return str(address)
    return address.exploded[:19]
