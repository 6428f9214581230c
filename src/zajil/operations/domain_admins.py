"""Who administers a domain: appoint, remove, list. Only server administrators do."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.actor import Actor
from zajil.core.domain import to_ascii
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.people.accounts import AccountRow, get_account
from zajil.store.people.domain_admins import (
    DomainAdminRow,
    add_domain_admin,
    list_domain_admins,
    remove_domain_admin,
)
from zajil.tracking.audit import DomainAdminAdded, DomainAdminRemoved


async def appoint(
    context: OperationContext, actor: Actor, domain: str, login_or_address: str
) -> AccountRow:
    """Let an account administer a domain; returns the account.

    Raises:
        NotAllowed: the actor is not an administrator of the server.
        BadDomain: not a domain name.
        NoSuchAccount, NoSuchDomain: there is no such account or domain.
        AlreadyExists: the account administers it already.
    """
    require_admin(actor)
    by, ascii_name = context.stamp(actor), to_ascii(domain)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        add_domain_admin(tx, [DomainAdminRow(row.account_id, ascii_name)])
        return row, [DomainAdminAdded(*by, row.account_id, row.login, ascii_name)]

    return await context.change(work)


async def dismiss(
    context: OperationContext, actor: Actor, domain: str, login_or_address: str
) -> AccountRow:
    """Undo ``appoint``; returns the account.

    Raises:
        NotAllowed: the actor is not an administrator of the server.
        BadDomain: not a domain name.
        NoSuchAccount, NoSuchDomainAdmin: there is no such account, or it does not administer it.
    """
    require_admin(actor)
    by, ascii_name = context.stamp(actor), to_ascii(domain)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        remove_domain_admin(tx, [DomainAdminRow(row.account_id, ascii_name)])
        return row, [DomainAdminRemoved(*by, row.account_id, row.login, ascii_name)]

    return await context.change(work)


@dataclass(frozen=True, slots=True)
class DomainAdmin:
    """An account that administers a domain."""

    domain: str
    """ASCII form."""
    row: AccountRow


def show_domain_admins(conn: Snapshot) -> list[DomainAdmin]:
    """Return who administers which domain, by domain."""
    found = [(one.domain, get_account(conn, one.account_id)) for one in list_domain_admins(conn)]
    return [DomainAdmin(domain, row) for domain, row in found if row is not None]
