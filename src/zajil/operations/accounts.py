"""Accounts of this server."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.address import Address
from zajil.core.clock import Random
from zajil.core.ids import AccountId
from zajil.core.login_name import parse_login
from zajil.operations.names import choose_login
from zajil.operations.password import generate_password, hash_password
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.mail_sizes import MailSize, load_mail_sizes
from zajil.store.people.accounts import (
    AccountRow,
    NewAccount,
    NewActive,
    NewPassword,
    NoSuchAccount,
    create_account,
    delete_account,
    find_by_login,
    list_accounts,
    set_active,
    set_password,
)
from zajil.store.people.last_logins import LastLogin, load_last_logins


@dataclass(frozen=True, slots=True)
class AddedAccount:
    """An account that is there now."""

    account_id: AccountId
    address: Address
    login: str
    password: str | None
    """The one we made up; ``None``: it was given."""


def add_account(
    store: Store,
    address: Address,
    *,
    login: str | None,
    password: str | None,
    display_name: str,
    admin: bool,
    now_ms: int,
    random: Random,
) -> AddedAccount:
    """Make an account.

    Args:
        store: it is made here.
        address: in a domain of ours.
        login: ``None``: one is made from the address.
        password: ``None``: one is made up and given back.
        display_name: the name that stands before the address in From; may be empty.
        admin: sees the whole server, not only its own mail.
        now_ms: the time.
        random: for the password.

    Raises:
        BadLogin, BadPassword: what was given is not usable.
        AlreadyExists, NoSuchDomain: as ``store.people.accounts.create_account``.
    """
    if login is None:
        login = choose_login(
            address.local_part,
            lambda name: store.read_now(lambda conn: find_by_login(conn, name)) is not None,
        )
    made_up = None if password is not None else generate_password(random)
    new = NewAccount(
        login=parse_login(login),
        address=address,
        display_name=display_name,
        password_hash=hash_password(made_up or password or ""),
        admin=admin,
        created_ms=now_ms,
    )
    account_id = store.write_now(create_account, new)
    return AddedAccount(account_id, address, new.login, made_up)


def find_account(store: Store, login_or_address: str) -> AccountRow:
    """Give the account that is meant.

    Raises:
        NoSuchAccount: nobody has this login or address.
    """
    row = store.read_now(lambda conn: find_by_login(conn, login_or_address))
    if row is None:
        raise NoSuchAccount(f"there is no account {login_or_address}; see `zajil account list`")
    return row


def change_password(
    store: Store, login_or_address: str, password: str | None, random: Random
) -> str | None:
    """Set a password, or make one up; browsers that are logged in have to log in again.

    Returns:
        The password we made up; ``None``: it was given.

    Raises:
        NoSuchAccount: nobody has this login or address.
        BadPassword: what was given is not usable.
    """
    row = find_account(store, login_or_address)
    made_up = None if password is not None else generate_password(random)
    store.write_now(
        set_password, NewPassword(row.account_id, hash_password(made_up or password or ""))
    )
    return made_up


def suspend_account(store: Store, login_or_address: str) -> AccountRow:
    """Let nobody log in; mail for it is deferred, so that none is lost while it is suspended.

    Raises:
        NoSuchAccount: nobody has this login or address.
    """
    row = find_account(store, login_or_address)
    store.write_now(set_active, NewActive(row.account_id, active=False))
    return row


def resume_account(store: Store, login_or_address: str) -> AccountRow:
    """Undo ``suspend_account``.

    Raises:
        NoSuchAccount: nobody has this login or address.
    """
    row = find_account(store, login_or_address)
    store.write_now(set_active, NewActive(row.account_id, active=True))
    return row


def remove_account(store: Store, login_or_address: str) -> AccountRow:
    """Remove an account and all its mail, for good.

    Raises:
        NoSuchAccount: nobody has this login or address.
        LastTarget: an alias stands for it alone.
    """
    row = find_account(store, login_or_address)
    store.write_now(delete_account, row.account_id)
    return row


@dataclass(frozen=True, slots=True)
class AccountUse:
    """An account, and what it is used for."""

    row: AccountRow
    mail: MailSize
    last_login: LastLogin | None
    """``None``: it was not seen to log in."""


def show_accounts(store: Store) -> list[AccountUse]:
    """Give all accounts, by login."""

    def read(conn: Snapshot) -> list[AccountUse]:
        sizes, logins = load_mail_sizes(conn), load_last_logins(conn)
        return [
            AccountUse(row, sizes.get(row.account_id, MailSize()), logins.get(row.account_id))
            for row in list_accounts(conn)
        ]

    return store.read_now(read)
