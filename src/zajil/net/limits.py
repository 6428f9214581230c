"""Caps on sessions: in all, of one address, of one network, counted over all workers.

The kernel spreads the connections of one peer over the workers, so a count of each worker alone
would multiply a cap by their number, and a divided one would refuse by chance. So the counts lie in
memory that the workers share.

Laws:
- A worker writes its own row alone, so that there is no lock; it reads the sum of all rows. The sum
  may lack what others accept in this very moment: a cap is exceeded by a few at most.
- The row of a worker that died is cleared by the one that takes its slot. A slot is a number that
  no two living workers have, of whichever generation (``supervise``).
- An address has a cell by its hash, which is secret and the same in all processes of one fork.
  Two addresses share a cell by chance only, and then a cap as well.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

_CELLS = 16384
"""For addresses, and as many for networks; a power of two. Only those in use take memory."""
_ROW = 1 + 2 * _CELLS
_CELL_SIZE = 4
SLOTS = 128
"""Workers that may live at a time: twice as many as ``server.workers`` may be, for a reload."""

ALL_TAKEN = "too many sessions in all"
ADDRESS_TAKEN = "too many sessions of the address"
NETWORK_TAKEN = "too many sessions of the network"


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How many sessions there may be at a time; 0: no limit."""

    sessions: int = 2000
    per_address: int = 50
    per_network: int = 0
    """Of an IPv4 /24 or an IPv6 /64."""


class SessionTable:
    """The counts of all workers; made before the first fork, a table for each service.

    Args:
        slots: how many workers there may be at a time.
    """

    def __init__(self, slots: int = 1) -> None:
        size = (1 + slots * _ROW) * _CELL_SIZE
        memory = memoryview(mmap.mmap(-1, size)).cast("I")
        self._used = memory[:1]
        """How many slots, from 0, were ever given to a worker: only these are added up."""
        self._rows = [memory[1 + n * _ROW : 1 + (n + 1) * _ROW] for n in range(slots)]

    def caps(self, slot: int, limits: SessionLimits) -> SessionCaps:
        """Return the caps as a worker applies them; what another one left in its slot is gone."""
        self.use(slot)
        return SessionCaps(limits, self._rows, slot, self._used)

    def use(self, slot: int) -> None:
        """Count a slot from now on; the supervisor does it before it forks the worker."""
        if slot >= self._used[0]:
            self._used[0] = slot + 1

    def count(self) -> int:
        """Sessions of all workers."""
        return sum([row[0] for row in self._rows[: self._used[0]]])

    def clear(self, slot: int) -> None:
        """Forget what a worker that has ended left behind."""
        _clear(self._rows[slot])


class SessionCaps:
    """Counts the sessions of one worker, and refuses those above a cap."""

    def __init__(
        self, limits: SessionLimits, rows: Sequence[memoryview], slot: int, used: memoryview
    ) -> None:
        self._limits = limits
        self._rows = rows
        self._used = used
        self._own = rows[slot]
        _clear(self._own)

    def admit(self, host: str) -> str:
        """Count a session of the address; else say which cap forbids it, and count nothing."""
        limits, rows, own = self._limits, self._rows[: self._used[0]], self._own
        if limits.sessions and sum([row[0] for row in rows]) >= limits.sessions:
            return ALL_TAKEN
        address = network = 0
        if limits.per_address:
            address = 1 + hash(host) % _CELLS
            if sum([row[address] for row in rows]) >= limits.per_address:
                return ADDRESS_TAKEN
        if limits.per_network:
            network = 1 + _CELLS + hash(limited_network(host)) % _CELLS
            if sum([row[network] for row in rows]) >= limits.per_network:
                return NETWORK_TAKEN
        own[0] += 1
        if address:
            own[address] += 1
        if network:
            own[network] += 1
        return ""

    def forget(self, host: str) -> None:
        """Count it no more; once for each session that was admitted."""
        own = self._own
        if self._limits.per_address:
            own[1 + hash(host) % _CELLS] -= 1
        if self._limits.per_network:
            own[1 + _CELLS + hash(limited_network(host)) % _CELLS] -= 1
        own[0] -= 1

    @property
    def count(self) -> int:
        """Sessions of this worker."""
        return int(self._own[0])


def _clear(row: memoryview) -> None:
    if row[0]:  # Invariant: it is counted up first and down last
        row[:] = memoryview(bytes(_ROW * _CELL_SIZE)).cast("I")


def limited_network(host: str) -> str:
    """Return what stands for the /24 or /64 of an address; itself for what is no address."""
    if ":" in host:
        packed = IPv6Address(host.partition("%")[0]).packed
        return packed[:8].hex()
    return host.rpartition(".")[0]
