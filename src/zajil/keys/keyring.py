"""The active keys of each domain, cached by a worker until the directory changes.

Security: only this module and ``store.people.dkim_keys`` handle private keys; nothing here is
printed or logged.
"""

from __future__ import annotations

from zajil.keys.generate import load_private_key
from zajil.mailauth.dkim_sign import SigningKey
from zajil.store.engine.batch import DIRECTORY
from zajil.store.engine.open import Store
from zajil.store.people.dkim_keys import ActiveKey, load_active_keys

Keys = tuple[SigningKey, ...]


class Keyring:
    """The keys of one worker; another process that rotates or revokes one is noticed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._domains: dict[str, Keys] | None = None
        self._parsed: dict[tuple[str, str], SigningKey] = {}
        """By domain and selector, so that a changed directory costs no new reading of old keys."""
        self._generation = 0
        store.changes.subscribe(DIRECTORY, self.forget)

    def peek(self, domain: str) -> Keys | None:
        """Return the keys of a domain from memory; ``None``: they must be read first."""
        return None if self._domains is None else self._domains.get(domain, ())

    async def keys_of(self, domain: str) -> Keys:
        """Return what a domain signs with; empty: with nothing.

        Waits for the store after a change of the directory.

        Raises:
            StoreUnavailable: they cannot be read: nobody knows whether there are any.
        """
        known = self.peek(domain)
        if known is not None:
            return known
        generation = self._generation
        domains = await self._store.read(lambda conn: self._parse(load_active_keys(conn)))
        # What was read before a change must not outlive it.
        if generation == self._generation:
            self._domains = domains
        return domains.get(domain, ())

    async def aligned_keys(self, host: str) -> tuple[str, Keys]:
        """Return the nearest domain at or above a host that has keys, and them.

        For mail that our server writes in its own name: ``mx.north.test`` is no mail domain, and
        a signature of ``north.test`` is still aligned with it (RFC 9989 section 4.4.1).
        """
        labels = host.split(".")
        for start in range(len(labels) - 1):
            domain = ".".join(labels[start:])
            if keys := await self.keys_of(domain):
                return domain, keys
        return host, ()

    def forget(self) -> None:
        """Drop what is known: the directory changed."""
        self._generation += 1
        self._domains = None

    def _parse(self, rows: list[ActiveKey]) -> dict[str, Keys]:
        """Group the keys by domain; runs in a reader thread."""
        before = self._parsed
        domains: dict[str, Keys] = {}
        parsed: dict[tuple[str, str], SigningKey] = {}
        for row in rows:
            name = (row.domain, row.selector)
            key = before.get(name) or _signing_key(row)
            parsed[name] = key
            domains[row.domain] = (*domains.get(row.domain, ()), key)
        self._parsed = parsed
        return domains


def _signing_key(row: ActiveKey) -> SigningKey:
    return SigningKey(row.domain, row.selector, row.algorithm, load_private_key(row.private_key))
