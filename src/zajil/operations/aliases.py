"""Aliases of this server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zajil.core.address import Address, parse_address
from zajil.core.errors import AlreadyExists
from zajil.store.engine.open import Store
from zajil.store.people.aliases import (
    AliasChange,
    AliasRow,
    BadAlias,
    change_targets,
    create_alias,
    delete_alias,
    find_alias,
    list_aliases,
    set_targets,
)


@dataclass(frozen=True, slots=True)
class ChangedAlias:
    """An alias as it is now."""

    row: AliasRow
    is_new: bool


def add_alias(store: Store, address: str, targets: Sequence[str]) -> ChangedAlias:
    """Make an address stand for others, or for more others than before.

    Raises:
        BadAddress, BadAlias: one of them is not an address that can be used here.
        AlreadyExists, NoSuchDomain, AliasLoop: as ``store.people.aliases.create_alias``.
    """
    row = _parse(address, targets)
    try:
        store.write_now(create_alias, row)
    except AlreadyExists:
        if store.read_now(lambda conn: find_alias(conn, row.address)) is None:
            raise AlreadyExists(
                f"{row.address.unicode} is an account; `zajil account forward` sends its mail on"
            ) from None
        change = AliasChange(row.address, added=row.targets)
        return ChangedAlias(store.write_now(change_targets, change), is_new=False)
    return ChangedAlias(row, is_new=True)


def set_alias(store: Store, address: str, targets: Sequence[str]) -> AliasRow:
    """Let an alias lead to these targets and no others, without a moment in between.

    Raises:
        BadAddress, BadAlias: one of them is not an address that can be used here.
        NoSuchAlias: there is none.
        AliasLoop: it would lead back to itself.
    """
    row = _parse(address, targets)
    store.write_now(set_targets, row)
    return row


def remove_targets(store: Store, address: str, targets: Sequence[str]) -> AliasRow:
    """Take some targets away from an alias.

    Raises:
        BadAddress: one of them is not an address.
        NoSuchAlias: there is none, or it has no such target.
        LastTarget: it would have none left.
    """
    row = _parse(address, targets)
    return store.write_now(change_targets, AliasChange(row.address, removed=row.targets))


def _parse(address: str, targets: Sequence[str]) -> AliasRow:
    if address.startswith("@"):
        raise BadAlias(f"write the catch-all of a domain as *{address}")
    first: dict[str, Address] = {}
    for one in map(parse_address, targets):
        first.setdefault(one.key, one)
    return AliasRow(parse_address(address), tuple(first.values()))


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
