"""Addresses that stand for other addresses."""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import CATCH_ALL, Address, parse_address
from zajil.core.directory import catch_all_of, without_subaddress
from zajil.core.domain import to_unicode
from zajil.core.errors import AlreadyExists, Invalid, NotFound, Refused
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.people.alias_loop import refuse_loop
from zajil.store.people.delegations import drop_delegations_for
from zajil.store.people.domains import require_domain
from zajil.store.schema import address, shard_place


class NoSuchAlias(NotFound):
    """No alias has this address."""


class BadAlias(Invalid, ValueError):
    """Not what an alias, or its target, can be called."""


class LastTarget(Refused):
    """An alias would be left without a target; the text says which."""


@value_class(frozen=True, slots=True)
class AliasRow:
    """One alias."""

    address: Address
    """In a domain of ours; ``*@domain`` is the domain's catch-all."""
    targets: tuple[Address, ...]
    """At least one; local or remote, may themselves be aliases."""


def create_alias(tx: Connection, items: Sequence[AliasRow]) -> list[None]:
    """Make aliases.

    Unit of work: not idempotent; locks nothing; touches the directory.

    Raises:
        BadAlias: a name has a ``*`` in it and is not the ``*@domain`` of a catch-all.
        NoSuchDomain: its domain is not ours.
        AlreadyExists: an account or alias has the address.
        AliasLoop: it would lead back to itself.
    """
    for item in items:
        _check_names(item)
        claim_address(tx, item.address, targets=item.targets)
        refuse_loop(tx, item.address)
    touch(tx, DIRECTORY)
    return [None] * len(items)


def set_targets(tx: Connection, items: Sequence[AliasRow]) -> list[AliasRow]:
    """Let aliases lead to other targets than before; gives what they led to before.

    Unit of work: idempotent; touches the directory.

    Raises:
        BadAlias, AliasLoop: as ``create_alias``.
        NoSuchAlias: nobody has the address, or an account has.
    """
    before: list[AliasRow] = []
    for item in items:
        _check_names(item)
        row = find_alias(tx, item.address, for_update=True)
        if row is None:
            raise NoSuchAlias(f"alias does not exist: {item.address.unicode}")
        _write_targets(tx, row.address, item.targets)
        refuse_loop(tx, row.address)
        before.append(row)
    touch(tx, DIRECTORY)
    return before


@value_class(frozen=True, slots=True)
class AliasChange:
    """What ``change_targets`` takes: targets that an alias gets and loses."""

    address: Address
    added: tuple[Address, ...] = ()
    removed: tuple[Address, ...] = ()


def change_targets(tx: Connection, items: Sequence[AliasChange]) -> list[AliasRow]:
    """Add targets to aliases and take others away; gives the aliases as they are now.

    Unit of work: idempotent for what is added; touches the directory.

    Raises:
        BadAlias, AliasLoop: as ``create_alias``.
        NoSuchAlias: nobody has the address, or it has no such target.
        LastTarget: it would have no target left.
    """
    changed: list[AliasRow] = []
    for item in items:
        row = find_alias(tx, item.address, for_update=True)
        if row is None:
            raise NoSuchAlias(f"alias does not exist: {item.address.unicode}")
        targets = {one.key: one for one in row.targets}
        for gone in item.removed:
            if targets.pop(gone.key, None) is None:
                raise NoSuchAlias(f"{row.address.unicode} has no target {gone.unicode}")
        for new in item.added:
            targets.setdefault(new.key, new)
        if not targets:
            raise LastTarget(
                f"the alias {row.address.unicode} would have no targets; "
                "use `zajil alias remove` to remove the alias"
            )
        changed.append(AliasRow(row.address, tuple(targets.values())))
    set_targets(tx, changed)
    return changed


def delete_alias(tx: Connection, addresses: Sequence[Address]) -> list[None]:
    """Remove aliases, with the right to send as them; what they stood for stays.

    Unit of work: not idempotent; touches the directory.

    Raises:
        NoSuchAlias: nobody has the address, or an account has.
        AliasLoop: the catch-all of the domain would lead back to itself.
    """
    for item in addresses:
        gone = tx.execute(
            sa.delete(address).where(address.c.key == item.key, address.c.targets.is_not(None))
        )
        if not gone.rowcount:
            raise NoSuchAlias(f"alias does not exist: {item.unicode}")
        drop_delegations_for(tx, item)
        refuse_loop(tx, catch_all_of(item.domain))  # which gets its mail from now on
    touch(tx, DIRECTORY)
    return [None] * len(addresses)


