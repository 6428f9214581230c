"""Addresses that stand for other addresses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address, parse_address
from zajil.store.batch import DIRECTORY, touch
from zajil.store.delegations import drop_delegations_for
from zajil.store.domains import AlreadyExists, NoSuchDomain, is_domain
from zajil.store.schema import address


class NoSuchAlias(Exception):
    """No alias has this address."""


class LastTarget(Exception):
    """An alias would be left without a target; the text says which."""


@dataclass(frozen=True, slots=True)
class AliasRow:
    """One alias."""

    address: Address
    """In a domain of ours."""
    targets: tuple[Address, ...]
    """At least one; local or remote, may themselves be aliases."""


def create_alias(tx: Connection, items: Sequence[AliasRow]) -> list[None]:
    """Make aliases.

    Unit of work: not idempotent; locks nothing; touches the directory.

    Raises:
        NoSuchDomain: its domain is not ours.
        AlreadyExists: an account or alias has the address.
    """
    for item in items:
        claim_address(tx, item.address, targets=item.targets)
    touch(tx, DIRECTORY)
    return [None] * len(items)


def delete_alias(tx: Connection, addresses: Sequence[Address]) -> list[None]:
    """Remove aliases, with the right to send as them; what they stood for stays.

    Unit of work: not idempotent; touches the directory.

    Raises:
        NoSuchAlias: nobody has the address, or an account has.
    """
    for item in addresses:
        gone = tx.execute(
            sa.delete(address).where(address.c.key == item.key, address.c.targets.is_not(None))
        )
        if not gone.rowcount:
            raise NoSuchAlias(f"there is no alias {item.unicode}")
        drop_delegations_for(tx, item)
    touch(tx, DIRECTORY)
    return [None] * len(addresses)


def list_aliases(conn: Connection) -> list[AliasRow]:
    """Give all aliases, by domain and address."""
    rows = conn.execute(
        sa.select(address.c.address, address.c.targets)
        .where(address.c.targets.is_not(None))
        .order_by(address.c.domain, address.c.key)
    )
    return [_alias(row.address, row.targets) for row in rows]


def aliases_to(conn: Connection, target: Address) -> list[AliasRow]:
    """Give the aliases that name an address as a target, directly."""
    # Targets are JSON text: its spelling finds candidates, the key decides.
    piece = json.dumps(str(target), ensure_ascii=False).lower()
    rows = conn.execute(
        sa.select(address.c.address, address.c.targets)
        .where(sa.func.lower(address.c.targets).contains(piece, autoescape=True))
        .order_by(address.c.key)
    )
    found = [_alias(row.address, row.targets) for row in rows]
    return [alias for alias in found if target.key in {item.key for item in alias.targets}]


def drop_target(tx: Connection, target: Address) -> None:
    """Take an address out of all aliases; part of the unit that removes its account.

    Raises:
        LastTarget: an alias stands for this address alone.
    """
    for alias in aliases_to(tx, target):
        rest = tuple(item for item in alias.targets if item.key != target.key)
        if not rest:
            raise LastTarget(
                f"the alias {alias.address.unicode} goes to {target.unicode} alone; "
                "remove it or point it elsewhere first"
            )
        tx.execute(
            sa.update(address)
            .where(address.c.key == alias.address.key)
            .values(targets=_targets_text(rest))
        )


def claim_address(
    tx: Connection,
    claimed: Address,
    *,
    account_id: int | None = None,
    targets: tuple[Address, ...] | None = None,
) -> None:
    """Enter an address into the directory, for an account or as an alias; not a unit itself.

    Raises:
        NoSuchDomain: its domain is not ours.
        AlreadyExists: an account or alias has it.
    """
    if not is_domain(tx, claimed.domain):
        raise NoSuchDomain(f"{claimed.domain} is not a domain of this server")
    taken = AlreadyExists(f"the address {claimed.unicode} is taken already")
    if tx.execute(sa.select(address.c.key).where(address.c.key == claimed.key)).first():
        raise taken
    row = {
        "key": claimed.key,
        "address": str(claimed),
        "domain": claimed.domain,
        "account_id": account_id,
        "targets": None if targets is None else _targets_text(targets),
    }
    try:
        tx.execute(sa.insert(address), [row])
    except sa.exc.IntegrityError:  # another node was quicker
        raise taken from None


def _targets_text(targets: tuple[Address, ...]) -> str:
    return json.dumps([str(target) for target in targets], ensure_ascii=False)


def _alias(wire: str, targets: str) -> AliasRow:
    return AliasRow(parse_address(wire), tuple(map(parse_address, json.loads(targets))))
