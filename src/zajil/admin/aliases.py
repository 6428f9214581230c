"""Aliases of this server."""

from __future__ import annotations

from collections.abc import Sequence

from zajil.core.address import parse_address
from zajil.store.aliases import AliasRow, create_alias, delete_alias, list_aliases
from zajil.store.open import Store


def add_alias(store: Store, address: str, targets: Sequence[str]) -> AliasRow:
    """Make an address stand for others.

    Raises:
        BadAddress: one of them is not an address.
        AlreadyExists, NoSuchDomain: as ``store.aliases.create_alias``.
    """
    row = AliasRow(parse_address(address), tuple(map(parse_address, targets)))
    store.write_now(create_alias, row)
    return row


def remove_alias(store: Store, address: str) -> None:
    """Remove an alias.

    Raises:
        BadAddress: not an address.
        NoSuchAlias: there is none.
    """
    store.write_now(delete_alias, parse_address(address))


def show_aliases(store: Store) -> list[AliasRow]:
    """Give all aliases, by domain and address."""
    return store.read_now(list_aliases)
