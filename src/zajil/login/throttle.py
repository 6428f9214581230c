"""Delays after failed log-ins, without locking accounts.

Failures are counted by the network of the client, not by account: an attacker elsewhere cannot lock
the owner out. All protocols share the count, and the workers share it through the store.

Laws:
- A correct password is answered at once; only failures are delayed. A network with many failures
  has ``TURNS`` slots, and each guess occupies one while its answer is delayed, so that parallel
  guesses or early disconnects do not help an attacker.
- A user who has logged in from a network before needs no slot there: an attacker in the same
  network cannot delay the owner. ``KNOWN_FAILURES`` wrong passwords in a row end this.
- A success does not reset the count: otherwise an attacker with an account could reset it.
- Repeating the same wrong answer is not a second guess: a device with an old password must not
  delay its whole network.
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
TURNS = 4
"""Guesses of a slowed network at a time, in each worker."""
KNOWN_FAILURES = 5
"""Wrong passwords in a row after which an owner is no longer known in a network."""
_MOST_KNOWN = 10_000
_MOST_ATTEMPTS = 8
"""Wrong answers remembered of each network."""


@dataclass(slots=True)
class Turn:
    """One guess of a network; ``until_ms`` is when its answer, if it is wrong, may be given."""

    network: str
    until_ms: int


@dataclass(slots=True)
class _Record:
    count: int = 0
    last_ms: int = 0
    attempts: list[bytes] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)


class Throttle:
    """Counts failures per network, and gives turns to guess."""

    def __init__(self, free_failures: int) -> None:
        self._free = free_failures
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], int] = OrderedDict()

    def delay_ms(self, network: str, now_ms: int) -> int:
        """Return how long to hold back this network's next wrong answer; 0 below the limit."""
        record = self._records.get(network)
        if record is None or not self._free or now_ms - record.last_ms > WINDOW_MS:
            return 0
        if record.count < self._free:
            return 0
        return min(LONGEST_MS, 500 << min(record.count - self._free, 10))

    def take_turn(self, network: str, now_ms: int) -> Turn | int:
        """Return a turn to guess, or the milliseconds after which to ask again.

        A turn is taken until its answer may be given, whether or not the peer waits for that;
        ``end_turn`` frees it for a right answer.
        """
        delay_ms = self.delay_ms(network, now_ms)
        turn = Turn(network, now_ms + delay_ms)
        if not delay_ms:
            return turn
        record = self._records[network]
        record.turns = [one for one in record.turns if one.until_ms > now_ms]
        if len(record.turns) >= TURNS:
            return min(one.until_ms for one in record.turns) - now_ms
        record.turns.append(turn)
        return turn

    def end_turn(self, turn: Turn) -> None:
        """Let the next one guess: this answer was right."""
        record = self._records.get(turn.network)
        if record is not None:
            record.turns = [one for one in record.turns if one is not turn]

    def record_success(self, network: str, name: str) -> None:
        """Remember that the owner of a log-in name was here."""
        self._known.pop((network, name), None)
        self._known[network, name] = 0
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    def is_known(self, network: str, name: str) -> bool:
        """Return whether the owner of the name has logged in from the network."""
        return (network, name) in self._known

    def record_failure(self, network: str, now_ms: int, attempt: bytes, name: str = "") -> bool:
        """Count one failure.

        Args:
            network: as ``throttled_network`` gives it.
            now_ms: the time.
            attempt: the same bytes for the same name and secret, telling neither.
            name: the log-in name that was tried.

        Returns:
            Whether it was a new guess.
        """
        record = self._take(network, now_ms)
        if attempt in record.attempts:
            return False
        record.attempts = [*record.attempts[-_MOST_ATTEMPTS + 1 :], attempt]
        record.count += 1
        record.last_ms = now_ms
        failures = self._known.get((network, name))
        if failures is not None:
            self._known[network, name] = failures + 1
            if failures + 1 >= KNOWN_FAILURES:
                del self._known[network, name]
        return True

    def learn(self, network: str, count: int, last_ms: int) -> None:
        """Take over what other workers counted, if it is more, and not of another window."""
        known = self._records.get(network)
        if not count or (known is not None and known.last_ms - last_ms > WINDOW_MS):
            return
        record = self._take(network, last_ms)
        record.count = max(record.count, count)
        record.last_ms = max(record.last_ms, last_ms)

    def release(self, network: str, until_ms: int) -> None:
        """Forget what was counted of a network up to a time: an operator released it."""
        record = self._records.get(network)
        if record is not None and record.last_ms <= until_ms:
            del self._records[network]

    def _take(self, network: str, now_ms: int) -> _Record:
        record = self._records.pop(network, None)
        if record is None or now_ms - record.last_ms > WINDOW_MS:
            record = _Record()
        self._records[network] = record
        if len(self._records) > MOST_PEERS:
            self._records.popitem(last=False)
        return record


def throttled_network(peer: str) -> str:
    """Return what an address is counted by: itself, or the /64 that an IPv6 host commands."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.exploded[:19]
