"""The keys of domains in several stores: those of a domain are in its shard (``store.shards``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zajil.keys.keyring import Keyring, Keys
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store


class _NotOpen(StoreUnavailable):
    """The shard of a domain is not open in this worker."""


class ShardedKeyring(Keyring):
    """The keys of one shard, and the way to those of the others.

    An account that is apart from its domain signs with the keys of the domain all the same.

    Args:
        store: of this shard.
        shard: its name.
        all_rings: the keyrings of all shards, by name; of one that is away there is none, and
            its domains have keys that cannot be read.
        home_of: the shard of a domain, from memory; ``None``: it is not ours.
    """

    def __init__(
        self,
        store: Store,
        shard: str,
        all_rings: Mapping[str, ShardedKeyring],
        home_of: Callable[[str], str | None],
    ) -> None:
        super().__init__(store)
        self._shard = shard
        self._all = all_rings
        self._home_of = home_of

    def peek(self, domain: str) -> Keys | None:
        """See ``Keyring.peek``."""
        other = self._other(domain)
        return super().peek(domain) if other is None else other.peek(domain)

    async def keys_of(self, domain: str) -> Keys:
        """See ``Keyring.keys_of``."""
        other = self._other(domain)
        return await (super().keys_of(domain) if other is None else other.keys_of(domain))

    async def aligned_keys(self, host: str) -> tuple[str, Keys]:
        """See ``Keyring.aligned_keys``; no keys while their shard is away: what tells an
        administrator of that must not wait for it."""
        try:
            return await super().aligned_keys(host)
        except _NotOpen:
            return host, ()

    def _other(self, domain: str) -> ShardedKeyring | None:
        home = self._home_of(domain)
        if home is None or home == self._shard:
            return None
        other = self._all.get(home)
        if other is None:  # mail that leaves without a signature may be refused for good
            raise _NotOpen(f"the shard {home} is not available")
        return other
