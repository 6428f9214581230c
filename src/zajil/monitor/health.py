"""Whether this server should get mail: what a load balancer and an orchestrator ask."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from zajil.core.clock import Clock
from zajil.store.engine.errors import StoreError, StoreFull
from zajil.store.engine.nodes import NodeState
from zajil.store.engine.open import Store
from zajil.store.engine.readiness import Readiness, note_readiness

_KEPT_SECONDS = 2.0
"""How long an answer is given again: a check costs a commit."""
_STORE_SECONDS = 5.0

DISK, STORE = "disk", "store"


@dataclass(slots=True)
class Health:
    """Answers for the whole node: its disk, and its way to the store."""

    store: Store
    clock: Clock
    is_stopping: bool = False
    """The server takes no new connections any more."""
    _kept: Mapping[str, str] = field(default_factory=dict)
    _kept_at: float = -_KEPT_SECONDS
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def problems(self) -> Mapping[str, str]:
        """Return why no mail can be accepted now, by what is at fault; empty: it can.

        Writes a row, at most every two seconds.
        """
        if self.is_stopping:
            return {"server": "the server is stopping"}
        if self.store.standing.state is NodeState.DRAINING:
            return {"server": "the node is drained"}
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._kept_at >= _KEPT_SECONDS:
                self._kept, self._kept_at = await self._look(), now
        return self._kept

    async def _look(self) -> Mapping[str, str]:
        note = Readiness(self.store.node_id, self.clock.now_ms())
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                # Alone: its failure must not cost a mail of the same commit anything.
                await self.store.writer.write(note_readiness, note, alone=True)
        except StoreFull as error:
            return {DISK: str(error)}
        except StoreError as error:
            return {STORE: str(error)}
        except TimeoutError:
            return {STORE: f"no write was possible within {_STORE_SECONDS:g} s"}
        except OSError as error:
            return {DISK: f"the data folder cannot be read: {error.strerror}"}
        return {}
