"""Put contacts of a backup back that an account does not have any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.rows import portions
from zajil.store.people.contacts import MOST_CONTACTS, TooManyContacts
from zajil.store.people.written_to import lock_account
from zajil.store.restore.rows import insert_kept, rows_of
from zajil.store.restore.source import AccountSource
from zajil.store.schema import contact


@value_class(frozen=True, slots=True)
class RestoreContacts:
    """What ``restore_contacts`` takes."""

    account_id: AccountId
    """Whose they become."""
    rows: tuple[dict[str, Any], ...]
    """As ``missing_contacts`` returns them."""


def missing_contacts(
    conn: Connection, source: AccountSource, account_id: AccountId
) -> list[dict[str, Any]]:
    """Return contacts of the backup, by their UIDs, that the account does not have or has deleted.

    A contact that was changed since is there, and is not among them.
    """
    mine = sa.and_(contact.c.account_id == source.account_id, contact.c.deleted_ms.is_(None))
    there = set(
        conn.scalars(
            sa.select(contact.c.uid).where(
                contact.c.account_id == account_id, contact.c.deleted_ms.is_(None)
            )
        )
    )
    return [row for row in rows_of(source, contact, mine) if row["uid"] not in there]


def restore_contacts(tx: Connection, items: Sequence[RestoreContacts]) -> list[int]:
    """Add contacts, in the place of deleted ones with the same UID.

    Unit of work: idempotent; locks the account.

    Returns:
        How many each item added.

    Raises:
        TooManyContacts: the account would have too many; nothing is added.
    """
    return [_restore(tx, item) for item in items]


def _restore(tx: Connection, item: RestoreContacts) -> int:
    lock_account(tx, item.account_id)
    mine = contact.c.account_id == item.account_id
    uids = [row["uid"] for row in item.rows]
    there: set[str] = set()
    for some in portions(uids):
        among = (mine, contact.c.uid.in_(some))
        tx.execute(sa.delete(contact).where(*among, contact.c.deleted_ms.is_not(None)))
        there.update(tx.scalars(sa.select(contact.c.uid).where(*among)))
    rows = [
        {name: value for name, value in row.items() if name != "id"}
        | {"account_id": item.account_id}
        for row in item.rows
        if row["uid"] not in there
    ]
    count = insert_kept(tx, contact, rows)
    there_now = sa.select(sa.func.count()).select_from(contact).where(mine)
    if int(tx.execute(there_now).scalar_one()) > MOST_CONTACTS:
        raise TooManyContacts(f"an account has at most {MOST_CONTACTS} contacts")
    return count
