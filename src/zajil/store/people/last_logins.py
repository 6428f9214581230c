"""When, how and from where each account logged in last."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.schema import last_login


@value_class(frozen=True, slots=True)
class LastLogin:
    """The last log-in of one account."""

    account_id: AccountId
    at_ms: int
    """To the minute: of several in one minute, the first."""
    service: str
    """The listener: ``imaps``, ``submission``, ``web`` ..."""
    peer: str
    """IP address."""


def record_logins(tx: Connection, items: Sequence[LastLogin]) -> list[None]:
    """Note log-ins; an older one changes nothing.

    Unit of work: idempotent; locks the rows of the accounts, in their order; touches nothing.
    """
    newest = {item.account_id: item for item in sorted(items, key=lambda item: item.at_ms)}
    for account_id, item in sorted(newest.items()):
        values = {"id": account_id, "at": item.at_ms, "service": item.service, "peer": item.peer}
        tx.execute(_RECORD, values)
    return [None] * len(items)


def load_last_logins(
    conn: Connection, account_id: AccountId | None = None
) -> dict[AccountId, LastLogin]:
    """Return the last log-in of each account that was seen, or of one."""
    search = sa.select(last_login)
    if account_id is not None:
        search = search.where(last_login.c.account_id == account_id)
    return {
        AccountId(row.account_id): LastLogin(
            AccountId(row.account_id), row.at_ms, row.service, row.peer
        )
        for row in conn.execute(search)
    }


def delete_last_logins_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Forget those of accounts that go; part of ``store.people.accounts.delete_account``."""
    tx.execute(sa.delete(last_login).where(last_login.c.account_id.in_(account_ids)))


# Both databases understand this. It is written late: an account may be gone meanwhile.
_RECORD = sa.text(
    "INSERT INTO last_login (account_id, at_ms, service, peer) "
    "SELECT id, :at, :service, :peer FROM account WHERE id = :id "
    "ON CONFLICT (account_id) DO UPDATE SET at_ms = excluded.at_ms, "
    "service = excluded.service, peer = excluded.peer WHERE last_login.at_ms <= excluded.at_ms"
)
