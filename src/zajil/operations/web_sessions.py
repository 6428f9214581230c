"""Log-ins of browsers: the owner ends those that are not wanted any more."""

from __future__ import annotations

from zajil.core.actor import Actor
from zajil.operations.accounts import find_account
from zajil.operations.authority import require_owner_or_admin
from zajil.operations.context import OperationContext, Recorded
from zajil.store.engine.writer import Transaction
from zajil.store.people.sessions import EndSessions, end_web_sessions
from zajil.tracking.audit import SessionsEnded


async def end_sessions(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    *,
    only: str | None = None,
    keep: str | None = None,
) -> int:
    """End log-ins of browsers; return how many there were.

    Args:
        context: the store and what belongs to it.
        actor: the owner of the account, or an administrator.
        login_or_address: of the account.
        only: ``token_hash`` of the one to end; ``None``: all.
        keep: ``token_hash`` of one that goes on.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
    """
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[int]:
        row = find_account(tx, login_or_address)
        require_owner_or_admin(tx, actor, row)
        (ended,) = end_web_sessions(tx, [EndSessions(row.account_id, only, keep)])
        if not ended:
            return 0, []
        return ended, [SessionsEnded(*by, row.account_id, row.login, ended)]

    return await context.change(work)
