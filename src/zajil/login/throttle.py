"""How long failures make the next try wait: slower and slower, never locked out (design D11).

Counted by the peer's network, not by account: whoever guesses from elsewhere cannot lock the owner
out. All protocols share the count, and the workers tell each other through the store.

Laws:
- A success takes nothing back: else whoever has one account guesses at others between two log-ins.
- The same wrong answer twice is no second guess: a forgotten phone with an old password must not
  slow its whole office down.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import ip_address

WINDOW_MS = 600_000
"""A failure is forgotten after ten minutes."""
LONGEST_MS = 20_000
"""No answer is held back longer: a client that waits half a minute still gets one."""
MOST_PEERS = 10_000
"""Networks remembered; the oldest is forgotten first, so that memory stays bounded."""
_MOST_ATTEMPTS = 8
"""Wrong answers remembered of each network."""


@dataclass(slots=True)
class _Record:
    count: int = 0
    last_ms: int = 0
    attempts: list[bytes] = field(default_factory=list)


class Throttle:
    """Counts failures per network and says how long to hold back the next answer."""

    def __init__(self, free_failures: int) -> None:
        self._free = free_failures
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def delay_ms(self, network: str, now_ms: int) -> int:
        """Say how long to wait before this network's next answer; 0 below the limit."""
        record = self._records.get(network)
        if record is None or not self._free or now_ms - record.last_ms > WINDOW_MS:
            return 0
        if record.count < self._free:
            return 0
        return min(LONGEST_MS, 500 << min(record.count - self._free, 10))

    def record_failure(self, network: str, now_ms: int, attempt: bytes) -> bool:
        """Count one failure.

        Args:
            network: as ``network_of`` gives it.
            now_ms: the time.
            attempt: the same bytes for the same name and secret, telling neither.

        Returns:
            Whether it was a new guess.
        """
        record = self._take(network, now_ms)
        if attempt in record.attempts:
            return False
        record.attempts = [*record.attempts[-_MOST_ATTEMPTS + 1 :], attempt]
        record.count += 1
        record.last_ms = now_ms
        return True

    def learn(self, network: str, count: int, last_ms: int) -> None:
        """Take over what other workers counted, if it is more, and not of another window."""
        known = self._records.get(network)
        if not count or (known is not None and known.last_ms - last_ms > WINDOW_MS):
            return
        record = self._take(network, last_ms)
        record.count = max(record.count, count)
        record.last_ms = max(record.last_ms, last_ms)

    def _take(self, network: str, now_ms: int) -> _Record:
        record = self._records.pop(network, None)
        if record is None or now_ms - record.last_ms > WINDOW_MS:
            record = _Record()
        self._records[network] = record
        if len(self._records) > MOST_PEERS:
            self._records.popitem(last=False)
        return record


def network_of(peer: str) -> str:
    """Give what an address is counted by: itself, or the /64 that an IPv6 host commands."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.exploded[:19]
