"""What people chose for their accounts: names and values, both text.

The store does not know what a name means; whoever reads a value must expect anything in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import Invalid, NotFound, Refused
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.schema import account, account_setting

LONGEST_VALUE = 65_536
"""Characters of one value."""
MOST_OF_ONE_ACCOUNT = 200
"""Settings that one account may have."""
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}\Z")


class BadSetting(Invalid, ValueError):
    """The name or the value of a setting cannot be stored."""


class TooManySettings(Refused):
    """The account has ``MOST_OF_ONE_ACCOUNT`` settings already."""


@value_class(frozen=True, slots=True)
class NewSettings:
    """What ``set_settings`` takes."""

    account_id: AccountId
    values: Mapping[str, str | None]
    """By name: a lower-case word of at most 64 characters. ``None`` removes a setting."""


def get_settings(conn: Connection, account_id: AccountId) -> dict[str, str]:
    """Return all settings of an account, by name; those that were never chosen are not there."""
    return {row.name: row.value for row in conn.execute(_ALL, {"account_id_": account_id})}


def get_setting(conn: Connection, account_id: AccountId, name: str) -> str | None:
    """Return one setting of an account; ``None``: it was never chosen."""
    one = _ONE.where(account_setting.c.account_id == account_id, account_setting.c.name == name)
    value: str | None = conn.scalar(one)
    return value


def set_settings(tx: Connection, items: Sequence[NewSettings]) -> list[tuple[str, ...]]:
    """Change settings of accounts; return the names of those whose value is another one now.

    Unit of work: idempotent; locks the row of the account, so that its settings are counted
    correctly; touches nothing: pages read settings with each request.

    Raises:
        BadSetting: a name or a value cannot be stored; nothing is changed.
        TooManySettings: the account would have too many.
        NotFound: the account was removed meanwhile.
    """
    return [_set(tx, item) for item in items]


def delete_settings_of(tx: Connection, account_ids: Sequence[AccountId]) -> list[None]:
    """Remove all settings of accounts. Unit of work: idempotent."""
    tx.execute(sa.delete(account_setting).where(account_setting.c.account_id.in_(account_ids)))
    return [None] * len(account_ids)


def check_setting(name: str, value: str | None) -> None:
    """Do nothing if the setting can be stored.

    Raises:
        BadSetting: otherwise.
    """
    if not _NAME.match(name):
        raise BadSetting(f"not a name of a setting: {name[:100]!r}")
    if value is None:
        return
    # PostgreSQL stores no NUL, and neither database stores half of a surrogate pair.
    if len(value) > LONGEST_VALUE or "\0" in value or _SURROGATE.search(value):
        raise BadSetting(f"the value of {name} is too long or cannot be stored as text")


def _set(tx: Connection, item: NewSettings) -> tuple[str, ...]:
    for name, value in item.values.items():
        check_setting(name, value)
    owner = sa.select(account.c.id).where(account.c.id == item.account_id)
    if tx.execute(owner.with_for_update()).first() is None:
        raise NotFound(f"account does not exist: {item.account_id}")
    before = get_settings(tx, item.account_id)
    changed = {name: value for name, value in item.values.items() if before.get(name) != value}
    after = {**before, **changed}
    if sum(value is not None for value in after.values()) > MOST_OF_ONE_ACCOUNT:
        raise TooManySettings(f"an account can have at most {MOST_OF_ONE_ACCOUNT} settings")
    tx.execute(
        sa.delete(account_setting).where(
            account_setting.c.account_id == item.account_id,
            account_setting.c.name.in_(list(changed)),
        )
    )
    rows = [
        {"account_id": item.account_id, "name": name, "value": value}
        for name, value in changed.items()
        if value is not None
    ]
    if rows:
        tx.execute(sa.insert(account_setting), rows)
    return tuple(sorted(changed))


_SURROGATE = re.compile("[\ud800-\udfff]")
_ALL = sa.select(account_setting.c.name, account_setting.c.value).where(
    account_setting.c.account_id == sa.bindparam("account_id_")
)
_ONE = sa.select(account_setting.c.value)