def find_alias(conn: Connection, who: Address, *, for_update: bool = False) -> AliasRow | None:
    """Return the alias of an address; ``None``: nobody has it, or an account has."""
    search = sa.select(address.c.address, address.c.targets).where(
        address.c.key == who.key, address.c.targets.is_not(None)
    )
    row = conn.execute(search.with_for_update() if for_update else search).one_or_none()
    return None if row is None else _alias(row.address, row.targets)


def list_aliases(conn: Connection) -> list[AliasRow]:
    """Return all aliases, by domain and address."""
    rows = conn.execute(
        sa.select(address.c.address, address.c.targets)
        .where(address.c.targets.is_not(None))
        .order_by(address.c.domain, address.c.key)
    )
    return [_alias(row.address, row.targets) for row in rows]


def aliases_to(conn: Connection, target: Address) -> list[AliasRow]:
    """Return the aliases that name an address as a target, directly."""
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
    require_other_targets(tx, target)
    for alias in aliases_to(tx, target):
        rest = tuple(item for item in alias.targets if item.key != target.key)
        _write_targets(tx, alias.address, rest)


def require_other_targets(conn: Connection, target: Address) -> None:
    """See that no alias would be left without a target if an address were removed.

    Raises:
        LastTarget: an alias stands for this address alone.
    """
    for alias in aliases_to(conn, target):
        if all(item.key == target.key for item in alias.targets):
            raise LastTarget(
                f"the alias {alias.address.unicode} has {target.unicode} as its only target; "
                "remove or change the alias first"
            )


def retarget(tx: Connection, old: Address, new: Address) -> None:
    """Let aliases lead to another address in the place of one, subaddresses too.

    Part of the unit that renames its account.
    """
    rows = tx.execute(
        sa.select(address.c.address, address.c.targets).where(
            address.c.targets.contains(f"@{old.domain}", autoescape=True)
        )
    ).all()
    for row in rows:
        alias = _alias(row.address, row.targets)
        targets = tuple(renamed(one, old, new) for one in alias.targets)
        if targets != alias.targets:
            _write_targets(tx, alias.address, targets)


def renamed(one: Address, old: Address, new: Address) -> Address:
    """Return the new address for the old one, with its subaddress; another as it is."""
    if one.key == old.key:
        return new
    base = without_subaddress(one)
    if base is None or base.key != old.key:
        return one
    return Address(new.local_part + one.local_part[len(base.local_part) :], new.domain)


def claim_address(
    tx: Connection,
    claimed: Address,
    *,
    account_id: int | None = None,
    targets: tuple[Address, ...] | None = None,
    was_moved: bool = False,
) -> None:
    """Enter an address into the directory, for an account or as an alias; not a unit itself.

    Args:
        tx: the transaction.
        claimed: the address.
        account_id: of the account.
        targets: of the alias.
        was_moved: also if the catalogue names another shard for it: the account comes back.

    Raises:
        BadAlias: an account would be a catch-all.
        NoSuchDomain: its domain is not ours.
        AlreadyExists: an account or alias has it.
    """
    if claimed.is_catch_all and targets is None:
        raise BadAlias(f"{claimed.unicode} is a catch-all, which is an alias, not an account")
    require_domain(tx, claimed.domain)
    taken = AlreadyExists(f"the address {claimed.unicode} already exists")
    # Also by an account that was moved to another shard: the mail goes there.
    moved = sa.select(shard_place.c.name).where(shard_place.c.name == claimed.key)
    if tx.execute(sa.select(address.c.key).where(address.c.key == claimed.key)).first():
        raise taken
    if not was_moved and tx.execute(moved).first():
        raise taken
    row = {
        "key": claimed.key,
        "address": str(claimed),
        "domain": claimed.domain,
        "account_id": account_id,
        "targets": None if targets is None else targets_text(targets),
    }
    try:
        tx.execute(sa.insert(address), [row])
    except sa.exc.IntegrityError:  # another node was quicker
        raise taken from None


def _check_names(row: AliasRow) -> None:
    if CATCH_ALL in row.address.local_part and not row.address.is_catch_all:
        raise BadAlias(
            f"{row.address.unicode}: * must be the whole local part, as in the catch-all "
            f"*@{to_unicode(row.address.domain)}"
        )
    for target in row.targets:
        if CATCH_ALL in target.local_part:
            raise BadAlias(f"{target.unicode}: a target is one address, without *")


def _write_targets(tx: Connection, alias: Address, targets: tuple[Address, ...]) -> None:
    tx.execute(
        sa.update(address).where(address.c.key == alias.key).values(targets=targets_text(targets))
    )


def targets_text(targets: tuple[Address, ...]) -> str:
    """Write targets as a table keeps them."""
    return json.dumps([str(target) for target in targets], ensure_ascii=False)


def _alias(wire: str, targets: str) -> AliasRow:
    return AliasRow(parse_address(wire), tuple(map(parse_address, json.loads(targets))))
