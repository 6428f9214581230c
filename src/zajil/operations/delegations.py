"""Delegations: who may send as an address of another account."""

from __future__ import annotations

from zajil.core.actor import Actor
from zajil.core.address import Address, parse_address
from zajil.operations.accounts import find_account
from zajil.operations.authority import require_address_admin
from zajil.operations.context import OperationContext, Recorded
from zajil.store.engine.writer import Transaction
from zajil.store.people.accounts import AccountRow, get_account
from zajil.store.people.aliases import aliases_to
from zajil.store.people.delegations import DelegationRow, create_delegation, delete_delegation
from zajil.tracking.audit import DelegationGranted, DelegationRevoked


async def delegate(
    context: OperationContext, actor: Actor, address: str, login_or_address: str
) -> AccountRow:
    """Allow an account to send as an address of this server; returns the account.

    Raises:
        NotAllowed: the actor is neither an administrator nor the only owner of the address.
        BadAddress: not an address.
        NoSuchAccount, NoSuchAddress: there is no such account or address.
        AlreadyExists: the account may send as it already.
    """
    by, parsed = context.stamp(actor), parse_address(address)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        _require_owner_of(tx, actor, parsed)
        row = find_account(tx, login_or_address)
        create_delegation(tx, [DelegationRow(parsed, row.account_id)])
        return row, [DelegationGranted(*by, row.account_id, row.login, str(parsed))]

    return await context.change(work)


async def revoke_delegation(
    context: OperationContext, actor: Actor, address: str, login_or_address: str
) -> AccountRow:
    """Undo ``delegate``; returns the account.

    Raises:
        NotAllowed: the actor is neither an administrator, nor the only owner of the address, nor
            the one who has the right.
        BadAddress: not an address.
        NoSuchAccount: there is no such account.
        NoSuchDelegation: the account may not send as it.
    """
    by, parsed = context.stamp(actor), parse_address(address)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        if actor.account_id != row.account_id:
            _require_owner_of(tx, actor, parsed)
        delete_delegation(tx, [DelegationRow(parsed, row.account_id)])
        return row, [DelegationRevoked(*by, row.account_id, row.login, str(parsed))]

    return await context.change(work)


def _require_owner_of(tx: Transaction, actor: Actor, address: Address) -> None:
    """Do nothing if the address is the actor's alone, or the actor administers it.

    Raises:
        NotAllowed: otherwise; an alias of several people is nobody's alone.
    """
    row = None if actor.account_id is None else get_account(tx, actor.account_id)
    if row is not None:
        own: dict[str, tuple[Address, ...]] = {row.address.key: (row.address,)}
        own |= {alias.address.key: alias.targets for alias in aliases_to(tx, row.address)}
        if not address.is_catch_all and own.get(address.key) == (row.address,):
            return
    require_address_admin(tx, actor, address)
