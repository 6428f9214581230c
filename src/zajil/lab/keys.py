"""The current DKIM records of all domains, read from their stores.

The name server of the lab publishes them at once: a key that was made, rotated or revoked is
visible in DNS without a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

from zajil.config.options import Configuration
from zajil.keys.record import record_value, zone_text
from zajil.operations.run import open_admin_store
from zajil.store.people.dkim_keys import NoSuchKey, get_dkim_key

R = TypeVar("R")
Read = Callable[[Callable[[Any], R]], R]
"""``Store.read_now``: runs a query on a snapshot."""

_BELOW = "._domainkey."


class LabKeys:
    """Reads a key at each question: others keep the answer for a second."""

    def __init__(self) -> None:
        self._reads: dict[str, Read[Any]] = {}
        self._open = ExitStack()

    def add(self, ascii_domain: str, configuration: Configuration) -> None:
        """Open the store of a domain, until ``close``.

        Raises:
            StoreUnavailable: it cannot be opened.
        """
        store = self._open.enter_context(open_admin_store(configuration))
        self._reads[ascii_domain] = store.read_now

    def find(self, name: str) -> str | None:
        """Return the text of a TXT record, as in a zone file; ``None``: there is none.

        Args:
            name: lower case, without a final dot.

        Raises:
            StoreUnavailable: nobody knows.
        """
        selector, found, domain = name.partition(_BELOW)
        read = self._reads.get(domain)
        if not found or read is None:
            return None
        try:
            row = read(lambda conn: get_dkim_key(conn, domain, selector))
        except NoSuchKey:
            return None
        return zone_text(record_value(row))

    def close(self) -> None:
        """Let go of the stores."""
        self._reads.clear()
        self._open.close()
