"""Who may send as an address that is somebody else's: the owner of one lets another write for it.

A delegation gives a right to send, and nothing else: no mail comes with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address, parse_address
from zajil.core.errors import AlreadyExists, NotFound
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.schema import account, address, delegation


class NoSuchAddress(NotFound):
    """Nobody here has the address."""


class NoSuchDelegation(NotFound):
    """The account has no such right."""


@value_class(frozen=True, slots=True)
class DelegationRow:
    """One account may send as one address."""

    address: Address
    """Of an account of ours, or an alias."""
    account_id: AccountId


def create_delegation(tx: Connection, items: Sequence[DelegationRow]) -> list[None]:
    """Let accounts send as addresses.

    Unit of work: not idempotent; touches the directory, so that workers forget what an account
    that logged in before may do.

    Raises:
        NoSuchAddress: no account or alias has it, or it is a catch-all.
        AlreadyExists: the account has the right already.
    """
    for item in items:
        key = item.address.key
        if item.address.is_catch_all:
            raise NoSuchAddress(f"{item.address.unicode} is a catch-all, not one address")
        if tx.execute(sa.select(address.c.key).where(address.c.key == key)).first() is None:
            raise NoSuchAddress(f"the address {item.address.unicode} does not exist")
        taken = AlreadyExists(f"{item.address.unicode} is delegated to that account already")
        if tx.execute(_one(item)).first():
            raise taken
        row = {"address_key": key, "account_id": item.account_id}
        try:
            tx.execute(sa.insert(delegation), [row])
        except sa.exc.IntegrityError:  # another node was quicker
            raise taken from None
    touch(tx, DIRECTORY)
    return [None] * len(items)


def delete_delegation(tx: Connection, items: Sequence[DelegationRow]) -> list[None]:
    """Take the right away.

    Unit of work: not idempotent; touches the directory.

    Raises:
        NoSuchDelegation: the account does not have it.
    """
    for item in items:
        gone = tx.execute(
            sa.delete(delegation).where(
                delegation.c.address_key == item.address.key,
                delegation.c.account_id == item.account_id,
            )
        )
        if not gone.rowcount:
            raise NoSuchDelegation(f"{item.address.unicode} is not delegated to that account")
    touch(tx, DIRECTORY)
    return [None] * len(items)


def delegated_to(conn: Connection, account_id: AccountId) -> tuple[Address, ...]:
    """Return the addresses an account may send as beside its own, in their order."""
    rows = conn.scalars(
        sa.select(address.c.address)
        .join(delegation, delegation.c.address_key == address.c.key)
        .where(delegation.c.account_id == account_id)
        .order_by(address.c.key)
    )
    return tuple([parse_address(text) for text in rows])


def delegates_of(conn: Connection, addresses: Sequence[Address]) -> list[tuple[Address, str]]:
    """Return who may send as these addresses beside their owner: address and log-in name."""
    by_key = {one.key: one for one in addresses}
    rows = conn.execute(
        sa.select(delegation.c.address_key, account.c.login)
        .join(account, account.c.id == delegation.c.account_id)
        .where(delegation.c.address_key.in_(by_key))
        .order_by(delegation.c.address_key, account.c.login)
    )
    return [(by_key[row.address_key], row.login) for row in rows]


def drop_delegations_of(tx: Connection, account_id: AccountId) -> None:
    """Forget what an account may send as; part of the unit that removes it."""
    tx.execute(sa.delete(delegation).where(delegation.c.account_id == account_id))


def drop_delegations_for(tx: Connection, gone: Address) -> None:
    """Forget who may send as an address; part of the unit that removes it.

    Security: whoever gets the address later must not find others writing in its name.
    """
    tx.execute(sa.delete(delegation).where(delegation.c.address_key == gone.key))


def move_delegations(tx: Connection, old: Address, new: Address, *, keeps_old: bool) -> None:
    """Let who may send as an address send as its new name; part of the unit that renames it.

    Args:
        tx: the transaction.
        old: the address.
        new: its new name, which nobody had before.
        keeps_old: they may send as the old one, too, which is an alias from now on.
    """
    of_old = delegation.c.address_key == old.key
    if not keeps_old:
        tx.execute(sa.update(delegation).where(of_old).values(address_key=new.key))
        return
    ids = tx.scalars(sa.select(delegation.c.account_id).where(of_old)).all()
    if ids:
        rows = [{"address_key": new.key, "account_id": one} for one in ids]
        tx.execute(sa.insert(delegation), rows)


def _one(item: DelegationRow) -> sa.Select[tuple[str]]:
    return sa.select(delegation.c.address_key).where(
        delegation.c.address_key == item.address.key,
        delegation.c.account_id == item.account_id,
    )
