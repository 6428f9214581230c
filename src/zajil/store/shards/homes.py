"""The catalogue in the memory of a worker.

It is read again when the directory of the main shard changes. Until then the old one is used: a
shard itself refuses what does not belong to it any more (``store.shards.move``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Container

from zajil.config.options_shards import MAIN_SHARD
from zajil.core.address import Address
from zajil.core.login_name import BadLogin, prepare_login
from zajil.store.engine.batch import DIRECTORY
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.shards.catalogue import (
    Places,
    home_of,
    home_of_login,
    is_single,
    load_places_of_shards,
)

_RETRY_SECONDS = 1.0


class Homes:
    """Which shard an address, a domain or a login name belongs to.

    Args:
        store: of the main shard; started.
        hostname: name of the server, whose own addresses are in the main shard.
        known: the other shards that this worker has now. One that was created after its start is in
            the catalogue alone, and the database of another one may be away.
    """

    def __init__(self, store: Store, hostname: str, known: Container[str]) -> None:
        self._store = store
        self._known = known
        self._hostname = hostname
        self._places = Places({}, {})
        self._reading: asyncio.Task[None] | None = None
        self._is_old = False
        store.changes.subscribe(DIRECTORY, self._read_soon)

    async def load(self) -> None:
        """Read the catalogue.

        Raises:
            StoreUnavailable: it cannot be read now.
        """
        places = await self._store.read(load_places_of_shards)
        if places.domains:
            places.domains.setdefault(self._hostname, MAIN_SHARD)
        self._places = places

    def of(self, who: Address) -> str | None:
        """Return the shard of an address; ``None``: its domain is not ours, or all are in main."""
        return home_of(self._places, who) if who.domain else MAIN_SHARD

    def is_single(self, who: Address) -> bool:
        """Return whether the catalogue names an account itself, because it is apart from its
        domain."""
        return is_single(self._places, who)

    def of_domain(self, ascii_name: str) -> str | None:
        """Return the shard of a domain; ``None``: it is not ours, or all are in main."""
        return self._places.domains.get(ascii_name)

    def of_login(self, prepared: str) -> str:
        """Return the shard of a login name or address key that was typed; ``main``: it is nobody's.

        Raises:
            StoreUnavailable: the account is being moved, or in a shard that this worker does not
                have now: try again in a moment.
        """
        if prepared in self._places.moving:
            raise StoreUnavailable("the account is being moved to another shard")
        found = home_of_login(self._places, prepared)
        if found != MAIN_SHARD and found not in self._known:
            raise StoreUnavailable(f"the shard {found} is not available")
        return found

    def of_typed(self, login: str) -> str:
        """Return the shard of a login name or address as it was typed, as ``of_login``."""
        if not self._places.domains:
            return MAIN_SHARD
        try:
            return self.of_login(prepare_login(login))
        except BadLogin:
            return MAIN_SHARD

    def domains(self) -> frozenset[str]:
        """Return the ASCII names of the domains of all shards; none if all are in main."""
        return frozenset(self._places.domains)

    def _read_soon(self) -> None:
        self._is_old = True
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        while self._is_old:
            self._is_old = False
            try:
                await self.load()
            except StoreUnavailable:
                self._is_old = True
                await asyncio.sleep(_RETRY_SECONDS)

    async def close(self) -> None:
        """Read no more; the store is about to be closed."""
        self._is_old = False
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
