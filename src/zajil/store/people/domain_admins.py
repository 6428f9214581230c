"""Accounts that may change what belongs to some domains, and nothing else of the server."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import AlreadyExists, NotFound
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.people.domains import require_domain
from zajil.store.schema import domain_admin


class NoSuchDomainAdmin(NotFound):
    """The account does not administer this domain."""


@value_class(frozen=True, slots=True)
class DomainAdminRow:
    """An account and one of the domains that it administers."""

    account_id: AccountId
    domain: str
    """ASCII form."""


def add_domain_admin(tx: Connection, items: Sequence[DomainAdminRow]) -> list[None]:
    """Let accounts administer domains.

    Unit of work: not idempotent; touches the directory.

    Raises:
        NoSuchDomain: it is not ours.
        AlreadyExists: the account administers it already.
    """
    for item in items:
        require_domain(tx, item.domain)
        if item.domain in administered_by(tx, item.account_id):
            raise AlreadyExists(f"the account administers {item.domain} already")
        row = {"account_id": item.account_id, "domain": item.domain}
        tx.execute(sa.insert(domain_admin), [row])
    touch(tx, DIRECTORY)
    return [None] * len(items)


def remove_domain_admin(tx: Connection, items: Sequence[DomainAdminRow]) -> list[None]:
    """Undo ``add_domain_admin``.

    Unit of work: not idempotent; touches the directory.

    Raises:
        NoSuchDomainAdmin: the account does not administer it.
    """
    for item in items:
        same = (domain_admin.c.account_id == item.account_id) & (
            domain_admin.c.domain == item.domain
        )
        if not tx.execute(sa.delete(domain_admin).where(same)).rowcount:
            raise NoSuchDomainAdmin(f"the account does not administer {item.domain}")
    touch(tx, DIRECTORY)
    return [None] * len(items)


def administered_by(conn: Connection, account_id: AccountId) -> frozenset[str]:
    """Return the domains that an account administers, in ASCII form."""
    found = sa.select(domain_admin.c.domain).where(domain_admin.c.account_id == account_id)
    return frozenset(conn.scalars(found))


def list_domain_admins(conn: Connection) -> list[DomainAdminRow]:
    """Return who administers which domain, by domain."""
    order = sa.select(domain_admin).order_by(domain_admin.c.domain, domain_admin.c.account_id)
    return [DomainAdminRow(AccountId(row.account_id), row.domain) for row in conn.execute(order)]


def delete_domain_admins_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Forget what accounts administer; part of their removal."""
    tx.execute(sa.delete(domain_admin).where(domain_admin.c.account_id.in_(account_ids)))
