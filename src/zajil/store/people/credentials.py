"""What is left of log-ins: asked for many open sessions at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, AppPasswordId
from zajil.core.value_class import value_class
from zajil.store.people.second_factors import having_second_factor
from zajil.store.schema import account, app_password

_AT_ONCE = 10_000
"""Ids named in one statement; SQLite takes 32,766 parameters."""


@value_class(frozen=True, slots=True)
class Standing:
    """What holds now, of what was asked for."""

    active: Mapping[AccountId, str]
    """Accounts that may log in, with the hash of their own password; ``""``: the account has a
    second factor, and its password alone opens nothing."""
    app_passwords: Mapping[AppPasswordId, str]
    """Those that are there, with their hash."""


def read_standing(
    conn: Connection,
    account_ids: Collection[AccountId],
    app_password_ids: Collection[AppPasswordId],
) -> Standing:
    """Return what holds of these accounts and app passwords."""
    active: dict[AccountId, str] = {}
    for part in _parts(account_ids):
        found = sa.select(account.c.id, account.c.password_hash)
        guarded = having_second_factor(conn, [AccountId(one) for one in part])
        for row in conn.execute(found.where(account.c.id.in_(part), account.c.active)):
            active[AccountId(row.id)] = "" if row.id in guarded else row.password_hash
    hashes: dict[AppPasswordId, str] = {}
    for part in _parts(app_password_ids):
        kept = sa.select(app_password.c.id, app_password.c.password_hash)
        for row in conn.execute(kept.where(app_password.c.id.in_(part))):
            hashes[AppPasswordId(row.id)] = row.password_hash
    return Standing(active, hashes)


def _parts(ids: Collection[int]) -> list[list[int]]:
    numbers = list(ids)
    return [numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE)]
