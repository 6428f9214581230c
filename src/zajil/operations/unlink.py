"""Removes the link of an account with a directory or an OpenID provider."""

from __future__ import annotations

from zajil.core.actor import Actor
from zajil.core.errors import NotFound
from zajil.core.password import IN_DIRECTORY, NO_PASSWORD
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.store.engine.writer import Transaction
from zajil.store.people.accounts import AccountRow, NewPassword, set_password
from zajil.store.people.identities import LDAP, delete_identity, identities_of
from zajil.tracking.audit import AccountUnlinked


class NoSuchLink(NotFound):
    """The account is not linked with this source; the text names those that it is linked with."""


async def unlink_account(
    context: OperationContext, actor: Actor, login_or_address: str, source: str
) -> AccountRow:
    """Remove the link of an account with a source; returns the account.

    An account whose password was in the directory has none afterwards, until one is set.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator of the server.
        login_or_address: of the account.
        source: ``ldap``, or the address of an OpenID provider.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAccount, NoSuchLink: there is no such account or link.
    """
    require_admin(actor)
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        linked = identities_of(tx, row.account_id)
        chosen = [(one.source, one.subject) for one in linked if one.source == source]
        if not chosen:
            names = ", ".join(one.source for one in linked) or "nothing"
            raise NoSuchLink(f"{row.login} is not linked with {source}; it is with: {names}")
        delete_identity(tx, chosen)
        if source == LDAP and row.password_hash == IN_DIRECTORY:
            set_password(tx, [NewPassword(row.account_id, NO_PASSWORD)])
        return row, [AccountUnlinked(*by, row.account_id, row.login, source)]

    return await context.change(work)
