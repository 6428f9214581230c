"""Changes of an account that is there: names, role, forwarding."""

from __future__ import annotations

from collections.abc import Sequence

from zajil.core.address import Address, parse_address
from zajil.core.login_name import parse_login
from zajil.operations.accounts import find_account
from zajil.store.engine.open import Store
from zajil.store.people.account_names import NewNames, NewProfile, rename_account, set_profile
from zajil.store.people.accounts import AccountRow
from zajil.store.people.forwarding import Forwarding, set_forwarding


def rename(
    store: Store,
    login_or_address: str,
    *,
    address: Address | None,
    login: str | None,
    keeps_alias: bool,
) -> AccountRow:
    """Give an account another address or log-in name; gives it as it is now.

    Args:
        store: where it is.
        login_or_address: whose.
        address: ``None``: it stays.
        login: ``None``: it stays.
        keeps_alias: the old address becomes an alias of the account.

    Raises:
        BadLogin: not a login name.
        NoSuchAccount, AlreadyExists, NoSuchDomain, BadAlias, AliasLoop: as
            ``store.people.account_names.rename_account``.
    """
    row = find_account(store, login_or_address)
    names = NewNames(
        row.account_id,
        row.login if login is None else parse_login(login),
        address or row.address,
        keeps_alias,
    )
    store.write_now(rename_account, names)
    return find_account(store, names.login)


def change_profile(
    store: Store, login_or_address: str, *, display_name: str | None, admin: bool | None
) -> AccountRow:
    """Change the display name or the role of an account; gives it as it is now.

    Raises:
        NoSuchAccount: nobody has this login or address.
        LastAdmin: no other active account is an administrator.
    """
    row = find_account(store, login_or_address)
    store.write_now(set_profile, NewProfile(row.account_id, display_name, admin))
    return find_account(store, row.login)


def forward(
    store: Store, login_or_address: str, targets: Sequence[str], *, keeps_copy: bool
) -> AccountRow:
    """Forward the mail of an account; gives it as it is now.

    Args:
        store: where it is.
        login_or_address: whose.
        targets: addresses here or elsewhere; empty: its mail is not forwarded any more.
        keeps_copy: what is forwarded stays in its mailboxes, too.

    Raises:
        BadAddress, BadAlias: a target is not one address.
        NoSuchAccount: nobody has this login or address.
        AliasLoop: it would lead back to the account.
    """
    row = find_account(store, login_or_address)
    first: dict[str, Address] = {}
    for one in map(parse_address, targets):
        first.setdefault(one.key, one)
    store.write_now(set_forwarding, Forwarding(row.account_id, tuple(first.values()), keeps_copy))
    return find_account(store, row.login)
