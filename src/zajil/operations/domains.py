"""Domains of this server, with the addresses that every domain must have."""

from __future__ import annotations

from zajil.config.options_keys import KeyOptions
from zajil.core.actor import Actor
from zajil.core.address import Address
from zajil.core.directory import ROLE_LOCAL_PARTS
from zajil.core.domain import BadDomain, is_public_name, to_ascii
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.operations.dkim_keys import add_keys, generate_first_keys
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.people.accounts import list_accounts
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.store.people.domains import DomainRow, create_domain, delete_domain, is_domain
from zajil.tracking.audit import DomainAdded, DomainRemoved


async def add_domain(
    context: OperationContext,
    actor: Actor,
    domain: str,
    postmaster: Address | None,
    keys: KeyOptions,
) -> str:
    """Add a domain, with its role addresses and its DKIM keys.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        domain: U-labels or A-labels.
        postmaster: where mail for postmaster@ and abuse@ goes; ``None``: to the first
            administrator, if there is one.
        keys: ``[keys]``.

    Returns:
        The ASCII form of the domain.

    Raises:
        NotAllowed: the actor is not an administrator.
        BadDomain: not a domain name, or not one that others can look up.
        AlreadyExists: the domain was added before.
    """
    require_admin(actor)
    ascii_name = to_ascii(domain)
    if not is_public_name(ascii_name):
        raise BadDomain(f"{ascii_name}: this name cannot be used in public DNS")
    by, now_ms = context.stamp(actor), context.clock.now_ms()
    is_there = await context.read(lambda conn: is_domain(conn, ascii_name))
    # RSA keys take long: none are made for a domain that will be refused.
    new = (
        None
        if is_there
        else await context.compute(lambda: generate_first_keys(ascii_name, keys, now_ms))
    )

    def work(tx: Transaction) -> Recorded[str]:
        create_domain(tx, [DomainRow(ascii_name, now_ms)])
        target = postmaster or first_admin(tx)
        _add_role_aliases(tx, ascii_name, target)
        if new is not None:
            add_keys(tx, new)
        return ascii_name, [DomainAdded(*by, None, ascii_name, str(target) if target else "")]

    return await context.change(work)


def first_admin(conn: Snapshot) -> Address | None:
    """Return the address of the first administrator that is not suspended; ``None``: none is."""
    accounts = list_accounts(conn)
    return next((row.address for row in accounts if row.admin and row.active), None)


def _add_role_aliases(tx: Transaction, ascii_name: str, target: Address | None) -> None:
    for local_part in ROLE_LOCAL_PARTS:
        role = Address(local_part, ascii_name)
        if target is not None and role.key != target.key:
            create_alias(tx, [AliasRow(role, (target,))])


async def remove_domain(context: OperationContext, actor: Actor, domain: str) -> str:
    """Remove a domain with its role aliases and DKIM keys.

    Returns:
        The ASCII form of the domain.

    Raises:
        NotAllowed: the actor is not an administrator.
        BadDomain: not a domain name.
        NoSuchDomain: it is not a domain of this server.
        DomainInUse: it still has accounts or other aliases.
    """
    require_admin(actor)
    by, ascii_name = context.stamp(actor), to_ascii(domain)

    def work(tx: Transaction) -> Recorded[str]:
        delete_domain(tx, [ascii_name])
        return ascii_name, [DomainRemoved(*by, None, ascii_name)]

    return await context.change(work)
