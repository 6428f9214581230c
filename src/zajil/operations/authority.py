"""What an administrator of some domains may do to an account.

Laws:
- Such an administrator changes accounts, aliases and quotas of these domains, and reads no mail.
- An account that may do more than the actor is out of reach: a server administrator, or one who
  also administers another domain. Otherwise a new password for it would be the way to its rights.
"""

from __future__ import annotations

from zajil.core.actor import Actor
from zajil.core.address import Address
from zajil.operations.context import NotAllowed, require_domain_admin
from zajil.store.engine.reader import Snapshot
from zajil.store.people.accounts import AccountRow, find_by_login
from zajil.store.people.domain_admins import administered_by


def require_account_admin(conn: Snapshot, actor: Actor, row: AccountRow) -> None:
    """Do nothing if the actor may change this account as an administrator.

    Raises:
        NotAllowed: otherwise.
    """
    if actor.is_admin:
        return
    require_domain_admin(actor, row.address.domain)
    if row.admin or not administered_by(conn, row.account_id) <= actor.domains:
        raise NotAllowed(f"{row.login} is an administrator of more than {actor.name} is")


def require_owner_or_admin(conn: Snapshot, actor: Actor, row: AccountRow) -> None:
    """Do nothing if the actor owns the account, or may change it as an administrator.

    Raises:
        NotAllowed: otherwise.
    """
    if actor.account_id != row.account_id:
        require_account_admin(conn, actor, row)


def require_address_admin(conn: Snapshot, actor: Actor, address: Address) -> None:
    """Do nothing if the actor may change what an address of this server is good for.

    Raises:
        NotAllowed: the domain is not the actor's, or the account of the address is out of reach.
    """
    if actor.is_admin:
        return
    require_domain_admin(actor, address.domain)
    row = find_by_login(conn, address.key)
    if row is not None:
        require_account_admin(conn, actor, row)
