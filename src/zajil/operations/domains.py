"""Domains of this server, with the addresses that every domain must have."""

from __future__ import annotations

from zajil.config.options_keys import KeyOptions
from zajil.core.address import Address
from zajil.core.directory import ROLE_LOCAL_PARTS
from zajil.core.domain import BadDomain, is_public_name, to_ascii
from zajil.operations.dkim_keys import make_first_keys
from zajil.store.engine.open import Store
from zajil.store.people.accounts import list_accounts
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.store.people.domains import (
    DomainRow,
    DomainUse,
    create_domain,
    delete_domain,
    list_domains,
)


def add_domain(
    store: Store, domain: str, postmaster: Address | None, now_ms: int, keys: KeyOptions
) -> str:
    """Make a domain ours; postmaster@ and abuse@ go to ``postmaster``, or to the first admin.

    It gets the keys that its mail is signed with.

    Returns:
        The ASCII form of the domain.

    Raises:
        BadDomain: not a domain name, or not one that others can look up.
        AlreadyExists: it is ours already.
    """
    ascii_name = to_ascii(domain)
    if not is_public_name(ascii_name):
        raise BadDomain(f"{ascii_name}: others cannot look up such a name in DNS")
    store.write_now(create_domain, DomainRow(ascii_name, now_ms))
    if postmaster is None:
        accounts = store.read_now(list_accounts)
        postmaster = next((row.address for row in accounts if row.admin and row.active), None)
    if postmaster is not None:
        add_role_aliases(store, ascii_name, postmaster)
    make_first_keys(store, ascii_name, keys, now_ms)
    return ascii_name


def add_role_aliases(store: Store, ascii_name: str, target: Address) -> None:
    """Send mail for postmaster@ and abuse@ of a domain to somebody who reads it."""
    for local_part in ROLE_LOCAL_PARTS:
        role = Address(local_part, ascii_name)
        if role.key != target.key:
            store.write_now(create_alias, AliasRow(role, (target,)))


def remove_domain(store: Store, domain: str) -> str:
    """Stop being home to a domain; its role aliases go with it, other addresses forbid it.

    Returns:
        The ASCII form of the domain.

    Raises:
        BadDomain: not a domain name.
        NoSuchDomain: it is not ours.
        DomainInUse: accounts or other aliases are still in it.
    """
    ascii_name = to_ascii(domain)
    store.write_now(delete_domain, ascii_name)
    return ascii_name


def show_domains(store: Store) -> list[DomainUse]:
    """Give all domains with what lives in them."""
    return store.read_now(list_domains)
