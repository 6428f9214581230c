"""What every operation gets, and how it changes the store.

An operation is ``async def name(context, actor, ...)``. It checks its arguments and what the actor
may do, makes one change of the store, and records it as an audit event in the same commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from zajil.core.actor import Actor
from zajil.core.clock import Clock, Random
from zajil.core.errors import Refused
from zajil.core.ids import AccountId
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction, Unit
from zajil.store.people.audit import AuditedChange, apply_changes
from zajil.tracking.audit import AuditEvent

T = TypeVar("T")
R = TypeVar("R")

Recorded = tuple[R, Sequence[AuditEvent]]
"""Result of a change, and the audit events that describe it."""


class NotAllowed(Refused):
    """The actor may not do this."""


@dataclass(frozen=True, slots=True)
class OperationContext:
    """The store, time and randomness that operations use."""

    store: Store
    clock: Clock
    random: Random
    at_once: bool = False
    """The store is not started: everything runs in this thread (``operations.run``)."""

    async def read(self, query: Callable[[Snapshot], R]) -> R:
        """Return the result of a query on a snapshot.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        return self.store.read_now(query) if self.at_once else await self.store.read(query)

    async def read_late(self, query: Callable[[Snapshot], R]) -> R:
        """Return the result of a query that may miss what was written in the last ten seconds.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        return self.store.read_now(query) if self.at_once else await self.store.read_late(query)

    async def write(self, unit: Unit[T, R], item: T) -> R:
        """Run a unit of the store that records what it does itself, or needs no record.

        Raises:
            StoreUnavailable: it may or may not be on disk.
        """
        if self.at_once:
            return self.store.write_now(unit, item)
        return await self.store.write(unit, item)

    async def change(self, work: Callable[[Transaction], Recorded[R]]) -> R:
        """Make a change and record its audit events, in one commit.

        Args:
            work: runs store units; it may run a second time, so it must change nothing else.

        Raises:
            StoreUnavailable: it may or may not be on disk.
        """
        result: R = await self.write(apply_changes, AuditedChange(work))
        return result

    async def compute(self, work: Callable[[], R]) -> R:
        """Run something that takes long, such as hashing a password, beside the event loop."""
        return work() if self.at_once else await asyncio.to_thread(work)

    def stamp(self, actor: Actor) -> tuple[int, str, str, str]:
        """Return the first fields of an audit event: when, who, and from where."""
        return (self.clock.now_ms(), actor.name, actor.origin.value, actor.peer)


def require_admin(actor: Actor) -> None:
    """Do nothing if the actor may change the whole server.

    Raises:
        NotAllowed: otherwise.
    """
    if not actor.is_admin:
        raise NotAllowed(f"{actor.name} is not an administrator")


def require_domain_admin(actor: Actor, domain: str) -> None:
    """Do nothing if the actor may change what belongs to a domain.

    Args:
        actor: who asks.
        domain: ASCII form.

    Raises:
        NotAllowed: otherwise.
    """
    if not actor.is_admin and domain not in actor.domains:
        raise NotAllowed(f"{actor.name} is not an administrator of {domain}")


def require_owner(actor: Actor, account_id: AccountId) -> None:
    """Do nothing if the actor owns the account or may change the whole server.

    Raises:
        NotAllowed: otherwise.
    """
    if actor.account_id != account_id:
        require_admin(actor)
