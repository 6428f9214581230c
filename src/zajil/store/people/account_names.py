"""What an account is called: its address, its log-in name, its display name, its role."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address
from zajil.core.errors import AlreadyExists, Refused
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.people.accounts import (
    AccountRow,
    NoSuchAccount,
    get_account,
    is_login_taken,
)
from zajil.store.people.alias_loop import refuse_loop
from zajil.store.people.aliases import claim_address, retarget
from zajil.store.people.delegations import move_delegations
from zajil.store.people.forwarding import retarget_forwarding
from zajil.store.schema import account, address, mail, recipient, scram_key


class LastAdmin(Refused):
    """The server would be left without an administrator."""


@value_class(frozen=True, slots=True)
class NewNames:
    """What ``rename_account`` takes."""

    account_id: AccountId
    login: str
    """As ``core.login_name.parse_login`` gives it; may be what it was."""
    address: Address
    """May be what it was."""
    keeps_alias: bool = False
    """The old address becomes an alias of the account."""


@value_class(frozen=True, slots=True)
class NewProfile:
    """What ``set_profile`` takes; ``None`` leaves it as it is."""

    account_id: AccountId
    display_name: str | None = None
    admin: bool | None = None


def rename_account(tx: Connection, items: Sequence[NewNames]) -> list[AccountRow]:
    """Change the address or log-in name of accounts; return the rows as they were.

    Everything follows: mail, app passwords, delegations, aliases and forwardings that lead to the
    account, and the reverse path of its mails in the queue, so that their DSNs arrive.

    Unit of work: not idempotent; touches the directory.

    Raises:
        NoSuchAccount: it was removed meanwhile.
        AlreadyExists: the log-in name or the address is taken.
        NoSuchDomain: the address is not in a domain of ours.
        BadAlias: the address is a catch-all.
        AliasLoop: a catch-all would lead back to itself.
    """
    return [_rename(tx, item) for item in items]


def set_profile(tx: Connection, items: Sequence[NewProfile]) -> list[AccountRow]:
    """Change display names and roles; gives the accounts as they were.

    Unit of work: idempotent; touches the directory.

    Raises:
        NoSuchAccount: it was removed meanwhile.
        LastAdmin: no other active account is an administrator.
    """
    before: list[AccountRow] = []
    for item in items:
        row = _demand(tx, item.account_id)
        if item.admin is False and row.admin:
            _refuse_last(tx, row)
        chosen = {"display_name": item.display_name, "admin": item.admin}
        values = {name: value for name, value in chosen.items() if value is not None}
        if values:
            tx.execute(sa.update(account).where(account.c.id == row.account_id).values(values))
        before.append(row)
    touch(tx, DIRECTORY)
    return before


def _rename(tx: Connection, item: NewNames) -> AccountRow:
    row = _demand(tx, item.account_id)
    old, new = row.address, item.address
    if item.login != row.login:
        if is_login_taken(tx, item.login):
            raise AlreadyExists(f"the login {item.login} already exists")
        _rename_scram(tx, row.login, item.login)
    if new.key != old.key:
        tx.execute(sa.delete(address).where(address.c.key == old.key))
        claim_address(tx, new, account_id=row.account_id)
        retarget(tx, old, new)
        retarget_forwarding(tx, old, new)
        if item.keeps_alias:
            claim_address(tx, old, targets=(new,))
        move_delegations(tx, old, new, keeps_old=item.keeps_alias)
        _rename_scram(tx, old.key, new.key)
        _rename_queued(tx, row.account_id, old, new)
    elif new != old:
        spelled = sa.update(address).where(address.c.key == new.key)
        tx.execute(spelled.values(address=str(new)))
    tx.execute(
        sa.update(account)
        .where(account.c.id == row.account_id)
        .values(login=item.login, address=str(new), address_key=new.key)
    )
    refuse_loop(tx, new)
    touch(tx, DIRECTORY)
    return row


def _rename_scram(tx: Connection, old: str, new: str) -> None:
    """Let app passwords be known under the new name; their salt goes with them."""
    tx.execute(sa.update(scram_key).where(scram_key.c.login == old).values(login=new))


def _rename_queued(tx: Connection, account_id: AccountId, old: Address, new: Address) -> None:
    waiting = [
        sa.select(recipient.c.mail_id).where(recipient.c.state == sa.literal_column(state))
        for state in ("'waiting'", "'held'")  # literal: each has its partial index
    ]
    tx.execute(
        sa.update(mail)
        .where(
            mail.c.id.in_(sa.union(*waiting)),
            mail.c.account_id == account_id,
            mail.c.from_key == old.key,
        )
        .values(reverse_path=str(new), from_key=new.key)
    )


def _refuse_last(tx: Connection, row: AccountRow) -> None:
    others = sa.select(account.c.id).where(
        account.c.admin.is_(True), account.c.active.is_(True), account.c.id != row.account_id
    )
    if tx.execute(others.limit(1)).first() is None:
        raise LastAdmin(
            f"{row.login} is the only active administrator; "
            "make another account an administrator first"
        )


def _demand(tx: Connection, account_id: AccountId) -> AccountRow:
    row = get_account(tx, account_id)
    if row is None:
        raise NoSuchAccount(f"account does not exist: {account_id}")
    return row
