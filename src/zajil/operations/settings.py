"""Settings of an account: what its owner chose for the pages and for writing mail."""

from __future__ import annotations

from collections.abc import Mapping

from zajil.core.actor import Actor
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_owner
from zajil.store.engine.writer import Transaction
from zajil.store.people.settings import NewSettings, check_setting, set_settings
from zajil.tracking.audit import SettingsChanged


async def change_settings(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    values: Mapping[str, str | None],
) -> tuple[str, ...]:
    """Change settings of an account; return the names of those that have another value now.

    Nothing is recorded where nothing changes, and values are never recorded: they may be private.

    Args:
        context: the store and what belongs to it.
        actor: the owner of the account, or an administrator.
        login_or_address: of the account.
        values: new values by name; ``None`` removes a setting.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        BadSetting: a name or a value cannot be stored.
        TooManySettings: the account would have too many.
    """
    by = context.stamp(actor)
    for name, value in values.items():
        check_setting(name, value)

    def work(tx: Transaction) -> Recorded[tuple[str, ...]]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        (changed,) = set_settings(tx, [NewSettings(row.account_id, values)])
        if not changed:
            return (), []
        return changed, [SettingsChanged(*by, row.account_id, row.login, changed)]

    return await context.change(work)
