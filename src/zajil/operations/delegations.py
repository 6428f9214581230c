"""Delegations: who may send as an address of another account."""

from __future__ import annotations

from zajil.core.actor import Actor
from zajil.core.address import parse_address
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.store.engine.writer import Transaction
from zajil.store.people.accounts import AccountRow
from zajil.store.people.delegations import DelegationRow, create_delegation, delete_delegation
from zajil.tracking.audit import DelegationGranted, DelegationRevoked


async def delegate(
    context: OperationContext, actor: Actor, address: str, login_or_address: str
) -> AccountRow:
    """Allow an account to send as an address of this server; returns the account.

    Raises:
        NotAllowed: the actor is not an administrator.
        BadAddress: not an address.
        NoSuchAccount, NoSuchAddress: there is no such account or address.
        AlreadyExists: the account may send as it already.
    """
    require_admin(actor)
    by, parsed = context.stamp(actor), parse_address(address)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        create_delegation(tx, [DelegationRow(parsed, row.account_id)])
        return row, [DelegationGranted(*by, row.account_id, row.login, str(parsed))]

    return await context.change(work)


async def revoke_delegation(
    context: OperationContext, actor: Actor, address: str, login_or_address: str
) -> AccountRow:
    """Undo ``delegate``; returns the account.

    Raises:
        NotAllowed: the actor is not an administrator.
        BadAddress: not an address.
        NoSuchAccount: there is no such account.
        NoSuchDelegation: the account may not send as it.
    """
    require_admin(actor)
    by, parsed = context.stamp(actor), parse_address(address)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        delete_delegation(tx, [DelegationRow(parsed, row.account_id)])
        return row, [DelegationRevoked(*by, row.account_id, row.login, str(parsed))]

    return await context.change(work)
