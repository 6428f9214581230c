"""Aliases: create, change, remove, list; and which addresses do not exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zajil.core.actor import Actor
from zajil.core.address import Address, parse_address, parse_addresses
from zajil.core.errors import AlreadyExists
from zajil.operations.context import OperationContext, Recorded, require_domain_admin
from zajil.route.recipient import UnknownRecipient, route_recipient
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.people.accounts import find_by_login
from zajil.store.people.aliases import (
    AliasChange,
    AliasRow,
    BadAlias,
    change_targets,
    create_alias,
    delete_alias,
    find_alias,
    set_targets,
)
from zajil.store.people.directory import find_postmaster, look_up
from zajil.tracking.audit import AliasChanged


@dataclass(frozen=True, slots=True)
class ChangedAlias:
    """An alias as it is now."""

    row: AliasRow
    is_new: bool


async def add_alias(
    context: OperationContext, actor: Actor, address: str, targets: Sequence[str]
) -> ChangedAlias:
    """Create an alias, or add targets to one.

    Raises:
        NotAllowed: the actor administers neither the server nor the domain.
        BadAddress, BadAlias: an address cannot be used here.
        AlreadyExists, NoSuchDomain, AliasLoop: as ``store.people.aliases.create_alias``.
    """
    by, wanted = context.stamp(actor), _parse(address, targets)
    require_domain_admin(actor, wanted.address.domain)

    def work(tx: Transaction) -> Recorded[ChangedAlias]:
        before = find_alias(tx, wanted.address, for_update=True)
        if before is not None:
            (after,) = change_targets(tx, [AliasChange(before.address, added=wanted.targets)])
            return ChangedAlias(after, is_new=False), [_event(by, before, after)]
        _refuse_account(tx, wanted.address)
        create_alias(tx, [wanted])
        return ChangedAlias(wanted, is_new=True), [_event(by, None, wanted)]

    return await context.change(work)


def _refuse_account(conn: Snapshot, address: Address) -> None:
    row = find_by_login(conn, address.key)
    if row is not None and row.address.key == address.key:
        raise AlreadyExists(
            f"{address.unicode} is an account; use `zajil account forward` to forward its mail"
        )


async def set_alias(
    context: OperationContext, actor: Actor, address: str, targets: Sequence[str]
) -> AliasRow:
    """Replace the targets of an alias in one step; returns the alias as it is now.

    Raises:
        NotAllowed: the actor administers neither the server nor the domain.
        BadAddress, BadAlias: an address cannot be used here.
        NoSuchAlias: there is no such alias.
        AliasLoop: the alias would lead back to itself.
    """
    by, wanted = context.stamp(actor), _parse(address, targets)
    require_domain_admin(actor, wanted.address.domain)

    def work(tx: Transaction) -> Recorded[AliasRow]:
        (before,) = set_targets(tx, [wanted])
        return wanted, [_event(by, before, wanted)]

    return await context.change(work)


async def remove_targets(
    context: OperationContext, actor: Actor, address: str, targets: Sequence[str]
) -> AliasRow:
    """Remove some targets of an alias; returns the alias as it is now.

    Raises:
        NotAllowed: the actor administers neither the server nor the domain.
        BadAddress: not an address.
        NoSuchAlias: there is no such alias, or it has no such target.
        LastTarget: no target would be left.
    """
    by, unwanted = context.stamp(actor), _parse(address, targets)
    require_domain_admin(actor, unwanted.address.domain)

    def work(tx: Transaction) -> Recorded[AliasRow]:
        before = find_alias(tx, unwanted.address, for_update=True)
        (after,) = change_targets(tx, [AliasChange(unwanted.address, removed=unwanted.targets)])
        return after, [_event(by, before, after)]

    return await context.change(work)


async def remove_alias(context: OperationContext, actor: Actor, address: str) -> None:
    """Remove an alias.

    Raises:
        NotAllowed: the actor administers neither the server nor the domain.
        BadAddress: not an address.
        NoSuchAlias: there is no such alias.
    """
    by, parsed = context.stamp(actor), parse_address(address)
    require_domain_admin(actor, parsed.domain)

    def work(tx: Transaction) -> Recorded[None]:
        before = find_alias(tx, parsed, for_update=True)
        delete_alias(tx, [parsed])
        return None, [_event(by, before, None)]

    await context.change(work)


def find_unknown(conn: Snapshot, addresses: Iterable[Address]) -> list[Address]:
    """Return the addresses in domains of this server that do not exist."""
    return [one for one in addresses if _is_unknown(conn, one)]


def _is_unknown(conn: Snapshot, address: Address) -> bool:
    flow = route_recipient(address, find_postmaster(conn))
    try:
        asked = next(flow)
        while True:
            asked = flow.send(look_up(conn, asked))
    except StopIteration as stop:
        return isinstance(stop.value, UnknownRecipient)


def _parse(address: str, targets: Sequence[str]) -> AliasRow:
    if address.startswith("@"):
        raise BadAlias(f"specify the catch-all of a domain as *{address}")
    return AliasRow(parse_address(address), parse_addresses(targets))


def _event(
    by: tuple[int, str, str, str], before: AliasRow | None, after: AliasRow | None
) -> AliasChanged:
    old, new = (() if one is None else tuple(map(str, one.targets)) for one in (before, after))
    row = after or before
    return AliasChanged(*by, None, "" if row is None else str(row.address), old, new)
